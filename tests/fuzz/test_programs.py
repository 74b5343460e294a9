"""5,000 random programs agree with PyTorch (see programs.py)."""

import pytest

pytest.importorskip("torch")
from . import programs

CHUNK = 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 5000, CHUNK))
def test_random_programs_agree_with_torch(first):
    bad, events = programs.run(first, CHUNK)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > CHUNK // 4 and events["backward"] > CHUNK // 4
