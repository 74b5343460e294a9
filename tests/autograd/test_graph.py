"""`autograd.graph`: hooks on steps of the history and on saved values, edges, the walk over next functions. Compared with PyTorch."""

import gc

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same, same_error  # noqa: E402


def plain(lib, x):
    """Tensors as lists, in any nest."""
    if isinstance(x, lib.Tensor):
        return x.tolist()
    return [plain(lib, i) for i in x] if isinstance(x, (list, tuple)) else x


def vector(lib, *numbers):
    return lib.tensor([float(n) for n in numbers], requires_grad=True)


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


def test_saved_values_by_name():
    def run(lib):
        a, b = vector(lib, 1, 2), vector(lib, 3, 4)
        product, power = a * b, a.exp()
        return [product.grad_fn._saved_self.tolist(), product.grad_fn._saved_other.tolist(), power.grad_fn._saved_result.tolist(),
                hasattr(power.grad_fn, "_saved_other")]  # fmt: skip

    same(run)


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


def test_saved_values_are_packed_and_unpacked():
    def run(lib):
        log, a, b = [], vector(lib, 1, 2), vector(lib, 3, 4)

        def pack(x):
            log.append(["pack", x.tolist()])
            return x.detach() * 1

        def unpack(x):
            log.append(["unpack", x.tolist()])
            return x

        with lib.autograd.graph.saved_tensors_hooks(pack, unpack):
            y = a * b
            z = y.exp()
            w = z + 1
        packed = sorted(log)
        w.sum().backward()
        return packed, sorted(log[len(packed) :]), a.grad, b.grad

    same(run)


def test_what_unpack_returns_is_what_the_gradient_reads():
    def run(lib):
        a, b = vector(lib, 1, 2), vector(lib, 3, 4)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: x * 2, lambda x: x):
            y = a * b
            z = y.tanh()
        z.sum().backward()
        return a.grad, b.grad

    same(run)


def test_saved_values_outside_of_tensors():
    def run(lib):
        lib.manual_seed(0)
        model = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 1))
        kept = []

        def pack(t):
            kept.append(tuple(t.shape))
            return t.detach().numpy().copy()

        for _ in range(2):
            with lib.autograd.graph.saved_tensors_hooks(pack, lib.from_numpy):
                loss = model(lib.ones(2, 3)).sum()
            loss.backward()
        return len(kept), model[0].weight.grad, model[2].weight.grad

    same(run)


def test_blocks_of_hooks_nest():
    def run(lib):
        log, hooks, a = [], lib.autograd.graph.saved_tensors_hooks, vector(lib, 1, 2)

        def noting(name):
            return lambda x: (log.append(name), x)[1]

        with hooks(noting("outer"), lambda x: x):
            y = a * a
            with hooks(noting("inner"), lambda x: x):
                z = y.exp()
            w = z.tanh()
        w.sum().backward()
        return log, a.grad

    same(run)


def test_a_backward_pass_inside_the_block():
    def run(lib):
        log, a = [], vector(lib, 1, 2)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: (log.append("pack"), x)[1], lambda x: (log.append("unpack"), x)[1]):
            (a * a).sum().backward()
            a.exp().sum().backward()
        return log, a.grad

    same(run)


def test_packed_values_may_be_overwritten():
    def run(lib):
        a = vector(lib, 1, 2)
        with lib.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
            y = a * 2
            z = y * y
        with lib.no_grad():
            y.zero_()
        z.sum().backward()
        return a.grad

    same(run)


def test_hooks_on_saved_values_may_be_disabled():
    def run(lib):
        with lib.autograd.graph.disable_saved_tensors_hooks("none here"), lib.autograd.graph.saved_tensors_hooks(lambda x: x, lambda x: x):
            return 1

    same_error(run)


def test_saved_values_on_the_cpu_and_mutation_that_is_allowed():
    def run(lib):
        a = vector(lib, 1, 2)
        with lib.autograd.graph.save_on_cpu():
            y = a * a
        y.sum().backward()
        with lib.autograd.graph.allow_mutation_on_saved_tensors():
            b = a.clone()
            c = (b**2).sum()
            b.sin_()
            c.backward()
        x = lib.ones(2)
        lib.autograd.graph.increment_version(x)
        return a.grad, x._version

    same(run)


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


def test_saved_values_must_not_be_written_and_blocks_of_hooks_are_not_disabled_inside():
    def write(lib):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t):
            vector(lib, 1, 2).exp()

    def disable(lib):
        with lib.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t), lib.autograd.graph.disable_saved_tensors_hooks("no"):
            pass

    def freed(lib):
        y = vector(lib, 1, 2).exp().sum()
        edge = lib.autograd.graph.get_gradient_edge(y)
        y.backward()
        lib.autograd.backward(edge)

    for run in (write, disable, freed):
        assert isinstance(same(run), RuntimeError)


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


def test_numbers_are_no_saved_tensors():
    def run(lib):
        x, seen = vector(lib, 1, 2), []
        with lib.autograd.graph.saved_tensors_hooks(lambda t: (seen.append(tuple(t.shape)), t)[1], lambda t: t):
            y = (x * 7.25).exp()
        y.sum().backward()
        return seen, x.grad

    same(run)


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
