"""`autograd.graph`: hooks on steps of the history and on saved values, edges, the walk over next functions. Compared with PyTorch."""

import gc

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same, same_error  # noqa: E402
from .tensors import plain, vector  # noqa: E402


def test_a_hook_after_a_step_sees_both_sides():
    def run(lib):
        x, log = vector(lib, 1, 2), []
        y = x * 3
        z = y.exp()
        handle = y.grad_fn.register_hook(lambda inner, outer: log.append([plain(lib, inner), plain(lib, outer)]))
        z.sum().backward(retain_graph=True)
        handle.remove()
        z.sum().backward()
        return log, x.grad

    same(run)


def test_a_hook_after_a_step_replaces_what_goes_on():
    def run(lib):
        x, w = vector(lib, 1, 2), vector(lib, 3, 4)
        y = x * w
        y.grad_fn.register_hook(lambda inner, outer: (inner[0] * 10, inner[1]))
        (y * 2).sum().backward()
        return x.grad, w.grad

    same(run)


def test_a_hook_before_a_step_replaces_its_gradient():
    def run(lib):
        x, log = vector(lib, 1, 2), []
        y = x * 3

        def hook(outer):
            log.append(plain(lib, outer))
            return (outer[0] * 2,)

        y.grad_fn.register_prehook(hook)
        y.exp().sum().backward()
        return log, x.grad

    same(run)


def test_hooks_where_gradients_accumulate():
    def run(lib):
        x, log = vector(lib, 1, 2), []
        y = x * 3
        end = y.grad_fn.next_functions[0][0]
        end.register_hook(lambda inner, outer: log.append(["after", plain(lib, inner), plain(lib, outer), x.grad.tolist()]))
        end.register_prehook(lambda outer: (outer[0] * 2,))
        y.sum().backward()
        return log, x.grad, end.variable is x, end.name()

    same(run)


def test_hooks_on_a_step_outlive_a_read():
    def run(lib):
        x, log = vector(lib, 1, 2), []
        y = x * x
        loss = y.sum()
        y.grad_fn.register_hook(lambda inner, outer: log.append(plain(lib, outer)))
        loss.item()
        loss.backward()
        return log, x.grad

    same(run)


def test_a_wrong_number_of_gradients_is_refused():
    def run(lib):
        y = vector(lib, 1, 2) * vector(lib, 3, 4)
        y.grad_fn.register_hook(lambda inner, outer: inner[:1])
        y.sum().backward()

    same_error(run)


def test_next_functions():
    def names(step):
        return [None if f is None else f.name() for f, _ in step.next_functions]

    def run(lib):
        x, c = vector(lib, 1, 2, 3), lib.ones(3)
        results = [x * c, c * x, x * 2, 2 * x, x + 1, x - 1, 1 - x, x**2, x.exp(), lib.cat([x, c, x]), x.view(3, 1) @ c.view(1, 3)]
        results += [x[lib.tensor([0, 1])], x.gather(0, lib.tensor([0])), x.max(0)[0], lib.where(c > 0, x, c), lib.relu(x).sum()]
        return [names(r.grad_fn) for r in results]

    same(run)


def test_a_number_that_changes_from_step_to_step_is_one_in_the_history_too():
    for factor in [2.0, 3.0, 5.0, 7.0] * 4:
        x = vector(ours, 1, 2, 3)
        y = factor * x
        assert [f if f is None else f.name() for f, _ in y.grad_fn.next_functions] == ["torch::autograd::AccumulateGrad", None]
        z = ours.tensor(factor) * x
        assert [f if f is None else f.name() for f, _ in z.grad_fn.next_functions] == [None, "torch::autograd::AccumulateGrad"]
        (y + z).sum().item()


def test_steps_have_one_identity_and_room_for_notes():
    def run(lib):
        y = vector(lib, 1, 2) * 2
        y.grad_fn.metadata["note"] = 1
        return y.grad_fn.metadata, y.grad_fn is y.grad_fn, isinstance(y.grad_fn, lib.autograd.graph.Node)

    same(run)


def test_steps_do_not_keep_nodes_alive_by_themselves():
    y = vector(ours, 1, 2) * 2
    step = y.grad_fn
    assert step is y.grad_fn
    del step
    gc.collect()
    assert y.grad_fn.name() == "MulBackward0"


def test_edges():
    def run(lib):
        x = vector(lib, 1, 2)
        y = x * 3
        z = (y**2).sum()
        at, end = lib.autograd.graph.get_gradient_edge(y), lib.autograd.graph.get_gradient_edge(x)
        found = lib.autograd.grad(z, [at, end], retain_graph=True)
        inner = lib.autograd.grad(at, x, grad_outputs=lib.ones(2), retain_graph=True)
        lib.autograd.backward(lib.autograd.graph.get_gradient_edge(z))
        pieces = lib.ones(3, 2, requires_grad=True).mul(1).unbind(0)
        numbers = [lib.autograd.graph.get_gradient_edge(p).output_nr for p in pieces]
        return list(found), inner[0], x.grad, end.node.name(), at.output_nr, numbers

    same(run)
    same_error(lambda lib: lib.autograd.graph.get_gradient_edge(lib.ones(2)))


@pytest.mark.parametrize("mode", ["all", "any"])
def test_hooks_on_several_gradients(mode):
    def run(lib):
        a, b, log = vector(lib, 1, 2), vector(lib, 3, 4), []
        c = a + 1
        lib.autograd.graph.register_multi_grad_hook((c, b), lambda g: log.append(plain(lib, g) if mode == "all" else 1), mode=mode)
        (c * b).sum().backward(retain_graph=True)
        (c * 2).sum().backward(retain_graph=True)
        (c + b).sum().backward()
        return log

    same(run)


def test_hooks_after_accumulation():
    def run(lib):
        a, log = vector(lib, 1, 2), []

        def hook(p):
            log.append(p.grad.tolist())
            p.grad = None

        handle = a.register_post_accumulate_grad_hook(hook)
        (a * a).sum().backward()
        (a * 2).sum().backward()
        handle.remove()
        (a * 2).sum().backward()
        return log, a.grad

    same(run)


def test_a_result_takes_a_gradient():
    def run(lib):
        y = vector(lib, 1, 2) * 2
        y.grad = lib.ones(2)
        return y.grad

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns about the gradient of a result
        same(run)


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("change", [lambda T, g: "a", lambda T, g: (g,), lambda T, g: T.ones(3), lambda T, g: g.double()])
def test_what_a_hook_returns_must_be_a_gradient(change, computed):
    messages = []
    for lib in (torch, ours):
        x = lib.ones(2, requires_grad=True)
        y = x * 2 if computed else x

        def hook(g, lib=lib):
            return change(lib, g)

        y.register_hook(hook)
        with pytest.raises((RuntimeError, TypeError)) as caught:
            y.sum().backward()
        messages.append(f"{type(caught.value).__name__}: {caught.value}")
        assert x.grad is None
    assert messages[0] == messages[1]


def test_a_hook_that_returns_no_tensor_is_refused():
    def after_a_step(lib):
        y = vector(lib, 1, 2).exp()
        y.grad_fn.register_hook(lambda inner, outer: 3)
        y.sum().backward()

    def after_accumulation(lib):
        x = vector(lib, 1, 2)
        x.register_post_accumulate_grad_hook(lambda leaf: 3)
        x.exp().sum().backward()

    for hooked in (after_a_step, after_accumulation):
        with pytest.raises(TypeError, match="but hook returned 'int'"):
            hooked(torch)
        with pytest.raises(TypeError, match="but hook returned 'int'"):
            hooked(ours)

    def with_a_tensor(lib):
        x = vector(lib, 1, 2)
        x.register_post_accumulate_grad_hook(lambda leaf: leaf * 2)
        x.exp().sum().backward()

    for lib in (torch, ours):
        with pytest.raises(RuntimeError, match=r"^Tensor post accumulate grad hooks should return None\.$"):
            with_a_tensor(lib)


def test_the_engine_runs_passes():
    def run(lib):
        x, engine = vector(lib, 1, 2), lib.autograd.Variable._execution_engine
        ones = (lib.tensor(1.0),)
        (found,) = engine.run_backward((x.exp().sum(),), ones, False, False, (x,), allow_unreachable=True)
        engine.run_backward((x.sin().sum(),), ones, False, False, (), allow_unreachable=True, accumulate_grad=True)
        with lib.autograd.set_multithreading_enabled(False):
            x.cos().sum().backward()
        return found, x.grad, engine.is_checkpoint_valid()

    same(run)
