"""The runtime's own native code: running lists of tasks on one or several threads.

A *task* is four words: function, argument block, first unit, end of units; function 0 is a barrier. A *program* is an array of words:

    0 control block | 1 threads | 2, 3 tasks and their number for running on one thread | 4, 5; 6, 7; ... the same for each of the threads

The *control block* is the thread pool's memory, laid out below. One caller at a time holds it, by its lock word. A job is handed to the
workers one by one, through a mailbox that each of them watches: so a worker takes exactly the jobs that are meant for it, and nothing of
a job is read after its last barrier. Barriers count arrivals in one word that only grows.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from .calls import SCRATCH_HEADER, Source
from .emit import Function, Module
from .values import Value

#: words of the control block; those that several threads write have a cache line (and its neighbour) to themselves
LINE = 16
LOCK, ARRIVED, FAILED = 0, LINE, 2 * LINE
#: address of the program being run; arrivals before it began; workers there are; whether they are to end; whether somebody waits in `hold`
JOB, BASE, WORKERS, STOP, HELD = range(3 * LINE, 3 * LINE + 5)
#: address of libc's `syscall` and the number of the futex call, or 0: then workers sleep in Python, and WAKE(worker) posts their semaphore
SYSCALL, FUTEX, WAKE, YIELD = range(3 * LINE + 5, 3 * LINE + 9)
#: how long a worker without a job waits before it sleeps: so many pauses, then so many times offering the processor to others
PAUSES, YIELDS = range(3 * LINE + 9, 3 * LINE + 11)
#: threads that sleep at a barrier
RESTING = 3 * LINE + 11
MOST_THREADS = 256
#: address of each thread's scratch memory, after its header
SCRATCH = 4 * LINE
#: a mailbox: jobs sent (i32, what sleepers wait on); whether the worker sleeps; the last job it took (i32)
MAIL = SCRATCH + MOST_THREADS
SENT, ASLEEP, TAKEN = 0, 1, 2
CONTROL_WORDS = MAIL + LINE * MOST_THREADS

#: results of `run`: done; a kernel failed; another thread runs; there are too few workers
DONE, FAILURE, BUSY, UNDERSTAFFED = range(4)
#: pauses at a barrier (10 microseconds or so) before the processor is offered to others: more, and threads that have to share a
#: processor, because others are busy, wait for each other in vain; where all have their own, an offer that nobody takes costs half a
#: microsecond
PATIENCE = 400
_FUTEX_WAIT, _FUTEX_WAKE = 128, 129  # of this process only
EVERYBODY = 2**31 - 1


class _Writer:
    """Shorthands for a function that works on a control block."""

    def __init__(self, f: Function, control: Value) -> None:
        self.f, self.control = f, control

    def at(self, word: int, base: Value | None = None) -> Value:
        return self.f.gep(base or self.control, word, "i64")

    def get(self, word: int, type_: str = "i64", base: Value | None = None) -> Value:
        return self.f.load(type_, self.at(word, base))

    def number(self, n: int, type_: str = "i64") -> Value:
        return self.f.value(n, type_)

    def mailbox(self, worker: Value) -> Value:
        return self.f.gep(self.control, worker * LINE + MAIL, "i64")

    def pause(self) -> None:
        """Tell the processor that this is a waiting loop."""
        machine = platform.machine().lower()
        if machine in ("x86_64", "amd64"):
            self.f.call("void", "llvm.x86.sse2.pause")
        elif machine in ("arm64", "aarch64"):
            self.f.call("void", "llvm.aarch64.isb", self.number(15, "i32"))

    def give_way(self) -> None:
        self.f.call_pointer("i32", self.get(YIELD, "ptr"))

    def futex(self, address: Value, operation: int, value: Value) -> None:
        null = Value(self.f, "null", "ptr")
        number = self.get(FUTEX)
        args = number, address, self.number(operation), self.f.convert("sext", value, "i64"), null, null, self.number(0)
        self.f.call_pointer("i64", self.get(SYSCALL, "ptr"), *args)

    def spin(self, waiting: Callable[[], Value], rest: Callable[[], None] | None = None) -> None:
        """Wait for other threads that are running: briefly, so mostly in vain to sleep, but not at the cost of those that wait for a
        core. If it takes long, `rest`."""
        f = self.f
        pauses = f.variable(0, "i64")
        with f.loop_while(waiting):
            self.pause()
            pauses.set(pauses.get() + 1)
            with f.when(pauses.get() > PATIENCE):
                if rest is None:
                    self.give_way()
                else:
                    f.branch(pauses.get() > self.get(YIELDS) + PATIENCE, rest, self.give_way)

    def lock(self) -> Value:
        """Try to take the control block; whether it was free."""
        return self.f.compare_exchange(self.at(LOCK), self.number(0), self.number(1))

    def unlock(self) -> None:
        self.f.atomic_store(self.number(0), self.at(LOCK))

    def send(self, worker: Value) -> None:
        """Tell a worker that there is a job, and wake it if it sleeps."""
        f = self.f
        mail = self.mailbox(worker)
        f.atomic("add", self.at(SENT, mail), self.number(1, "i32"))
        asleep = f.atomic("xchg", self.at(ASLEEP, mail), self.number(0))
        with f.when(f.compare("ne", asleep, 0)):
            f.branch(
                f.compare("ne", self.get(FUTEX), 0),
                lambda: self.futex(self.at(SENT, mail), _FUTEX_WAKE, self.number(1, "i32")),
                lambda: f.call_pointer("void", self.get(WAKE, "ptr"), worker),
            )


def _execute(module: Module) -> None:
    """``execute(control, tasks, count, scratch, threads, base)``: do a list; whether a kernel failed, here or, before a barrier,
    elsewhere."""
    params = [("ptr", "control"), ("ptr", "tasks"), ("i64", "count"), ("ptr", "scratch"), ("i64", "threads"), ("i64", "base")]
    f = module.function("runtime_execute", params, "i64", shared=True)
    control, tasks, count, scratch, threads, base = f.params
    w = _Writer(f, control)
    failed, arrivals = f.variable(0, "i64"), f.variable(base)
    flag = f.gep(scratch, -SCRATCH_HEADER, "i8")
    f.store(w.number(0), flag)

    # a futex is a word of 32 bits: the one in which arrivals are counted
    low = f.gep(w.at(ARRIVED), 4 * (sys.byteorder == "big"), "i8")

    def rest(target: Value) -> None:
        """Sleep until somebody arrives. Where another process takes a core from one of us for a time slice, the others would burn the
        same time on theirs."""

        def sleep() -> None:
            f.atomic("add", w.at(RESTING), w.number(1))
            seen = f.atomic_load("i64", w.at(ARRIVED))
            with f.when(seen - target < 0):
                w.futex(low, _FUTEX_WAIT, f.convert("trunc", seen, "i32"))
            f.atomic("add", w.at(RESTING), w.number(-1))

        f.branch(f.compare("ne", w.get(FUTEX), 0), sleep, w.give_way)

    def barrier() -> None:
        target = arrivals.get() + threads
        arrivals.set(target)
        before = f.atomic("add", w.at(ARRIVED), w.number(1))
        with f.when(f.compare("eq", before + 1, target)), f.when(f.compare("ne", f.atomic_load("i64", w.at(RESTING)), 0)):
            w.futex(low, _FUTEX_WAKE, w.number(EVERYBODY, "i32"))
        w.spin(lambda: f.atomic_load("i64", w.at(ARRIVED)) - target < 0, lambda: rest(target))
        failed.set(failed.get() | f.atomic_load("i64", w.at(FAILED)))

    def task(record: Value, function: Value) -> None:
        with f.when(f.compare("eq", failed.get(), 0)):
            f.call_pointer("void", function, w.get(1, "ptr", record), w.get(2, base=record), w.get(3, base=record), scratch)
            with f.when(f.compare("ne", f.load("i64", flag), 0)):
                failed.set(1)
                with f.when(threads > 1):  # alone, we may run beside a program that uses the word
                    f.atomic_store(w.number(1), w.at(FAILED))

    with f.loop(0, count) as i:
        record = f.gep(tasks, i * 4, "i64")
        function = f.load("ptr", record)
        f.branch(f.compare("eq", function, Value(f, "null", "ptr")), barrier, lambda: task(record, function))
    f.ret_value(failed.get())


def _call_execute(w: _Writer, program: Value, list_: Value, scratch: Value, threads: Value, base: Value) -> Value:
    tasks = w.f.load("ptr", w.f.gep(program, list_, "i64"))
    count = w.f.load("i64", w.f.gep(program, list_ + 1, "i64"))
    return w.f.call("i64", "runtime_execute", w.control, tasks, count, scratch, threads, base)  # type: ignore[no-any-return]


def _write_run(module: Module, name: str) -> None:
    """``run(program, scratch) -> status``. `scratch` is null, or memory with which the caller, who found the pool busy, does all by
    itself."""
    _execute(module)
    f = module.function(name, [("ptr", "program"), ("ptr", "scratch")], "i64")
    program, own = f.params
    w = _Writer(f, f.load("ptr", program))
    threads = w.get(1, base=program)
    status = f.variable(BUSY, "i64")
    scratch = f.variable(own)

    def alone() -> None:
        status.set(_call_execute(w, program, w.number(2), scratch.get(), w.number(1), w.number(0)))

    def together() -> None:
        base = w.get(ARRIVED)
        f.store(base, w.at(BASE))
        f.store(w.number(0), w.at(FAILED))
        f.store(program, w.at(JOB))
        with f.loop(1, threads) as worker:
            w.send(worker)
        _call_execute(w, program, w.number(4), scratch.get(), threads, base)
        # the last barrier is common to all lists: when all have arrived there, everything is done and nobody looks at the job any more
        status.set(f.atomic_load("i64", w.at(FAILED)))

    def locked() -> None:
        with f.when(f.compare("eq", w.get(HELD), 0)), f.when(w.lock()):
            scratch.set(w.get(SCRATCH, "ptr"))
            few = w.get(WORKERS) + 1 < threads
            f.branch(few, lambda: status.set(UNDERSTAFFED), lambda: f.branch(threads > 1, together, alone))
            w.unlock()

    f.branch(f.compare("eq", own, Value(f, "null", "ptr")), locked, alone)
    f.ret_value(status.get())


def _write_work(module: Module, name: str) -> None:
    """``work(control, worker) -> ended``: take jobs until told to end (1), or, without futexes, until it is time to sleep (0)."""
    _execute(module)
    f = module.function(name, [("ptr", "control"), ("i64", "worker")], "i64")
    control, worker = f.params
    w = _Writer(f, control)
    mail = w.mailbox(worker)
    sent, asleep, taken = (w.at(k, mail) for k in (SENT, ASLEEP, TAKEN))
    state, pauses = f.variable(-1, "i64"), f.variable(0, "i64")  # state: -1 goes on

    def nothing() -> Value:
        return f.compare("eq", f.atomic_load("i32", sent), f.load("i32", taken))

    def sleep() -> None:
        pauses.set(0)
        f.atomic_store(w.number(1), asleep)

        def rest() -> None:
            def futex() -> None:
                w.futex(sent, _FUTEX_WAIT, f.load("i32", taken))
                f.atomic_store(w.number(0), asleep)

            f.branch(f.compare("ne", w.get(FUTEX), 0), futex, lambda: state.set(0))

        def stay() -> None:
            """A job came meanwhile. If its sender saw us asleep, it posts the semaphore, and we must take that."""
            with f.when(f.compare("eq", f.atomic("xchg", asleep, w.number(0)), 0)), f.when(f.compare("eq", w.get(FUTEX), 0)):
                state.set(0)

        f.branch(nothing(), rest, stay)

    def wait() -> None:
        w.pause()
        pauses.set(pauses.get() + 1)
        with f.when(pauses.get() > w.get(PAUSES)):
            f.branch(pauses.get() > w.get(PAUSES) + w.get(YIELDS), sleep, w.give_way)

    def take() -> None:
        pauses.set(0)
        f.store(f.load("i32", taken) + 1, taken)

        def do() -> None:
            program = w.get(JOB, "ptr")
            scratch = f.load("ptr", f.gep(control, worker + SCRATCH, "i64"))
            _call_execute(w, program, worker * 2 + 4, scratch, w.get(1, base=program), w.get(BASE))

        f.branch(f.compare("ne", f.atomic_load("i64", w.at(STOP)), 0), lambda: state.set(1), do)

    with f.loop_while(lambda: state.get() < 0):
        f.branch(nothing(), wait, take)
    f.ret_value(state.get())


def _write_hold(module: Module, name: str) -> None:
    """``hold(control)``: wait until nobody runs, keep others from beginning, and tell all workers to end."""
    f = module.function(name, [("ptr", "control")])
    w = _Writer(f, f.params[0])
    f.atomic_store(w.number(1), w.at(HELD))
    w.spin(lambda: w.lock() ^ w.number(1, "i1"))
    f.atomic_store(w.number(1), w.at(STOP))
    with f.loop(0, w.get(WORKERS)) as worker:
        w.send(worker + 1)


def _write_idle(module: Module, name: str) -> None:
    """``idle(control, pauses, yields)``: what a waiting worker does, to measure how long it takes."""
    f = module.function(name, [("ptr", "control"), ("i64", "pauses"), ("i64", "yields")])
    control, pauses, yields = f.params
    w = _Writer(f, control)
    with f.loop(0, pauses):
        w.pause()
    with f.loop(0, yields):
        w.pause()
        w.give_way()


RUN, WORK, HOLD, IDLE = (
    Source((f"runtime_{name}", platform.machine()), write)
    for name, write in (("run", _write_run), ("work", _write_work), ("hold", _write_hold), ("idle", _write_idle))
)
