"""Hooks on several gradients at once, in passes that are asked for some gradients only."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same  # noqa: E402

PASSES = {
    "all": lambda T, a, b, c, d: d.sum().backward(retain_graph=True),
    "a leaf": lambda T, a, b, c, d: c.sum().backward(inputs=(a,), retain_graph=True),
    "the other leaf": lambda T, a, b, c, d: d.sum().backward(inputs=(b,), retain_graph=True),
    "a result": lambda T, a, b, c, d: c.sum().backward(inputs=(c,), retain_graph=True),
    "the last result": lambda T, a, b, c, d: (c.sum() + d.sum()).backward(inputs=(d,), retain_graph=True),
    "grad of a result": lambda T, a, b, c, d: T.autograd.grad(d.sum(), c, retain_graph=True),
    "grad of two results": lambda T, a, b, c, d: T.autograd.grad(d.sum(), [c, d], retain_graph=True),
}


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_waits_for_what_the_pass_reaches(mode, read):
    def run(T):
        a, b = (T.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
        log = []
        c = a * b
        if read:
            c.sum().item()
        d = c * b
        if read:
            d.sum().item()
        T.autograd.graph.register_multi_grad_hook(
            (a, b, c, d), lambda g: log.append([x if x is None else x.tolist() for x in g] if mode == "all" else 1), mode=mode
        )
        for name, run in PASSES.items():
            log.append(name)
            run(T, a, b, c, d)
        return log

    same(run)


def test_a_hook_after_accumulation_may_return_the_leaf():
    """As a lambda expression around an update in place does."""

    def run(T):
        x = T.tensor([1.0, 2.0], requires_grad=True)
        x.register_post_accumulate_grad_hook(lambda leaf: leaf.add_(leaf.grad, alpha=-0.5))
        x.backward(T.tensor([1.0, 2.0]))
        return x

    same(run)


def test_values_are_not_saved_elsewhere_where_hooks_on_them_are_disabled():
    def run(T):
        with T.autograd.graph.disable_saved_tensors_hooks("not here"), T.autograd.graph.save_on_cpu():
            pass

    same(run)
    with pytest.raises(RuntimeError, match="not here"):
        run(ours)
