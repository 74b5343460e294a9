"""A NumPy interpreter of the kernel IR: the oracle for its renderers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from torchlike_asg.asg.reference import rounded
from torchlike_asg.compiler.kernel import Apply, Const, Convert, Index, Load, LoopKernel, Operand, Random, Reduce
from torchlike_asg.ops.scalar import NumpyHandler
from torchlike_asg.rng import philox

REDUCTIONS = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum, "any": np.logical_or, "all": np.logical_and}


def walk(memory: np.ndarray, o: Operand, sizes: Sequence[int], offset: int = 0) -> np.ndarray:
    """The elements of an operand over the whole index space, as a view of its memory (a flat array of its type)."""
    base = memory[offset + o.offset :]
    return np.lib.stride_tricks.as_strided(base, tuple(sizes), [s * memory.itemsize for s in o.strides], writeable=True)


def interpret(k: LoopKernel, memories: Sequence[np.ndarray], offsets: Sequence[int] | None = None) -> None:
    """Compute a kernel on flat arrays, one per operand. Every load sees what was there before the first store."""
    offsets = offsets or [0] * len(memories)
    inner = tuple(range(k.outer, len(k.sizes)))
    values: list[np.ndarray] = []
    #: row values have size 1 along the reduced dimensions, so that they exist even if the rows are empty
    row_sizes = (*k.sizes[: k.outer], *[1] * len(inner))
    with np.errstate(all="ignore"):
        for i, row in zip(k.body, k.rows(), strict=True):
            values.append(_value(k, i, values, memories, offsets, row_sizes if row else k.sizes))
        for operand, n in k.stores:
            o = k.operands[operand]
            sizes = k.sizes if any(o.strides[k.outer :]) or not inner else row_sizes
            walk(memories[operand], o, sizes, offsets[operand])[...] = np.broadcast_to(values[n], sizes)


def _numbers(i, sizes):
    out = np.full(sizes, i.offset, np.int64)
    for d, s in enumerate(i.strides):
        out += s * np.arange(sizes[d]).reshape([-1 if e == d else 1 for e in range(len(sizes))])
    return out


def _value(k, i, values, memories, offsets, sizes):
    if isinstance(i, Load):
        return walk(memories[i.operand], k.operands[i.operand], sizes, offsets[i.operand]).copy()
    if isinstance(i, Const):
        return np.asarray(i.value).astype(i.dtype.compute)
    if isinstance(i, Index):
        return _numbers(i, sizes)
    if isinstance(i, Random):
        key, block = [int(memories[o][offsets[o] + k.operands[o].offset]) for o in (i.key, i.block)]
        numbers = _numbers(i, sizes)
        index = (numbers.reshape(-1) >> 2).astype(np.uint64) + np.uint64(block & (2**64 - 1))
        counter = np.stack((index & np.uint64(0xFFFFFFFF), index >> np.uint64(32), 0 * index, 0 * index), 1)
        words = np.take_along_axis(philox.blocks(counter, (key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF)), (numbers.reshape(-1, 1) & 3), 1)
        return ((words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)).reshape(numbers.shape)
    if isinstance(i, Apply):
        args = [values[a] for a in i.args]
        return rounded(i.formula(NumpyHandler(i.compute.compute), *args, *i.attrs), i.dtype)
    if isinstance(i, Convert):
        return rounded(values[i.arg], i.dtype)
    assert isinstance(i, Reduce)
    full, inner = np.broadcast_to(values[i.arg], k.sizes), tuple(range(k.outer, len(k.sizes)))
    wide = full.astype(np.float64) if full.dtype.kind == "f" else full
    if i.kind in ("mean", "variance"):
        return rounded((np.mean if i.kind == "mean" else np.var)(wide, axis=inner, keepdims=True), i.dtype)
    fn, initial = REDUCTIONS[i.kind], None
    if full.size == 0 and i.kind in ("max", "min"):
        kind = i.dtype.compute.kind
        lowest = -np.inf if kind == "f" else False if kind == "b" else np.iinfo(i.dtype.compute).min
        highest = np.inf if kind == "f" else True if kind == "b" else np.iinfo(i.dtype.compute).max
        initial = lowest if i.kind == "max" else highest
    kw = {} if initial is None else {"initial": initial}
    if i.kind in ("sum", "prod"):
        kw["dtype"] = wide.dtype
    return rounded(fn.reduce(wide, axis=inner, keepdims=True, **kw) if inner else wide, i.dtype)
