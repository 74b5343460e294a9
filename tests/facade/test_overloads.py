"""Calls of scaled sums in the order of early versions of PyTorch, which old optimizers use and PyTorch still takes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.facade import overloads  # noqa: E402

from ..parity.scripts import same  # noqa: E402


def matrix(T):
    return T.arange(4.0).view(2, 2) + 1


CASES = {
    "add": lambda T: [T.ones(2).add(3, T.arange(2.0)), T.add(T.ones(2), 3, T.arange(2.0)), T.ones(2).add_(-0.5, T.arange(2.0))],
    "sub": lambda T: [T.ones(2).sub(3, T.arange(2.0)), T.sub(T.ones(2), 3, T.arange(2.0)), T.ones(2).sub_(3, T.arange(2.0))],
    "addcmul": lambda T: [T.ones(2).addcmul(0.5, T.arange(2.0), T.arange(2.0)), T.addcmul(T.ones(2), 2, T.ones(2), T.ones(2))],
    "addcmul_": lambda T: T.ones(2).mul_(0.9).addcmul_(0.1, T.arange(2.0), T.arange(2.0)),
    "addcdiv_": lambda T: T.ones(2).addcdiv_(-0.1, T.arange(2.0), T.full((2,), 4.0)),
    "addmm": lambda T: [
        matrix(T).addmm(2, matrix(T), matrix(T)),
        matrix(T).addmm(2, 3, matrix(T), matrix(T)),
        T.addmm(0.5, matrix(T), 2, matrix(T), matrix(T)),
        T.addmm(0.5, matrix(T), matrix(T), matrix(T)),
        matrix(T).addmm_(0.5, 2, matrix(T), matrix(T)),
    ],
    "addmv": lambda T: [T.ones(2).addmv(2, matrix(T), T.ones(2)), T.addmv(0.5, T.ones(2), 2, matrix(T), T.ones(2))],
    "addr": lambda T: [matrix(T).addr_(2, T.ones(2), T.arange(2.0)), T.addr(2, matrix(T), 3, T.ones(2), T.arange(2.0))],
    "baddbmm": lambda T: [matrix(T)[None].baddbmm(2, matrix(T)[None], matrix(T)[None])],
    "addbmm": lambda T: [matrix(T).addbmm_(2, 3, matrix(T)[None], matrix(T)[None])],
    "as they are written today": lambda T: [
        T.ones(2).add(T.arange(2.0), alpha=2),
        T.ones(2).add_(1),
        T.ones(2) + 1,
        T.addmm(matrix(T), matrix(T), matrix(T), beta=2),
        T.ones(2).addcmul_(T.ones(2), T.ones(2), value=3),
    ],
}


@pytest.mark.filterwarnings("ignore:This overload of:UserWarning", "ignore:An output with one or more elements:UserWarning")
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_as_in_pytorch(case):
    same(case)


@pytest.mark.filterwarnings("ignore:This overload of:UserWarning")
def test_a_step_of_an_old_optimizer():
    def run(T):
        p = T.nn.Parameter(T.ones(3))
        (p * T.arange(3.0)).sum().backward()
        p.data.add_(-0.1, p.grad.data)
        return p

    same(run)


def test_it_is_said_once(monkeypatch):
    monkeypatch.setattr(overloads, "_told", set())
    with pytest.warns(UserWarning, match=r"overload of add_ is deprecated: .* alpha="):
        ours.ones(2).add_(2, ours.ones(2))
    assert ours.ones(2).add_(2, ours.ones(2)).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("call", [lambda T: T.ones(2).add(1, 2, 3), lambda T: T.ones(2).addcmul(T.ones(2), T.ones(2), "x")])
def test_other_arguments_too_many_are_refused(call):
    for T in (torch, ours):
        with pytest.raises(TypeError):
            call(T)


@pytest.mark.parametrize("element", ["name", None, [1.0]])
def test_what_no_tensor_can_hold_is_not_looked_for(element):
    for T in (torch, ours):
        assert 2 in T.arange(3) and T.tensor(1) in T.arange(3) and 5 not in T.arange(3) and np.int64(1) in T.arange(3)
        with pytest.raises(RuntimeError, match="only supports Tensor or scalar, but you passed in"):
            element in T.arange(3)  # noqa: B015


SUMS = {
    "a float beside integers": lambda T: T.add(T.tensor([1]), 2, alpha=1.5),
    "a float in an integer tensor": lambda T: T.tensor([1]).add_(2, alpha=1.5),
    "a float in a sum of floats": lambda T: T.add(T.tensor([1.0]), T.tensor([2]), alpha=0.5),
    "in the type of the sum": lambda T: T.sub(T.tensor([0.0], dtype=T.float64), T.tensor([1]), alpha=0.1),
    "a boolean": lambda T: T.add(T.tensor([1.0]), 2, alpha=True),
    "a boolean of booleans": lambda T: T.add(T.tensor([True]), T.tensor([True]), alpha=False),
    "a number of booleans": lambda T: [T.add(T.tensor([True]), T.tensor([False]), alpha=2), T.add(T.tensor([True]), True, alpha=2)],
    "complex, of floats": lambda T: T.add(T.tensor([1.0]), T.tensor([2.0]), alpha=1j),
    "complex": lambda T: T.add(T.tensor([1j]), T.tensor([2.0]), alpha=2j),
    "reversed": lambda T: T.rsub(T.tensor([1]), 2, alpha=1.5),
}


@pytest.mark.parametrize("case", SUMS)
def test_alpha_is_a_number_of_the_sums_type(case):
    found = []
    for lib in (torch, ours):
        try:
            found.append(_values(SUMS[case](lib)))
        except RuntimeError as error:
            found.append(str(error))
    assert found[0] == found[1]


def _values(found):
    return [(str(t.dtype), t.tolist()) for t in (found if isinstance(found, list) else [found])]


def test_an_error_of_two_tensors_maximum_is_not_about_dimensions():
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match the size of tensor b \(3\)"):
        ours.max(ours.ones(2), ours.ones(3))
