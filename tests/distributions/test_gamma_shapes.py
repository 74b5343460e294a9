"""Draws from distributions of gamma numbers: their shape is that of the parameters, and none lies on the border of the support."""

import pytest

from tests.facade.compare import same

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("shape", [(), (1,), (2, 3)], ids=str)
@pytest.mark.parametrize("name", ["Gamma", "Chi2", "StudentT", "Beta"])
def test_shapes(name, shape):
    def run(T):
        T.manual_seed(0)
        a = T.full(shape, 3.0, requires_grad=True)
        d = getattr(T.distributions, name)(*([a, T.ones(shape)] if name in ("Gamma", "Beta") else [a]))
        x = d.rsample()
        x.sum().backward()
        return [x.detach(), a.grad, d.log_prob(x.detach()).detach()]

    same(run, rtol=2e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [1e-2, 1e-3])
def test_small_parameters_draw_neither_zero_nor_one(shape, dtype):
    def run(T):
        T.manual_seed(0)
        a = T.full((2,), shape, dtype=getattr(T, dtype))
        draws = [T.distributions.Beta(a, a).sample((200,)), T.distributions.Dirichlet(a).sample((200,))]
        assert all(0 < x.min().item() and x.max().item() < 1 for x in draws)
        return draws

    same(run)
