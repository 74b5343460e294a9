"""Patterns of public scripts give PyTorch's losses, samples and weights: the same code under both libraries, from the same seed."""

import pytest

from tests.parity.scripts import same

from .agents import AGENTS
from .patterns import PATTERNS
from .sequences import SEQUENCES


@pytest.mark.parametrize("script", [*PATTERNS, *SEQUENCES, *AGENTS], ids=lambda f: f.__name__)
def test_a_script_gives_pytorchs_numbers(script):
    same(script, rtol=2e-3, atol=1e-4)


def test_a_size_by_name():
    def sizes(T):
        made = [getattr(T, name)(size=(2, 3)) for name in ("zeros", "ones", "rand", "randn")]
        made += [T.empty(size=[2]).shape, T.zeros(1).new_ones(size=(2,))]
        refused = []
        for bad in (dict(size=2), dict(size=(2, 0.5))):
            with pytest.raises(TypeError, match="size"):
                T.zeros(**bad)
            refused.append("refused")
        return made, refused

    same(sizes)
