"""Random programs agree with PyTorch: 5,000 over real tensors (programs.py), 300 over complex ones (complex_programs.py).

So do random training loops (training.py), 30 here, 120 with the slow tests; and 25 random training scripts (scripts.py).
"""

import pytest

pytest.importorskip("torch")
from torchlike_asg import config
from torchlike_asg.facade import moving

from . import complex_programs, programs, scripts, training

CHUNK = 100


@pytest.mark.parametrize("first, count", [(0, 100), (1828, 1), (3717, 1), (4714, 1)])
def test_random_programs_whose_places_are_all_data(first, count, monkeypatch):
    """Every subscript, `select`, `narrow`, `as_strided`, `diagonal` and `..._scatter` is taken for one that moves, as a loop's are."""
    monkeypatch.setattr(config, "backend", "reference")
    monkeypatch.setattr(moving, "moves", lambda *_: True)
    bad, _ = programs.run(first, count)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 5000, CHUNK))
def test_random_programs_agree_with_torch(first, monkeypatch):
    """All but every fifth hundred through NumPy's backend, which compiles nothing: what becomes of storages and gradients is decided
    above it."""
    monkeypatch.setattr(config, "backend", "reference" if first // CHUNK % 5 else "cpu")
    bad, events = programs.run(first, CHUNK)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > CHUNK // 4 and events["backward"] > CHUNK // 4


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_random_complex_programs_agree_with_torch(first):
    bad, events = programs.run(first, CHUNK, complex_programs.ComplexProgram)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > CHUNK // 4 and events["backward"] > CHUNK // 4


def differing(seeds):
    return [f"seed {seed}: {message}" for seed in seeds if (message := training.check(seed))]


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (30, 60, 90))])
def test_random_training_loops_agree_with_torch(first):
    assert not differing(range(first, first + 30))


def test_random_training_scripts_agree_with_torch():
    bad, events = scripts.run(0, 25)
    assert not bad, "\n".join(f"seed {seed}: {message}" for seed, message, _ in bad)
    assert events["ran to the end"] > 12
