"""The GPU backend as the compiler sees it."""

from __future__ import annotations

import warnings
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.declare import LEAVES
from ...asg.node import Node
from ...asg.rewrite import topo
from ...compiler.passes.moments import one_pass
from ...errors import ReferenceWarning
from .. import base
from ..base import Caps
from ..build import Build, lower
from . import generators, loops
from .assemble import WgpuAssembly
from .calls import WGPU_LIBRARY
from .device import Device, explained, open_device
from .executable import WgpuExecutable
from .memory import amount

_TYPES = frozenset(d for d in dtypes.ALL if d not in (dtypes.float64, dtypes.complex128))


def fusible(n: Node) -> bool:
    """Whether an elementwise operation can be a part of a loop kernel."""
    types = [s.dtype for s in n.srcs] + [n.dtype]
    if any(d not in _TYPES or d.is_complex for d in types):
        return False
    compute = next((d for d in types if d is not dtypes.bool_), dtypes.bool_)
    compute = dtypes.float32 if compute in (dtypes.float16, dtypes.bfloat16) else compute
    return loops.supported(n.op.name, n.op.scalar, len(n.srcs), n.attrs, compute)


class WgpuBackend:
    """Compute shaders, generated as WGSL. One backend for all devices: a graph says which one it is for."""

    name = "wgpu"
    caps = Caps(_TYPES, alignment=256)
    generators = generators

    def __init__(self) -> None:
        self._told: set[str] = set()

    def allocate(self, nbytes: int) -> Any:
        return open_device().pool.take(nbytes, "a page")

    def upload(self, dst: Any, src: np.ndarray[Any, Any]) -> None:
        open_device().queue.write_buffer(dst.buffer, 0, np.ascontiguousarray(src))

    def download(self, src: Any) -> np.ndarray[Any, Any]:
        return open_device().read(src.buffer, src.nbytes)

    def program(
        self,
        roots: Sequence[Node],
        known: Container[Node],
        order: Sequence[Node],
        arguments: Sequence[Node],
        strides: Sequence[tuple[int, ...]],
        donated: Sequence[tuple[int, int]],
    ) -> WgpuExecutable:
        """See `Backend.program`."""
        device = device_of(roots)
        lowered = one_pass(lower(roots, known, WGPU_LIBRARY), known, lambda n: n.op in LEAVES or n.op.name in WGPU_LIBRARY.generators)
        pairs = [(lowered[place], arguments[i]) for place, i in donated]
        b = Build(lowered, topo(lowered, known), arguments, strides, pairs, WGPU_LIBRARY, fusible=fusible, complex_views=True)
        assembly = WgpuAssembly(b, device.caps)
        self._tell(assembly.uncovered)
        try:
            return WgpuExecutable(device, assembly)
        except Exception as error:
            what = ", ".join([f"a tensor of {list(n.shape)}, {n.dtype.name} ({amount(n.numel * 4)})" for n in roots[:3]])
            raise explained(device, error, f"what was to be {what}") from error

    def _tell(self, uncovered: Sequence[Node]) -> None:
        """Warn, once for each operation, that NumPy computes it, with the data going to the host and back."""
        for n in uncovered:
            name = n.op.name
            if name in self._told or not n.numel:
                continue
            self._told.add(name)
            where = f"{n.op.name} of {n.dtype.name}{list(n.shape)}, recorded at {n.site[1]}:{n.site[2]}"
            warnings.warn(f"no GPU kernel for {where}: NumPy computes it on the host", ReferenceWarning, stacklevel=2)


def device_of(roots: Sequence[Node]) -> Device:
    """The device that a graph is computed on."""
    found = next((n.device for n in roots if n.device.type == "wgpu"), None)
    return open_device(None if found is None else found.index)


backend = base.register(WgpuBackend())
