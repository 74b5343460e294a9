"""The worker processes of one loader: started, given tasks, listened to, stopped.

Each worker has its own pipe and no lock is shared, so a worker that dies, at any moment, ends its own pipe and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from . import channel
from .randomness import Snapshot
from .worker import NewPass, Result, Task, WorkerStart, parent_ends, run_worker

__all__ = ["WorkerPool"]

_STOP_SECONDS = 5.0  # a worker that is still busy this long after it was told to stop is terminated


@dataclass
class _Member:
    process: BaseProcess
    connection: Connection


class WorkerPool:
    """Running workers. They stop when :meth:`stop` is called, when the pool is dropped, and at the end of the program."""

    def __init__(self, context: BaseContext, starts: Sequence[WorkerStart], timeout: float) -> None:
        self.timeout = timeout
        self.passes = 0  # over the dataset, begun by these workers
        self.latest_states: list[Snapshot | None] = [start.random_now for start in starts]  # last heard of; None: as seeded
        self._outstanding: set[int] = set()
        self._members: list[_Member] = []
        self._finalizer = weakref.finalize(self, _stop, self._members, os.getpid())
        for start in starts:
            self._members.append(_start(context, start))

    @property
    def running(self) -> bool:
        return self._finalizer.alive

    def stop(self, grace: float = _STOP_SECONDS) -> None:
        """End all workers; those that are still busy after `grace` seconds are terminated."""
        if self._finalizer.detach() is not None:
            _stop(self._members, os.getpid(), grace)

    def begin_pass(self) -> None:
        """Have all workers start over. What is under way is finished first: it moves the workers' generators, whoever asked for it."""
        while self._outstanding:
            self.receive()
        if self.passes:
            for worker_id in range(len(self._members)):
                self._send(worker_id, NewPass())
        self.passes += 1

    def submit(self, worker_id: int, number: int, index: Any) -> None:
        """Have a worker fetch the batch at `index`; its result will carry `number`."""
        self._send(worker_id, Task(number, index))
        self._outstanding.add(number)

    def receive(self) -> list[tuple[int, Result]]:
        """Wait for results; returns at least one, with the worker it is from.

        Raises:
            RuntimeError: nothing came within `timeout` seconds, or a worker died.
        """
        connections: dict[Any, int] = {member.connection: worker_id for worker_id, member in enumerate(self._members)}
        sentinels: dict[Any, int] = {member.process.sentinel: worker_id for worker_id, member in enumerate(self._members)}
        results: list[tuple[int, Result]] = []
        while not results:
            ready = wait([*connections, *sentinels], self.timeout or None)
            if not ready:
                self.stop(grace=0)
                raise RuntimeError(f"DataLoader timed out after {self.timeout} seconds")
            for worker_id in sorted({connections.get(handle, sentinels.get(handle)) for handle in ready}):  # type: ignore[type-var]
                assert worker_id is not None
                results += self._drain(worker_id)
        return results

    def _drain(self, worker_id: int) -> list[tuple[int, Result]]:
        member = self._members[worker_id]
        dead = not member.process.is_alive()  # asked first: what it sent before it died is still in the pipe
        results: list[tuple[int, Result]] = []
        try:
            while member.connection.poll():
                result = channel.receive(member.connection)
                self._outstanding.discard(result.number)
                if result.random_states is not None:
                    self.latest_states[worker_id] = result.random_states
                results.append((worker_id, result))
        except (EOFError, OSError):
            dead = True
        if dead and not results:
            self._died(member)
        return results

    def _send(self, worker_id: int, message: Any) -> None:
        member = self._members[worker_id]
        try:
            channel.send(member.connection, channel.encode(message))
        except OSError:
            self._died(member)

    def _died(self, member: _Member) -> NoReturn:
        member.process.join(_STOP_SECONDS)
        pid, code = member.process.pid, member.process.exitcode
        self.stop()
        why = f"killed by signal: {signal.strsignal(-code)}" if code is not None and code < 0 else f"exit code {code}"
        raise RuntimeError(f"DataLoader worker (pid(s) {pid}) exited unexpectedly ({why})") from None


def _start(context: BaseContext, start: WorkerStart) -> _Member:
    ours, theirs = context.Pipe(duplex=True)
    parent_ends.add(ours)
    try:
        process = context.Process(target=run_worker, args=(theirs, start), daemon=True)  # type: ignore[attr-defined]
        process.start()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return _Member(process, ours)


def _stop(members: list[_Member], owner: int, grace: float = _STOP_SECONDS) -> None:
    if os.getpid() != owner:
        return  # a forked copy of the pool is dropped in some child: the workers are not its own
    for member in members:
        with contextlib.suppress(OSError):
            channel.send(member.connection, channel.encode(None))
        member.connection.close()
    deadline = time.monotonic() + grace
    for member in members:
        member.process.join(max(0.0, deadline - time.monotonic()))
        if member.process.is_alive():
            member.process.terminate()
            member.process.join()
    members.clear()
