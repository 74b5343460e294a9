"""Digests of values and state bytes recorded from torch 2.13 on x86-64 Linux: the ground that holds where torch is absent.

``python tests/rng/test_golden.py`` records them anew from the installed torch.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, draws

PATH = Path(__file__).with_name("golden.json")
SEED = 20240607
FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
INTEGERS = (dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64)
WEIGHTS = (np.arange(40) % 7 + 1).astype(np.float32)

#: name -> (our draw of an engine, torch's of the torch module and a generator)
Case = tuple[Callable[[Engine], Any], Callable[[Any, Any], Any]]
CASES: dict[str, Case] = {
    "randperm": (lambda e: draws.randperm(e, 1000), lambda t, g: t.randperm(1000, generator=g)),
    "randint": (lambda e: draws.randint(e, -5, 50_257, (300,)), lambda t, g: t.randint(-5, 50_257, (300,), generator=g)),
    "wide randint": (lambda e: draws.randint(e, 0, 2**40, (300,)), lambda t, g: t.randint(0, 2**40, (300,), generator=g)),
    "poisson": (lambda e: draws.poisson(e, WEIGHTS * 4, dtypes.float32), lambda t, g: t.poisson(t.from_numpy(WEIGHTS * 4), generator=g)),
    "gamma": (
        lambda e: draws.standard_gamma(e, WEIGHTS / 3, dtypes.float32),
        lambda t, g: t._standard_gamma(t.from_numpy(WEIGHTS / 3), generator=g),
    ),
    "binomial": (
        lambda e: draws.binomial(e, WEIGHTS * 9, WEIGHTS / 9, dtypes.float32),
        lambda t, g: t.binomial(t.from_numpy(WEIGHTS * 9), t.from_numpy(WEIGHTS / 9), generator=g),
    ),
    "multinomial": (
        lambda e: draws.multinomial(e, WEIGHTS, dtypes.float32, 9),
        lambda t, g: t.multinomial(t.from_numpy(WEIGHTS), 9, generator=g),
    ),
    "multinomial with replacement": (
        lambda e: draws.multinomial(e, WEIGHTS, dtypes.float32, 90, True),
        lambda t, g: t.multinomial(t.from_numpy(WEIGHTS), 90, True, generator=g),
    ),
    "normal channels last": (
        lambda e: draws.normal(e, (2, 3, 4, 4), (48, 1, 12, 3), dtypes.float32),
        lambda t, g: t.empty(2, 3, 4, 4, memory_format=t.channels_last).normal_(generator=g).contiguous(),
    ),
    "trunc normal": (
        lambda e: draws.trunc_normal(e, (300,), None, dtypes.float32, 0.0, 0.02, -0.04, 0.04),
        lambda t, g: t.nn.init.trunc_normal_(t.empty(300), 0.0, 0.02, -0.04, 0.04, generator=g),
    ),
}


def _with_size(name: str, draw: str, dtype: dtypes.dtype, size: int, *arguments: Any) -> None:
    method = draw if draw.endswith("_") else draw + "_"
    CASES[f"{name} {dtype.name} {size}"] = (
        lambda e: getattr(draws, draw)(e, (size,), None, dtype, *arguments),
        lambda t, g: getattr(t.empty(size, dtype=getattr(t, dtype.name)), method)(*arguments, generator=g),
    )


for _dtype in FLOATS:
    for _size in (7, 16, 1003):
        _with_size("uniform", "uniform", _dtype, _size, -0.3, 1.7)
        _with_size("normal", "normal", _dtype, _size, 0.5, 2.0)
    for _name in ("exponential", "cauchy", "log_normal"):
        _with_size(_name, _name, _dtype, 33)
for _dtype in (dtypes.bool_, *INTEGERS, *FLOATS):
    _with_size("random", "random_", _dtype, 50)
    CASES[f"bernoulli {_dtype.name}"] = (
        lambda e, d=_dtype: draws.bernoulli(e, (50,), None, 0.3, d),
        lambda t, g, d=_dtype: t.empty(50, dtype=getattr(t, d.name)).bernoulli_(0.3, generator=g),
    )
_with_size("geometric", "geometric", dtypes.int64, 50, 0.2)


def _digest(values: np.ndarray[Any, Any], state: np.ndarray[Any, Any]) -> list[str]:
    return [hashlib.sha256(np.ascontiguousarray(part).tobytes()).hexdigest()[:20] for part in (values, state)]


def _uses_libm(name: str) -> bool:
    """Whether the digest holds only with the C library it was recorded with (glibc)."""
    exact = ("uniform", "random", "bernoulli", "randint", "wide", "randperm", "trunc")
    blocks = name.startswith(("normal float", "normal bfloat")) and "float64" not in name and not name.endswith(" 7")
    return not (name.startswith(exact) or blocks or name == "multinomial with replacement")


@pytest.mark.parametrize("name", CASES)
def test_recorded_stream(way: str, name: str) -> None:
    if _uses_libm(name) and platform.libc_ver()[0] != "glibc":
        pytest.skip("recorded with glibc's log, sin, cos")
    engine = Engine(SEED)
    values = CASES[name][0](engine)
    assert _digest(values, engine.get_state()) == json.loads(PATH.read_text())[name]


def test_recorded_values() -> None:
    """A few values to the eye: torch.manual_seed(0), then rand, randn and randperm."""
    assert draws.uniform(Engine(0), (3,), None, dtypes.float32).tolist() == [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    assert draws.normal(Engine(0), (3,), None, dtypes.float32).tolist() == [1.5409960746765137, -0.293428897857666, -2.1787893772125244]
    assert draws.randperm(Engine(0), 8).tolist() == [4, 0, 7, 3, 2, 5, 1, 6]


def record() -> None:
    import torch

    recorded = {}
    for name, (_, theirs) in CASES.items():
        generator = torch.Generator().manual_seed(SEED)
        values = theirs(torch, generator)
        values = values.float() if values.dtype is torch.bfloat16 else values
        recorded[name] = _digest(values.numpy(), generator.get_state().numpy())
    PATH.write_text(json.dumps(recorded, indent=1) + "\n")


if __name__ == "__main__":
    record()
