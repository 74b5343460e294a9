"""`torch.func.functional_call`: what else than parameters and buffers may be replaced, and what is refused, as in PyTorch."""

import pytest

torch = pytest.importorskip("torch")
import torchlike_asg as ours  # noqa: E402


def model(T):
    class Scaled(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.l = T.nn.Linear(1, 1)
            self.register_buffer("b", T.ones(1))
            self.scale, self.inner, self.count = T.tensor([1.0]), T.nn.Module(), 5
            self.inner.shift = T.tensor(3.0)

        def forward(self, x):
            return self.scale * x + self.inner.shift * 100 + getattr(self, "extra", 0)

    return Scaled()


GIVEN = {
    "an attribute": lambda T: {"scale": T.tensor([2.0])},
    "an attribute within": lambda T: {"inner.shift": T.tensor(1.0)},
    "a name that is not there": lambda T: {"extra": T.tensor(7.0)},
    "no tensor there": lambda T: {"count": T.tensor(1.0)},
    "no such module": lambda T: {"missing.t": T.tensor(1.0)},
    "no module": lambda T: {"scale.t": T.tensor(1.0)},
    "a number": lambda T: {"scale": 1.0},
    "a number for a parameter": lambda T: {"l.weight": 1.0},
    "twice": lambda T: [{"scale": T.tensor([2.0])}, {"scale": T.tensor([2.0])}],
}


def outcome(T, given, **options):
    m = model(T)
    before = m.scale, m.inner.shift
    try:
        result = T.func.functional_call(m, given(T), T.ones(1), **options).tolist()
    except Exception as error:
        result = type(error).__name__, str(error)
    assert m.scale is before[0] and m.inner.shift is before[1] and m.count == 5 and not hasattr(m, "extra")
    return result


@pytest.mark.parametrize("what", GIVEN)
def test_what_may_be_replaced(what):
    assert outcome(ours, GIVEN[what]) == outcome(torch, GIVEN[what])


def test_strict_names_what_is_missing_and_what_is_too_much():
    assert outcome(ours, GIVEN["an attribute"], strict=True) == outcome(torch, GIVEN["an attribute"], strict=True)


def test_gradients_reach_an_attribute():
    for T in (torch, ours):
        g = T.func.grad(lambda s: T.func.functional_call(model(T), {"scale": s}, T.full((1,), 4.0)).sum())  # noqa: B023 -- called at once
        assert g(T.tensor([2.0])).tolist() == [4.0]
