"""The CPU backend as the compiler sees it."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence

from ... import config, dtypes
from ...asg.node import Node
from ...asg.rewrite import topo
from ...compiler.passes.ordered import ORDERED
from ...errors import ReferenceWarning
from .. import base
from ..base import Caps, HostMemory
from ..build import Build, lower, may_refuse
from . import generators
from .assemble import CpuAssembly
from .calls import CPU_LIBRARY
from .executable import CpuExecutable


def _complex(n: Node) -> bool:
    return n.dtype.is_complex or any(s.dtype.is_complex for s in n.srcs)


class CpuBackend(HostMemory):
    """Native kernels, generated and compiled for this processor."""

    name = "cpu"
    generators = generators

    def __init__(self) -> None:
        self._told: set[str] = set()

    caps = Caps(frozenset(dtypes.ALL))

    def program(
        self,
        roots: Sequence[Node],
        known: Container[Node],
        order: Sequence[Node],
        arguments: Sequence[Node],
        strides: Sequence[tuple[int, ...]],
        donated: Sequence[tuple[int, int]],
    ) -> CpuExecutable:
        """See `Backend.program`."""
        lowered = lower(roots, known, CPU_LIBRARY, ORDERED)
        pairs = [(lowered[place], arguments[i]) for place, i in donated]
        b = Build(lowered, topo(lowered, known), arguments, strides, pairs, CPU_LIBRARY, refusing=may_refuse)
        assembly = CpuAssembly(b, config.threads)
        self._tell(assembly.uncovered)
        return CpuExecutable(assembly, lambda: base.get("reference").program(roots, known, order, arguments, strides, donated))

    def _tell(self, uncovered: Sequence[Node]) -> None:
        """Warn, once for each operation, that NumPy computes it. Matrix decompositions are meant to be LAPACK's, Fourier transforms
        pocketfft's, and arithmetic with complex numbers NumPy's.
        """
        for n in uncovered:
            name = n.op.name
            if name in self._told or n.op.category in ("linalg", "fft") or not n.numel or _complex(n):
                continue
            self._told.add(name)
            text = f"no kernel for {name} of {n.dtype.name}{list(n.shape)}, recorded at {n.site[1]}:{n.site[2]}: NumPy computes it"
            warnings.warn(text, ReferenceWarning, stacklevel=2)


backend = base.register(CpuBackend())
