"""The thread pool of the CPU backend.

Workers are daemon threads of Python that spend their life in one native call (`native.WORK`): they wait for a job by spinning a short
while, then sleep (on a futex where there is one, else on a semaphore in Python), so that an idle process uses no processor time. They are
started when a program first needs them. Before a fork they end, so that no thread is in the middle of anything, and both processes start
new ones on demand.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import platform
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .. import forks
from . import native
from .blocks import aligned
from .cache import compile_sources
from .calls import SCRATCH_HEADER
from .jit import immortal

#: how long a worker that waits for a job spins, and how long it then stays ready while it lets others run. Waking it takes 20 to 150
#: microseconds; a training loop comes back within some hundred
SPIN, STAY = 10_000, 500_000
#: number of the futex call, where Linux is known to have it
_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98, "ppc64le": 221, "s390x": 238}

_ADDRESS = ctypes.c_void_p
_PROTOTYPES = {
    native.RUN: (ctypes.c_int64, _ADDRESS, _ADDRESS),
    native.WORK: (ctypes.c_int64, _ADDRESS, ctypes.c_int64),
    native.HOLD: (None, _ADDRESS),
    native.IDLE: (None, _ADDRESS, ctypes.c_int64, ctypes.c_int64),
}


class Pool:
    """The process's workers, and the scratch memory of all threads that run programs together. There is one: `pool()`."""

    def __init__(self, futex: bool = True) -> None:
        addresses = compile_sources(_PROTOTYPES)
        #: ``run(program, None) -> native.DONE ...``; `run_holding` keeps Python's lock: cheaper, for programs of a few microseconds on
        #: one thread
        self.run, self._work, self._hold, self._idle = (ctypes.CFUNCTYPE(*p)(addresses[s.symbol]) for s, p in _PROTOTYPES.items())
        self.run_holding = ctypes.PYFUNCTYPE(*_PROTOTYPES[native.RUN])(addresses[native.RUN.symbol])
        self._words = immortal(aligned(8 * native.CONTROL_WORDS).view("int64"))  # workers look at it until the process is gone
        self._words.fill(0)
        self.address: int = self._words.ctypes.data
        self._lock = threading.RLock()
        self._local = threading.local()
        self._scratch: dict[int, Any] = {}
        self._scratch_bytes = 0
        self._workers: list[threading.Thread] = []
        self._sleepers: list[threading.Semaphore] = []
        self._callback = ctypes.CFUNCTYPE(None, ctypes.c_int64)(self._wake)
        self._words[native.WAKE] = ctypes.cast(self._callback, _ADDRESS).value
        self._find_system_calls(futex)
        self.reserve(1, 0)

    def _find_system_calls(self, futex: bool) -> None:
        if sys.platform == "win32":
            give_way = ctypes.WinDLL("kernel32").SwitchToThread
        else:
            libc = ctypes.CDLL(None)
            give_way = libc.sched_yield
            number = _FUTEX.get(platform.machine(), 0) if sys.platform == "linux" and ctypes.sizeof(_ADDRESS) == 8 else 0
            if futex and number:
                self._words[native.SYSCALL] = ctypes.cast(libc.syscall, _ADDRESS).value
                self._words[native.FUTEX] = number
        self._words[native.YIELD] = ctypes.cast(give_way, _ADDRESS).value

    # ------------------------------------------------------------------ running
    def reserve(self, threads: int, scratch: int) -> None:
        """Make sure that each of `threads` threads has that many bytes of scratch memory."""
        with self._lock:
            if scratch > self._scratch_bytes:
                self._scratch_bytes = max(scratch, 2 * self._scratch_bytes)
            for i in range(threads):
                if i not in self._scratch or len(self._scratch[i]) < SCRATCH_HEADER + self._scratch_bytes:
                    # a program that runs now goes on in the old memory, so that is kept; sizes double, so it is less than the new
                    self._scratch[i] = immortal(aligned(SCRATCH_HEADER + self._scratch_bytes))
                    self._words[native.SCRATCH + i] = self._scratch[i].ctypes.data + SCRATCH_HEADER

    def resume(self, program: int, status: int, threads: int, scratch: int) -> int:
        """Run a program for which `run` gave `BUSY` or `UNDERSTAFFED`; the final status. It runs on this thread alone if another thread of
        Python runs something, or the system gives us no more threads."""
        while status == native.UNDERSTAFFED and self.staff(threads):
            status = self.run(program, None)
        if status in (native.BUSY, native.UNDERSTAFFED):
            own = getattr(self._local, "scratch", None)
            if own is None or len(own) < SCRATCH_HEADER + scratch:
                own = self._local.scratch = aligned(SCRATCH_HEADER + scratch)
            status = self.run(program, own.ctypes.data + SCRATCH_HEADER)
        return int(status)

    # ------------------------------------------------------------------ workers
    def staff(self, threads: int) -> bool:
        """Start workers until `threads` threads, the caller's included, can run a program together; whether that succeeded."""
        with self._lock:
            if not self._words[native.PAUSES]:
                self._words[native.PAUSES] = _repetitions(SPIN, 400, lambda n: self._idle(self.address, n, 0))
                self._words[native.YIELDS] = _repetitions(STAY, 40, lambda n: self._idle(self.address, 0, n))
            while len(self._workers) < threads - 1:
                worker, sleep = len(self._workers) + 1, threading.Semaphore(0)
                thread = threading.Thread(target=self._serve, args=(worker, sleep), name=f"torchlike_asg-cpu-{worker}", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system's limit, or the interpreter is ending
                    return False
                self._sleepers.append(sleep)
                self._workers.append(thread)
                self._words[native.WORKERS] = len(self._workers)
            return True

    def _serve(self, worker: int, sleep: threading.Semaphore) -> None:
        while not self._work(self.address, worker):
            sleep.acquire()

    def _wake(self, worker: int) -> None:
        self._sleepers[worker - 1].release()

    def dismiss(self) -> None:
        """End all workers, after what runs now; the next program that needs some starts new ones."""
        try:
            self.hold()
        finally:
            self.release()

    def hold(self) -> None:
        """End all workers and let nobody run until `release`."""
        self._lock.acquire()
        self._hold(self.address)
        for thread in self._workers:
            thread.join()
        self._workers.clear()
        self._sleepers.clear()
        self._words[native.WORKERS] = self._words[native.STOP] = 0
        self._words[native.MAIL :] = 0

    def release(self) -> None:
        self._words[native.LOCK] = self._words[native.HELD] = 0
        self._lock.release()


def _repetitions(nanoseconds: int, n: int, fn: Callable[[int], None]) -> int:
    """How many repetitions of something take that long, as a trial of `n` by ``fn(n)`` tells."""
    best = 1 << 60
    for _ in range(3):
        start = time.perf_counter_ns()
        fn(n)
        best = min(best, time.perf_counter_ns() - start)
    return max(1, nanoseconds * n // max(1, best))


@functools.cache
def pool() -> Pool:
    """The process's thread pool."""
    found = Pool()
    forks.guard(found.hold, found.release)
    atexit.register(found.dismiss)
    return found
