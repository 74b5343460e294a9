"""Draws from distributions of gamma numbers have the shape of the parameters, one number for one number."""

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
