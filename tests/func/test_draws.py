"""Random numbers inside vmap are PyTorch's, whichever function asks for them."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

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
