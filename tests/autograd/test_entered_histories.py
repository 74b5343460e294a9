"""Which histories the transforms of torch.func enter, against PyTorch."""

import warnings

import pytest

torch = pytest.importorskip("torch")

from ..facade.compare import same  # noqa: E402

TRANSFORMS = {
    "grad": lambda T, v: T.func.grad(lambda a: (a**3).sum())(v),
    "grad of grad": lambda T, v: T.func.grad(lambda b: T.func.grad(lambda a: (a**3).sum())(b).sum())(v),
    "jacrev": lambda T, v: T.func.jacrev(lambda a: a.exp())(v),
    "hessian": lambda T, v: T.func.hessian(lambda a: (a**3).sum())(v),
    "vjp": lambda T, v: T.func.vjp(T.exp, v)[1](T.ones(2))[0],
    "of what it captures": lambda T, v: T.func.grad(lambda a: (a.exp() * v).sum())(T.ones(2)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("read", [False, True])
def test_a_transform_enters_no_history_that_was_freed_outside(name, read):
    def run(T):
        a = T.tensor([0.5, 1.5], requires_grad=True)
        v = T.sin(a * 2)
        v.sum().backward()
        if read:
            v.tolist()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, of its jit
            return TRANSFORMS[name](T, v).detach()

    assert not isinstance(same(run), Exception)
