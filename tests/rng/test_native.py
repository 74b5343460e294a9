"""The compiled path: equal to NumPy's bit for bit, built when it pays, never needed."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws, native
from torchlike_asg.rng.fma import fma32, fma64

FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)

DRAWS: dict[str, Callable[[Engine, int], np.ndarray]] = {
    **{f"uniform {d}": lambda e, n, d=d: draws.uniform(e, (n,), None, d, -0.3, 1.9) for d in FLOATS},
    **{f"normal {d}": lambda e, n, d=d: draws.normal(e, (n,), None, d, 0.2, 1.3) for d in FLOATS},
    "normal, strided": lambda e, n: draws.normal(e, (n, 2), (1, n), dtypes.float32, 0.2, 1.3),
    "bernoulli": lambda e, n: draws.bernoulli(e, (n,), None, 0.3),
    "small range": lambda e, n: draws.randint(e, -7, 50_000, (n,)),
    "wide range": lambda e, n: draws.randint(e, -7, 2**62 + 2**61, (n,)),
    "permutation": draws.randperm,
    "exponential": lambda e, n: draws.exponential(e, (n,), None, dtypes.float64, 0.7),
    "geometric": lambda e, n: draws.geometric(e, (n,), None, dtypes.float64, 0.2),
    "cauchy": lambda e, n: draws.cauchy(e, (n,), None, dtypes.float64, 1.0, 2.0),
    "log normal": lambda e, n: draws.log_normal(e, (n,), None, dtypes.float64, 0.1, 5.0),
}


@pytest.mark.parametrize("name", DRAWS)
def test_both_ways_agree(name: str) -> None:
    """Without torch: values, and the state afterwards."""
    pytest.importorskip("llvmlite")
    for size in (1, 15, 16, 17, 100, 1023, 1024, 1025, 2500, 20_001):
        made = []
        for compiled in (True, False):
            before = native.use(compiled)
            try:
                engine = Engine(size)
                made.append((DRAWS[name](engine, size).tobytes(), engine.get_state().tobytes()))
            finally:
                native.use(before)
        assert made[0] == made[1], size


@pytest.fixture
def fresh_policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The policy of a process that has drawn nothing yet; the list counts how often kernels were compiled."""
    builds: list[int] = []

    def compile_once() -> object:
        builds.append(1)
        return object()

    monkeypatch.setattr(native, "_wanted", None)
    monkeypatch.setattr(native, "_built", None)
    monkeypatch.setattr(native, "_possible", True)
    monkeypatch.setattr(native, "_spent", 0.0)
    monkeypatch.setattr(native, "_compile", compile_once)
    yield builds


def test_kernels_are_built_when_they_pay(fresh_policy: list[int]) -> None:
    engine = Engine(1)
    for _ in range(20):
        draws.uniform(engine, (100,), None, dtypes.float32)
    assert not fresh_policy
    small = native._spent
    assert 0 < small < native.BUILD_NANOSECONDS / 10
    assert native.kernels(native.BUILD_NANOSECONDS) is not None
    assert native.kernels(1.0) is native.kernels(1.0)
    assert fresh_policy == [1]


@pytest.mark.parametrize("error", (ImportError("no llvmlite"), RuntimeError("LLVM says no")))
def test_numpy_serves_where_nothing_can_be_compiled(fresh_policy: list[int], monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fails() -> object:
        raise error

    expected = draws.normal(Engine(3), (100,), None, dtypes.float32)
    monkeypatch.setattr(native, "_compile", fails)
    with pytest.warns(RuntimeWarning, match="LLVM says no") if isinstance(error, RuntimeError) else nullcontext():
        assert native.kernels(2 * native.BUILD_NANOSECONDS) is None
    assert native.kernels(2 * native.BUILD_NANOSECONDS) is None
    assert np.array_equal(draws.normal(Engine(3), (100,), None, dtypes.float32), expected)


def test_importing_does_not_load_the_compiler() -> None:
    code = "import torchlike_asg.rng, sys; print('llvmlite' in sys.modules, 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


def _fma(x: float, y: float, z: float) -> Fraction:
    return Fraction(x) * Fraction(y) + Fraction(z)


singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
doubles = st.floats(allow_nan=False, allow_infinity=False)


@given(singles, singles, singles)
def test_fma32_rounds_once(x: float, y: float, z: float) -> None:
    made = float(fma32(np.array([x], np.float32), np.float32(y), np.float32(z))[0])
    _assert_nearest(made, _fma(x, y, z), np.float32)


@given(st.integers(-(2**24), 2**24), st.integers(-(2**24), 2**24), st.integers(-60, 60), st.integers(-(2**24), 2**24))
def test_fma32_near_midpoints(x: int, y: int, exponent: int, z: int) -> None:
    scaled = z * 2.0**exponent
    made = float(fma32(np.array([x], np.float32), np.float32(y), np.float32(scaled))[0])
    _assert_nearest(made, _fma(x, y, scaled), np.float32)


@given(doubles, doubles, doubles)
def test_fma64_rounds_once(x: float, y: float, z: float) -> None:
    _assert_nearest(float(fma64(np.array([x]), y, z)[0]), _fma(x, y, z), np.float64)


@given(st.integers(-(2**53), 2**53), st.integers(-(2**53), 2**53), st.integers(-120, 120), st.integers(-(2**53), 2**53))
def test_fma64_near_midpoints(x: int, y: int, exponent: int, z: int) -> None:
    scaled = z * 2.0**exponent
    _assert_nearest(float(fma64(np.array([float(x)]), float(y), scaled)[0]), _fma(x, y, scaled), np.float64)


def _assert_nearest(made: float, exact: Fraction, kind: type) -> None:
    """`made` is the value of `kind` nearest to `exact`, ties to even, overflow to infinity."""
    largest = Fraction(float(np.finfo(kind).max))
    half_step = Fraction(2) ** (103 if kind is np.float32 else 970)
    if abs(exact) >= largest + half_step:
        assert made == (math.inf if exact > 0 else -math.inf)
        return
    assert math.isfinite(made)
    with np.errstate(over="ignore"):
        neighbours = [float(np.nextafter(kind(made), kind(direction))) for direction in (-np.inf, np.inf)]
    error = abs(Fraction(made) - exact)
    for other in neighbours:
        if math.isfinite(other):
            assert error <= abs(Fraction(other) - exact)
            if error == abs(Fraction(other) - exact):
                assert int(np.asarray(made, kind).view(np.int32 if kind is np.float32 else np.int64)) % 2 == 0
