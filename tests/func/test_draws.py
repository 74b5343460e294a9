"""Random numbers inside vmap are PyTorch's, whichever function asks for them."""

import pytest

import torchlike_asg as ours

from ..parity.scripts import same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

DRAWS = {
    "normal of a shape": lambda L, t, g: L.normal(0.5, 2.0, (3, 3), generator=g),
    "normal around": lambda L, t, g: L.normal(t, 1.0, generator=g),
    "coins of one probability": lambda L, t, g: L.bernoulli(t, 0.5, generator=g),
    "coins in place": lambda L, t, g: t.clone().bernoulli_(0.3, generator=g),
    "coins of each probability": lambda L, t, g: t.clone().bernoulli_(t.clamp(0, 1), generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("own", [False, True])
def test_each_example_has_numbers_of_its_own(name, own):
    found = []
    for L in (torch, ours):
        L.manual_seed(5)
        x, g = L.arange(24.0).reshape(2, 3, 4) / 24 + 0.1, L.Generator() if own else None
        found.append(L.func.vmap(lambda t, L=L, g=g: DRAWS[name](L, t, g), randomness="different")(x).flatten().tolist())
    assert found[1] == pytest.approx(found[0], abs=1e-6)


def test_one_draw_for_all_examples():
    for L in (torch, ours):
        drawn = L.func.vmap(lambda t, L=L: t * 0 + L.normal(0.0, 1.0, (3,)), randomness="same")(L.zeros(2, 3))
        assert drawn[0].tolist() == drawn[1].tolist()
        with pytest.raises(RuntimeError, match="randomness error mode"):
            L.func.vmap(lambda t, L=L: t + L.normal(0.0, 1.0, (3,)))(L.zeros(2, 3))


def test_different_draws_for_each_example():
    x = ours.ones(4, 3)
    out = ours.func.vmap(lambda r: r + ours.rand(3), randomness="different")(x)
    assert len({tuple(r) for r in out.tolist()}) == 4
    drop = ours.func.vmap(lambda r: ours.nn.functional.dropout(r.repeat(50)), randomness="different")(x)
    assert len({tuple(r) for r in drop.tolist()}) == 4
    coin = ours.func.vmap(ours.bernoulli, randomness="different")(ours.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert coin.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    noise = ours.func.vmap(lambda r: ours.empty(3).normal_(), randomness="different")(x)
    assert len({tuple(r) for r in noise.tolist()}) == 4


NESTED = ["different", "same"]


@pytest.mark.parametrize("outer", NESTED)
@pytest.mark.parametrize("inner", NESTED)
def test_draws_inside_nested_vmaps_are_pytorchs(outer, inner):
    def run(L):
        def draws(r):
            return L.rand(2) + r, L.randn(9) + r, L.randint(0, 99, (2,)) + r.long(), L.nn.functional.dropout(r.repeat(9))

        drawn = L.func.vmap(L.func.vmap(draws, randomness=inner), randomness=outer)(L.ones(3, 2))
        return drawn, L.func.vmap(lambda r: r.repeat(4).normal_(), randomness=inner)(L.ones(3, 5))

    same(run)


def test_draws_inside_jacfwd():
    for kind in ("same", "different"):
        same(lambda L, kind=kind: L.func.jacfwd(lambda a, b: a * L.rand(3) + b.sum() * L.rand(3), (0, 1), randomness=kind)(
            L.arange(3.0), L.ones(2, 2)))  # fmt: skip
    with pytest.raises(RuntimeError, match="randomness error mode"):
        ours.func.hessian(lambda a: (a * ours.rand(3)).sum())(ours.ones(3))
