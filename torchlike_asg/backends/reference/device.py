"""Memory and programs of the reference backend."""

from __future__ import annotations

import time
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from ... import dtypes, events
from ...asg.node import Node
from ..base import Caps, HostMemory, Kernel, Schedule, register
from .executable import ReferenceExecutable, ReferenceProgram


class ReferenceBackend(HostMemory):
    """Pages are NumPy byte arrays; a program calls an operation's reference."""

    name = "reference"
    caps = Caps(frozenset(dtypes.ALL))

    def __init__(self) -> None:
        self._programs: dict[Kernel, ReferenceProgram] = {}

    def compile(self, kernel: Kernel) -> ReferenceProgram:
        program = self._programs.get(kernel)
        if program is None:
            start = time.perf_counter()
            program = self._programs[kernel] = ReferenceProgram(kernel)
            if len(self._programs) > 20_000:
                self._programs.pop(next(iter(self._programs)))
            if events.wanted(events.KernelCompiled):
                events.publish(events.KernelCompiled(kernel.op, time.perf_counter() - start))
        return program

    def program(
        self,
        roots: Sequence[Node],
        known: Container[Node],
        order: Sequence[Node],
        arguments: Sequence[Node],
        strides: Sequence[tuple[int, ...]] = (),
        donated: Sequence[tuple[int, int]] = (),
    ) -> ReferenceExecutable:
        """A schedule of references; the layout of arguments does not matter to NumPy, and nothing is written in place."""
        from ...compiler.schedule import schedule

        steps = schedule(roots, order, arguments)
        return self.link(steps, [self.allocate(steps.page_size)] if steps.page_size else [])

    def link(self, schedule: Schedule, pages: Sequence[np.ndarray[Any, Any]]) -> ReferenceExecutable:
        return ReferenceExecutable(schedule, [self.compile(step.kernel) for step in schedule.steps], pages)


backend = register(ReferenceBackend())
