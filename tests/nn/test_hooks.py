"""Hooks of modules beside torch's: arguments, order, replacement, removal, and what they see of gradients."""

from __future__ import annotations

import copy

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


def numbers(value):
    """Tensors as lists, to be compared."""
    if isinstance(value, (tuple, list)):
        return [numbers(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


class Twice:
    """Builds modules for either package."""

    def __new__(cls, package):
        class Double(package.nn.Module):
            def forward(self, x, *, scale=2):
                if scale == 0:
                    raise ValueError("scale is zero")
                return x * scale

        return Double()


@BOTH
def test_forward_hooks_in_order_with_replacement(package):
    m, log = Twice(package), []
    m.register_forward_pre_hook(lambda mod, args: log.append("pre1"))
    m.register_forward_pre_hook(lambda mod, args: log.append("pre0"), prepend=True)
    m.register_forward_pre_hook(lambda mod, args: args[0] + 1)
    m.register_forward_hook(lambda mod, args, out: log.append(("post", numbers(args), numbers(out))))
    last = m.register_forward_hook(lambda mod, args, out: out * 10)
    m.register_forward_hook(lambda mod, args, out: log.append("first"), prepend=True)
    assert m(package.tensor([1.0])).tolist() == [40.0]
    assert log == ["pre0", "pre1", "first", ("post", [[2.0]], [4.0])]
    last.remove()
    assert m(package.tensor([1.0])).tolist() == [4.0]


@BOTH
def test_hooks_with_kwargs(package):
    m, log = Twice(package), []
    m.register_forward_pre_hook(lambda mod, args, kwargs: (args, {"scale": kwargs["scale"] + 1}), with_kwargs=True)
    m.register_forward_hook(lambda mod, args, kwargs, out: log.append(kwargs), with_kwargs=True)
    assert m(package.tensor([1.0]), scale=4).tolist() == [5.0]
    assert log == [{"scale": 5}]
    m.register_forward_pre_hook(lambda mod, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="forward pre-hook must return None or a tuple"):
        m(package.tensor([1.0]), scale=4)


@BOTH
def test_always_called_hooks_run_after_errors(package):
    m, log = Twice(package), []
    m.register_forward_hook(lambda mod, args, out: log.append("usual"))
    m.register_forward_hook(lambda mod, args, out: log.append(("always", out)), always_call=True)
    with pytest.raises(ValueError, match="scale is zero"):
        m(package.tensor([1.0]), scale=0)
    assert log == [("always", None)]

    def fails(mod, args, out):
        raise KeyError("second")

    m.register_forward_hook(fails, always_call=True)
    with pytest.raises(ValueError, match="scale is zero"), pytest.warns(UserWarning, match="silenced"):
        m(package.tensor([1.0]), scale=0)


@BOTH
def test_handles_are_context_managers(package):
    m, log = Twice(package), []
    with m.register_forward_hook(lambda *args: log.append(1)):
        m(package.ones(1))
    m(package.ones(1))
    assert log == [1]
    assert not m._forward_hooks


def gradients(package, register):
    """A two-input module in a small net; what `register`'s hooks saw, and the gradients that reached the leaves."""

    class Product(package.nn.Module):
        def forward(self, a, b, factor):
            return a * b * factor, a + 1

    seen, m = [], Product()
    register(package, m, seen)
    x = package.tensor([1.0, 2.0], requires_grad=True)
    y = package.tensor([3.0, 4.0], requires_grad=True)
    p, q = m(x * 1, y, 2.0)
    (p.sum() * 3 + (q * package.tensor([5.0, 6.0])).sum()).backward()
    return seen, x.grad.tolist(), y.grad.tolist()


@pytest.mark.parametrize(
    "hook",
    [
        lambda m, gi, go: None,
        lambda m, gi, go: (gi[0] * 2, gi[1] * 0, None),
        lambda m, gi, go: (go[0], go[1], None),
    ],
    ids=["look", "replace", "cross"],
)
def test_full_backward_hooks(hook):
    def register(package, m, seen):
        m.register_full_backward_hook(lambda mod, gi, go: seen.append((type(mod).__name__, numbers(gi), numbers(go))))
        m.register_full_backward_hook(hook)

    assert gradients(torch, register) == gradients(ours, register)


def test_full_backward_pre_hooks():
    def register(package, m, seen):
        m.register_full_backward_pre_hook(lambda mod, go: seen.append(numbers(go)))
        m.register_full_backward_pre_hook(lambda mod, go: (go[0] * 10, go[1]))
        m.register_full_backward_hook(lambda mod, gi, go: seen.append((numbers(gi), numbers(go))))

    assert gradients(torch, register) == gradients(ours, register)


@pytest.mark.parametrize("pre", [False, True])
def test_gradients_of_unused_inputs_are_zeros_and_of_unused_outputs_none(pre):
    results = []
    for package in (torch, ours):

        class Three(package.nn.Module):
            def forward(self, a, b, c):
                return a * 2, a * 3, c

        m, seen = Three(), []
        m.register_full_backward_hook(lambda mod, gi, go, seen=seen: seen.append((numbers(gi), numbers(go))))
        if pre:
            m.register_full_backward_pre_hook(lambda mod, go, seen=seen: seen.append(numbers(go)))
        a, b, c = (package.ones(1, requires_grad=flag) for flag in (True, True, False))
        outputs = m(a, b, c)
        outputs[0].sum().backward(retain_graph=True)
        outputs[1].sum().backward()
        results.append((seen, [o.requires_grad for o in outputs], numbers(a.grad), numbers(b.grad)))
    assert results[0] == results[1]


@BOTH
def test_backward_hook_on_layers_of_a_net(package):
    package.manual_seed(0)
    net = package.nn.Sequential(package.nn.Linear(3, 4), package.nn.ReLU(), package.nn.Linear(4, 1))
    shapes = []
    for layer in net:
        layer.register_full_backward_hook(lambda m, gi, go: shapes.append((type(m).__name__, gi[0] is None, tuple(go[0].shape))))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        net(package.ones(2, 3)).sum().backward()
    assert shapes == [("Linear", False, (2, 1)), ("ReLU", False, (2, 4)), ("Linear", True, (2, 4))]


@BOTH
def test_gradient_of_inputs_without_requires_grad_cannot_be_replaced(package):
    m = package.nn.Linear(2, 1)
    m.register_full_backward_hook(lambda mod, gi, go: (go[0],))
    with pytest.raises(RuntimeError, match="where no input requires gradient"), pytest.warns(UserWarning, match="no inputs require"):
        m(package.ones(1, 2)).sum().backward()


@BOTH
def test_wrong_number_of_gradients(package):
    m = package.nn.ReLU()
    m.register_full_backward_hook(lambda mod, gi, go: (go[0], go[0]))
    with pytest.raises(RuntimeError, match="invalid number of grad_input"):
        m(package.ones(2, requires_grad=True)).sum().backward()


@BOTH
def test_old_backward_hook_of_a_single_operation(package):
    m, seen = package.nn.ReLU(), []
    m.register_backward_hook(lambda mod, gi, go: seen.append((numbers(gi), numbers(go))))
    x = package.tensor([-1.0, 1.0], requires_grad=True)
    m(x * 1).sum().backward()
    assert seen == [([[0.0, 1.0]], [[1.0, 1.0]])]


@BOTH
@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (lambda self, m: (m[0].clone(), m[1].clone()), "does not take as input a single Tensor or a tuple of Tensors"),
        (lambda self, m: [m[0].clone()], "does not return a single Tensor or a tuple of Tensors"),
        (lambda self, m: (m.clone(), m.clone()), "outputs are generated by different autograd Nodes"),
        (lambda self, m: m.clone().clone(), "the forward contains multiple autograd Nodes"),
    ],
)
def test_why_an_old_backward_hook_does_not_see_all(package, forward, reason):
    m = type("M", (package.nn.Module,), {"forward": forward})()
    m.register_backward_hook(lambda *args: None)
    x = package.rand(2, requires_grad=True)
    with pytest.warns(FutureWarning, match=reason):
        m([x, x] if "as input" in reason else x)


@BOTH
def test_old_backward_hook_sees_the_last_operation(package):
    package.manual_seed(0)
    m, seen = package.nn.Sequential(package.nn.Linear(3, 2), package.nn.Linear(2, 2)), []
    m.register_backward_hook(lambda mod, gi, go: seen.append((mod is m, [None if g is None else tuple(g.shape) for g in gi], numbers(go))))
    m[0].register_backward_hook(lambda mod, gi, go: (gi[0] * 2, gi[1], gi[2] * 3))  # bias, input, transposed weight
    with pytest.warns(FutureWarning, match="multiple"):
        y = m(package.ones(3, 3))
    y.mul_(2)  # what a full backward hook returns must not be written to
    y.sum().backward()
    assert seen == [(True, [(2,), (3, 2), (2, 2)], [[[2.0, 2.0]] * 3])]
    weight, bias = m[0].weight.grad, m[0].bias.grad
    assert package.allclose(weight[:, 0] * 2, bias * 3)


@BOTH
def test_gradients_that_hooks_keep_are_data(package):
    package.manual_seed(0)
    m, seen = package.nn.Sequential(package.nn.Linear(3, 2), package.nn.Tanh(), package.nn.Linear(2, 1)), []
    m[1].register_full_backward_hook(lambda mod, gi, go: seen.append((gi[0], go[0])))
    y = m(package.ones(1, 3))
    assert m[:2](package.ones(1, 3)).grad_fn.name() == "BackwardHookFunctionBackward"
    y.sum().backward()
    package.optim.SGD(m.parameters(), 0.1).step()
    assert not seen[0][0].requires_grad
    assert len(seen[0][1].tolist()[0]) == 2


@BOTH
def test_gradients_past_the_outputs_call_no_hook(package):
    class AsList(package.nn.Module):
        def forward(self, x):
            return [x * 2]

    m, seen = AsList(), []
    m.register_full_backward_hook(lambda *args: seen.append(args))
    x = package.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple"):
        y = m(x)
    y[0].sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert not seen


@BOTH
def test_handles(package):
    m = package.nn.ReLU()
    handle = m.register_forward_hook(lambda *args: None, with_kwargs=True)
    assert type(handle) is package.utils.hooks.RemovableHandle
    from collections import OrderedDict

    table, more = OrderedDict(), [OrderedDict(), OrderedDict()]
    handle = package.utils.hooks.RemovableHandle(table, extra_dict=more)
    table[handle.id] = more[1][handle.id] = 1
    handle.remove()
    assert not table
    assert not more[1]


@BOTH
def test_kinds_of_backward_hooks_do_not_mix(package):
    m = package.nn.ReLU()
    m.register_backward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="Cannot use both"):
        m.register_full_backward_hook(lambda *args: None)


@BOTH
def test_backward_hooks_want_tensors(package):
    class AsDict(package.nn.Module):
        def forward(self, x):
            return {"x": x}

    m = AsDict()
    m.register_full_backward_hook(lambda *args: None)
    with pytest.warns(UserWarning, match="module output should be a Tensor or a tuple"):
        m(package.ones(1, requires_grad=True))


@BOTH
def test_no_grad_calls_skip_backward_hooks(package):
    m = package.nn.Linear(1, 1)
    m.register_full_backward_hook(lambda *args: None)
    with package.no_grad():
        assert not m(package.ones(1, 1)).requires_grad


@BOTH
def test_global_hooks(package):
    module, log = package.nn.modules.module, []
    handles = [
        module.register_module_forward_pre_hook(lambda m, args: log.append(f"pre {type(m).__name__}")),
        module.register_module_forward_hook(lambda m, args, out: log.append(f"post {type(m).__name__}")),
        module.register_module_full_backward_hook(lambda m, gi, go: log.append(f"back {type(m).__name__}")),
    ]
    net = package.nn.Sequential(package.nn.ReLU())
    net[0].register_forward_hook(lambda m, args, out: log.append("own"))
    net(package.ones(1, requires_grad=True)).sum().backward()
    for handle in handles:
        handle.remove()
    net(package.ones(1))
    assert log == ["pre Sequential", "pre ReLU", "post ReLU", "own", "post Sequential", "back ReLU", "back Sequential", "own"]


@BOTH
def test_registration_hooks(package):
    module, log = package.nn.modules.module, []
    with (
        module.register_module_parameter_registration_hook(lambda m, name, p: log.append(("parameter", name))),
        module.register_module_buffer_registration_hook(lambda m, name, b: log.append(("buffer", name))),
        module.register_module_module_registration_hook(lambda m, name, c: log.append(("module", name))),
    ):
        package.nn.Sequential(package.nn.BatchNorm1d(1))
    assert [entry for entry in log if entry[1] is not None] == [
        ("parameter", "weight"),
        ("parameter", "bias"),
        ("buffer", "running_mean"),
        ("buffer", "running_var"),
        ("buffer", "num_batches_tracked"),
        ("module", "0"),
    ]


@BOTH
def test_hooks_are_copied_with_the_module(package):
    m = package.nn.Linear(1, 1)
    m.register_forward_hook(lambda mod, args, out: out * 0)
    assert copy.deepcopy(m)(package.ones(1, 1)).item() == 0


def test_only_modules_with_hooks_take_the_path_that_looks_for_them():
    m, other = ours.nn.Linear(1, 1), ours.nn.Linear(1, 1)
    m.register_forward_hook(lambda *args: None)
    assert (m._hooked, other._hooked) == (True, False)
    with ours.nn.modules.module.register_module_forward_hook(lambda *args: None):
        assert other._hooked
    assert not other._hooked
