import atexit
import gc
import itertools
import os
import shutil
import signal
import tempfile

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
#: the bytecode of what child processes import, where Python is told not to write it beside the source: compiling that takes them longer
#: than importing it
BYTECODE = "TORCHLIKE_ASG_TEST_BYTECODE"
# compiled code is shared by the processes of one run of the tests, and only by them
for _variable in ("TORCHLIKE_ASG_CACHE", BYTECODE):
    if _variable not in os.environ:
        os.environ[_variable] = tempfile.mkdtemp(prefix=_variable.lower() + "_")
        atexit.register(shutil.rmtree, os.environ[_variable], ignore_errors=True)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background: children of tests would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """What importing and collecting made stays to the end: the garbage collector need not look at these million objects again and again."""
    gc.collect()
    gc.freeze()
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):  # of children from now on: pytest's workers, which are there, read what was installed
        os.environ["PYTHONPYCACHEPREFIX"] = os.environ[BYTECODE]


#: after so many tests what is alive then is taken for what stays
FREEZE_EVERY = 200
_tests = itertools.count(1)


def pytest_runtest_setup(item):
    """The graph, the plans and the compiled code of the tests before stay, too: a test that collects garbage has to look at its own."""
    if next(_tests) % FREEZE_EVERY == 0:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def fresh_trace():
    """Each test starts with nothing pending: results that other tests left alive must not keep their trace open under it, nor do loops in
    them say how many reads a trace takes."""
    from torchlike_asg import config, notices
    from torchlike_asg.asg.trace import current
    from torchlike_asg.facade.flush import flush

    config.interpret = False  # tests are about what is compiled, in whatever sizes; compiler/test_interpretation.py is about the others
    notices.heard[0] = True
    try:
        flush(closing=True)
    except Exception:  # left by a test about failing computations
        flush(closing=True)
    current().rhythm = None
    yield
