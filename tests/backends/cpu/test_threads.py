"""The thread pool: sleep, fork, several callers, interruption, the end of the process."""

import ctypes
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from torchlike_asg import config
from torchlike_asg.backends.cpu import blocks, native, threads
from torchlike_asg.backends.cpu.program import PointerTable, Program

from .kernels import LARGE, combine

N = 300


def pool_threads():
    return [t for t in threading.enumerate() if t.name.startswith("torchlike_asg-cpu")]


class Chain:
    """``out = 3**length * x`` by `length` calls that each wait for the one before."""

    def __init__(self, length=20, n=N):
        low = [combine(k, k, k + 1, n, LARGE) for k in range(length)]
        self.table = PointerTable(length + 1)
        self.program = Program(low, self.table, dict.fromkeys(range(1, length), 8 * n))
        self.x, self.out = np.arange(float(n)) % 7, np.zeros(n)
        self.page = blocks.aligned(self.program.page_bytes)
        self.table.words[0], self.table.words[length] = self.x.ctypes.data, self.out.ctypes.data
        self.program.place(self.page.ctypes.data)
        self.expected = self.x
        for _ in range(length):
            self.expected = 2 * self.expected + self.expected

    def check(self):
        self.out.fill(0)
        assert self.program.run()
        np.testing.assert_array_equal(self.out, self.expected)


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(config, "threads", 3)


@pytest.fixture(params=["futex", "semaphore"])
def anyhow(request, three, monkeypatch):
    """Workers that sleep on a futex, and workers that sleep in Python."""
    if request.param == "futex":
        yield threads.pool()
        return
    portable = threads.Pool(futex=False)
    monkeypatch.setattr(threads, "pool", lambda: portable)
    yield portable
    portable.dismiss()


def wait_until_asleep(pool):
    deadline = time.monotonic() + 30
    mail = pool._words[native.MAIL :].reshape(-1, native.LINE)
    while not all(mail[1 : 1 + len(pool._workers), native.ASLEEP]):
        assert time.monotonic() < deadline, "the workers do not go to sleep"
        time.sleep(0.001)


def test_workers_start_on_demand_and_end_when_dismissed(anyhow):
    anyhow.dismiss()
    assert not anyhow._workers
    chain = Chain()
    chain.check()
    assert len(anyhow._workers) == 2
    started = list(anyhow._workers)
    anyhow.dismiss()
    assert not any(t.is_alive() for t in started)
    chain.check()


def test_sleeping_workers_are_woken(anyhow):
    chain = Chain()
    for _ in range(20):
        chain.check()
        wait_until_asleep(anyhow)
    chain.check()


def test_jobs_that_come_just_when_workers_go_to_sleep(anyhow):
    chain = Chain(length=3)
    chain.check()
    patience = [int(anyhow._words[k]) for k in (native.PAUSES, native.YIELDS)]
    anyhow._words[native.PAUSES] = anyhow._words[native.YIELDS] = 1  # they go to sleep all the time
    try:
        for _ in range(3000):
            assert chain.program.run()
    finally:
        anyhow._words[native.PAUSES], anyhow._words[native.YIELDS] = patience
    chain.check()


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="threads have no clocks of their own here")
def test_idle_workers_use_no_processor_time(anyhow):
    Chain().check()
    wait_until_asleep(anyhow)
    clocks = [time.pthread_getcpuclockid(worker.ident) for worker in anyhow._workers]  # other threads of the process may work meanwhile
    before = [time.clock_gettime(clock) for clock in clocks]
    time.sleep(0.3)
    assert all(time.clock_gettime(clock) - start < 0.05 for clock, start in zip(clocks, before, strict=True))


def test_who_waits_long_at_a_barrier_sleeps(three):
    """Not so without futexes: there one gives way until the others come."""
    pool = threads.pool()
    pool.staff(2)

    def resting(n):
        """Whether so many threads come to sleep at a barrier."""
        deadline = time.monotonic() + 30
        while pool._words[native.RESTING] != n and time.monotonic() < deadline:
            time.sleep(0.001)
        return pool._words[native.RESTING] == n

    seen = []
    task = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(lambda *_: seen.append(resting(1)))
    barrier = [0, 0, 0, 0]
    lists = [np.array([ctypes.cast(task, ctypes.c_void_p).value, 0, 0, 1, *barrier], "int64"), np.array(barrier, "int64")]
    program = np.array([pool.address, 2, 0, 0, lists[0].ctypes.data, 2, lists[1].ctypes.data, 1], "int64")
    for _ in range(3):
        assert pool.run(program.ctypes.data, None) == native.DONE
        assert resting(0)
    assert seen == [True, True, True]


def test_barriers_at_which_everybody_sleeps_at_once(anyhow):
    chain = Chain(length=100)
    chain.check()
    usual = int(anyhow._words[native.YIELDS])
    anyhow._words[native.YIELDS] = 0
    try:
        for _ in range(100):
            chain.check()
    finally:
        anyhow._words[native.YIELDS] = usual


def test_fewer_threads_leave_the_others_asleep(anyhow, monkeypatch):
    chain = Chain()
    chain.check()
    wait_until_asleep(anyhow)
    taken = anyhow._words[native.MAIL + 2 * native.LINE + native.TAKEN]
    monkeypatch.setattr(config, "threads", 2)
    chain.check()
    assert anyhow._words[native.MAIL + 2 * native.LINE + native.TAKEN] == taken


def test_two_python_threads_run_programs_at_once(anyhow):
    chains = [Chain(length) for length in (5, 10, 20)]
    failures = []

    def repeat(chain):
        try:
            for _ in range(200):
                chain.check()
        except BaseException as e:
            failures.append(e)

    runners = [threading.Thread(target=repeat, args=(c,)) for c in chains]
    for r in runners:
        r.start()
    for r in runners:
        r.join(60)
    assert not any(r.is_alive() for r in runners)
    assert not failures


def test_a_program_that_finds_the_pool_taken_runs_alone(anyhow):
    chain = Chain()
    anyhow._words[native.LOCK] = 1
    try:
        chain.check()
    finally:
        anyhow._words[native.LOCK] = 0
    chain.check()


def test_without_new_threads_a_program_runs_alone(anyhow, monkeypatch):
    anyhow.dismiss()
    chain = Chain()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as m:
        m.setattr(threading.Thread, "start", refuse)
        chain.check()
    assert not anyhow._workers
    chain.check()
    assert len(anyhow._workers) == 2


def test_scratch_grows_while_programs_exist(three):
    pool = threads.pool()
    before = Chain()
    before.check()
    pool.reserve(3, 2 * pool._scratch_bytes + 12345)
    before.check()


def test_programs_come_and_go_while_workers_spin(three):
    """Code and lists that workers may still look at must not be freed under them."""
    for n in range(1, 60):
        Chain(length=1 + n % 5).check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_both_processes_have_working_pools(three):
    chain = Chain()
    chain.check()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert not threads.pool()._workers
            chain.check()
            assert len(threads.pool()._workers) == 2
            status = 0
        finally:
            os._exit(status)
    assert not pool_threads()  # none is alive while there might be a fork in progress
    chain.check()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_what_other_threads_run(three):
    chain, mine = Chain(), Chain()
    chain.check()
    stop = threading.Event()

    def repeat():
        while not stop.is_set():
            chain.program.run()

    runner = threading.Thread(target=repeat)
    runner.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                try:
                    mine.check()
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        runner.join(60)
    assert not runner.is_alive()


def _in_child(chain, results):
    chain().check()
    results.put(config.threads)


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_multiprocessing(three, method):
    Chain().check()
    context = multiprocessing.get_context(method)
    results = context.Queue()
    child = context.Process(target=_in_child, args=(Chain, results))
    child.start()
    assert results.get(timeout=60) >= 1
    child.join(60)
    assert child.exitcode == 0


def run_script(code, **kw):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, **kw)


SCRIPT = """
    import sys, time
    from torchlike_asg import config
    config.threads = 3
    from tests.backends.cpu.test_threads import Chain
    chain = Chain()
    chain.check()
"""


@pytest.mark.parametrize("ending", ["", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "raise SystemExit(0)"])
def test_the_process_ends_while_workers_spin(ending):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    out = run_script(textwrap.dedent(SCRIPT) + "chain.check(); " + ending, cwd=root)
    assert out.returncode == (-signal.SIGTERM if "kill" in ending else 0), out.stderr
    assert not out.stderr


def test_an_interrupted_run_leaves_a_working_process(three):
    chain = Chain(length=100, n=20_000)
    chain.check()
    timer = threading.Timer(0.2, functools.partial(signal.raise_signal, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            chain.program.run()
    timer.join()
    chain.check()
