"""Runs the calls of a `Lowering` on NumPy arrays: what tests of the generators call."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from torchlike_asg.backends.cpu import blocks, isa
from torchlike_asg.backends.cpu.cache import compile_sources
from torchlike_asg.backends.cpu.calls import SCRATCH_HEADER, Lowering

#: the levels of x86, each of which a processor of a higher one runs, too; code for a higher one than the host's cannot even be compiled
_LEVELS = ["avx512", "avx2", "sse2"]
_HOST = _LEVELS.index(isa.host().name) if isa.host().name in _LEVELS else len(_LEVELS)
LEVELS = [pytest.param(name, marks=pytest.mark.skipif(i < _HOST, reason="not a processor for it")) for i, name in enumerate(_LEVELS)]

_KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)


def run(lowering: Lowering, arrays: dict[int, np.ndarray], threads: int = 1) -> bool:
    """Compile the calls and run them in order; whether a kernel reported an error (`Kernel.fail`).

    `arrays` gives the memory of the slots that are not temporaries: an operand's offsets count from its first element. Temporaries and
    scratch begin as NaNs (bytes 0xff), so that reading what was never written shows. With ``threads > 1`` a call's units are done in
    that many pieces, the last piece first: the result must not depend on it.
    """
    calls = lowering.calls
    functions = compile_sources(blocks.sources(calls))
    memory = dict(arrays)
    for slot, nbytes in lowering.temporaries.items():
        memory[slot] = blocks.aligned(nbytes)
        memory[slot].fill(0xFF)
    named = blocks.slots(calls)
    missing = named - set(memory)
    assert not missing, f"slots {sorted(missing)} have no memory"
    for call in calls:
        declared = {*call.reads, *call.writes}
        assert blocks.slots([call]) <= declared, (
            f"{call.label or call.source.key}: operands {blocks.slots([call])} of which it declares {declared}"
        )
    table = np.zeros(max(named, default=0) + 1, np.int64)
    for slot in named:
        table[slot] = memory[slot].ctypes.data
    arguments = blocks.ArgumentBlocks(calls, functions, table.ctypes.data)
    failed = False
    for call, address in zip(calls, arguments.addresses, strict=True):
        entry = _KERNEL(functions[call.source.symbol])
        bounds = [call.units * i // threads for i in range(threads + 1)]
        for i in reversed(range(threads)):
            if bounds[i] == bounds[i + 1]:
                continue
            scratch = blocks.aligned(SCRATCH_HEADER + call.scratch)
            scratch.fill(0xFF)
            scratch[:SCRATCH_HEADER] = 0
            entry(address, bounds[i], bounds[i + 1], scratch.ctypes.data + SCRATCH_HEADER)
            failed |= bool(scratch[:SCRATCH_HEADER].view(np.int64)[0])
    return failed
