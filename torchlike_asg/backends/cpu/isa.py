"""What the processor offers, as far as generated code depends on it: vector width, matrix tile, target description."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Isa:
    """One instruction set level.

    ``name``      one of avx512, avx2, neon, sse2
    ``bytes``     of a vector register
    ``tile``      rows and vectors of the matrix micro-kernel whose accumulators fit the registers
    ``features``  the target's feature string, which belongs into every cache key with ``cpu``
    """

    name: str
    bytes: int
    tile: tuple[int, int]
    cpu: str
    features: str

    def lanes(self, itemsize: int) -> int:
        """Elements of that many bytes in one vector."""
        return max(1, self.bytes // itemsize)


_LEVELS = {"avx512": (64, (14, 2)), "avx2": (32, (6, 2)), "neon": (16, (8, 3)), "sse2": (16, (6, 2))}


def describe(name: str, cpu: str = "", features: str = "") -> Isa:
    """An instruction set by name, for code that must be generated for a lower level than the host's (tests do)."""
    width, tile = _LEVELS[name]
    return Isa(name, width, tile, cpu, features)


@functools.cache
def host() -> Isa:
    """The instruction set of this machine. Initialises LLVM's native target."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    found: Any = llvm.get_host_cpu_features()
    cpu = llvm.get_host_cpu_name()
    has = {name for name, present in found.items() if present}
    if {"avx512f", "avx512vl", "avx512dq", "avx512bw"} <= has:
        level = "avx512"
    elif {"avx2", "fma"} <= has:
        level = "avx2"
    elif platform.machine().lower() in ("arm64", "aarch64"):
        level = "neon"
    else:
        level = "sse2"
    features = found.flatten()
    if level == "avx512":  # LLVM prefers half-width vectors on some processors; our loops are written for whole ones
        features += ",-prefer-256-bit"
    return describe(level, cpu, features)
