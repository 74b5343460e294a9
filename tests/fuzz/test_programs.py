"""Random programs agree with PyTorch: 5,000 over real tensors (programs.py), 300 over complex ones (complex_programs.py)."""

import pytest

pytest.importorskip("torch")
from . import complex_programs, programs

CHUNK = 100


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 5000, CHUNK))
def test_random_programs_agree_with_torch(first):
    bad, events = programs.run(first, CHUNK)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > CHUNK // 4 and events["backward"] > CHUNK // 4


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_random_complex_programs_agree_with_torch(first):
    bad, events = programs.run(first, CHUNK, complex_programs.ComplexProgram)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > CHUNK // 4 and events["backward"] > CHUNK // 4
