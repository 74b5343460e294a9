"""Running a schedule with NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import dtypes
from ...errors import failed
from ..base import Kernel, Schedule

Array = np.ndarray[Any, Any]


class ReferenceProgram:
    """One kernel: its reference with the attributes bound, its operands widened and its result rounded as its types ask."""

    __slots__ = ("attrs", "compute", "dtype", "function", "multi", "name", "plain", "shape", "ufunc", "widen")

    def __init__(self, kernel: Kernel) -> None:
        self.name, self.attrs, self.function, self.ufunc = kernel.op, kernel.attrs, kernel.reference, kernel.ufunc
        self.dtype, self.shape = kernel.result.dtype, kernel.result.shape
        self.compute = self.dtype.compute
        self.widen = any(s.dtype is dtypes.float16 for s in kernel.operands)
        self.plain = self.dtype.storage == self.dtype.compute

    def __call__(self, operands: list[Any]) -> Any:
        if self.widen:
            operands = [a.astype(np.float32) if a.dtype == np.float16 else a for a in operands]
        out = self.function(*operands, *self.attrs)
        if out.__class__ is tuple:
            return out
        if out.__class__ is not np.ndarray:
            out = np.asarray(out)
        if out.dtype != self.compute:
            with np.errstate(all="ignore"):
                out = out.astype(self.compute)
        if not self.plain:
            out = np.asarray(dtypes.load(dtypes.store(out, self.dtype), self.dtype)).astype(self.compute)
        return out


class ReferenceExecutable:
    """A schedule bound to its programs and its transient page.

    Results of ufuncs that nobody outside sees are written into places planned in the page; what leaves the plan is a fresh array,
    because it becomes some tensor's storage.
    """

    def __init__(self, schedule: Schedule, programs: Sequence[ReferenceProgram], pages: Sequence[Array]) -> None:
        self.schedule, self.size = schedule, len(schedule.steps)
        self._values: list[Any] = [None] * schedule.slots
        for slot, value in schedule.constants.items():
            self._values[slot] = value
        self._records = []
        for step, program in zip(schedule.steps, programs, strict=True):
            place = None
            if step.page is not None:
                spec = step.kernel.result
                count = int(np.prod(spec.shape, dtype=np.int64)) * spec.dtype.compute.itemsize
                place = pages[0][step.page : step.page + count].view(spec.dtype.compute).reshape(spec.shape)
            self._records.append((program, program.ufunc, place, step.reads, step.writes, step.frees))

    def run(self, inputs: Sequence[Any]) -> None:
        values = self._values
        values[: len(inputs)] = inputs
        done = 0
        try:
            with np.errstate(all="ignore"):
                for program, ufunc, place, reads, writes, frees in self._records:
                    operands = [values[i] for i in reads]
                    if place is not None:
                        ufunc(*operands, out=place)
                        values[writes] = place
                    else:
                        values[writes] = program(operands)
                    for i in frees:
                        values[i] = None
                    done += 1
        except Exception as error:
            failed(error, self.schedule.steps[done].origin)
            raise

    def outputs(self) -> list[Any]:
        """The results of the last run, which are the caller's from now on."""
        values = self._values
        out = [values[i] for i in self.schedule.outputs]
        constants = self.schedule.constants
        for i in self.schedule.outputs:
            if i not in constants:
                values[i] = None
        values[: self.schedule.inputs] = [None] * self.schedule.inputs
        return out

    def describe(self, llvm: bool = False) -> str:
        """The steps, a line each; there is no code to show."""
        return "\n".join(f"{i:4} numpy {s.kernel.op} -> {list(s.kernel.result.shape)}" for i, s in enumerate(self.schedule.steps))
