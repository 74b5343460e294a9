"""The function that `vjp` or `linearize` returns, used after reads, and inside other transforms of the same depth."""

import numpy as np
import pytest

import torchlike_asg as ours
from tests.facade.compare import same

FUNC = ours.func
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of PyTorch, at its first use of forward mode


@pytest.mark.parametrize("made", ["vjp", "linearize"])
def test_reads_between_change_nothing(made):
    ours.manual_seed(0)
    for _ in range(6):  # reads close the trace from some step on
        x = ours.randn(3)
        out, f = getattr(FUNC, made)(lambda x: x.sin(), x)
        assert np.abs((out - x.sin()).numpy()).max() < 1e-6
        assert x.cos().numpy().shape == (3,)
        v = ours.randn(3)
        found = f(v)
        found = found[0] if made == "vjp" else found
        assert np.abs((found - v * x.cos()).numpy()).max() < 1e-6


def test_reads_of_what_else_is_returned():
    for _ in range(3):
        x = ours.randn(3)
        out, f, aux = FUNC.vjp(lambda x: (x.sin(), {"a": x.cos()}), x, has_aux=True)
        assert np.abs((aux["a"] - x.cos()).numpy()).max() < 1e-6
        assert np.abs((out - x.sin()).numpy()).max() < 1e-6
        v = ours.randn(3)
        assert np.abs((f(v)[0] - v * x.cos()).numpy()).max() < 1e-6


def test_derivatives_by_the_cotangent():
    def run(lib):
        x, y = lib.tensor(0.3), lib.tensor(0.5)
        _, f = lib.func.vjp(lib.sin, x)
        of_y = lambda y: f(y)[0]  # noqa: E731
        return [lib.func.grad(of_y)(y), lib.func.jvp(of_y, (y,), (y,)), lib.func.grad(of_y)(x), lib.func.vjp(of_y, x)[1](y)]

    same(run)


def test_derivatives_of_a_linear_map():
    def run(lib):
        x = lib.tensor(0.3)
        _, f = lib.func.linearize(lib.sin, x)
        return [lib.func.vjp(f, x)[1](x), lib.func.jacrev(f)(x)]

    same(run)


def test_histories_of_the_primal_are_kept():
    def run(lib):
        x = lib.tensor(0.3, requires_grad=True)
        _, f = lib.func.vjp(lib.sin, x)
        f(x.detach())[0].backward()
        inner = lambda x: lib.func.vjp(lib.sin, x)[1](x)[0]  # noqa: E731
        return x.grad, lib.func.grad(lib.func.grad(inner))(x.detach())

    same(run)
