"""A fork brings the compiler and the backends to rest in the order in which a compiling thread takes their locks."""

import os
import subprocess
import sys

import pytest

from torchlike_asg.backends import forks

pytestmark = pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="this system does not fork")

ORDER = """
import os
taken = []
register = os.register_at_fork
def recorded(*, before=None, **rest):
    register(before=lambda: (taken.append(before), before and before()), **rest)
os.register_at_fork = recorded
import torchlike_asg as torch
from torchlike_asg.backends import forks
from torchlike_asg.asg import trace
(torch.ones(3) + 1).sum().item()  # loads the backend and compiles
pid = os.fork()
if pid == 0:
    os._exit(0 if (torch.ones(4) * 2).sum().item() == 8 else 1)
assert os.waitpid(pid, 0)[1] == 0
assert taken.index(trace.lock.acquire) < taken.index(forks._before)
"""
COMPACTION = """
import os, threading, time
import torchlike_asg as torch
from torchlike_asg.asg import trace
(torch.ones(3) + 1).sum().item()
started = threading.Event()
def compact():
    with trace.lock:
        started.set()
        time.sleep(0.3)
thread = threading.Thread(target=compact)
thread.start()
started.wait()
pid = os.fork()
if pid == 0:
    os._exit(0 if trace.lock.acquire(timeout=10) else 1)
assert os.waitpid(pid, 0)[1] == 0
thread.join()
"""


def test_the_compiler_comes_to_rest_before_the_backends():
    done = subprocess.run([sys.executable, "-c", ORDER], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_fork_waits_for_a_compaction_in_another_thread():
    done = subprocess.run([sys.executable, "-c", COMPACTION], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_guards_are_held_in_order_and_released_in_reverse(monkeypatch):
    seen = []
    monkeypatch.setattr(forks, "_guards", [])
    for name in "ab":
        forks.guard(lambda name=name: seen.append("hold " + name), lambda name=name: seen.append("release " + name))
    forks._before()
    forks.guard(lambda: seen.append("hold c"), lambda: seen.append("release c"))  # too late for this fork
    forks._after()
    assert seen == ["hold a", "hold b", "release b", "release a"]
