import atexit
import gc
import os
import shutil
import signal
import tempfile

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
if "TORCHLIKE_ASG_CACHE" not in os.environ:  # compiled code is shared by the processes of one run of the tests, and only by them
    os.environ["TORCHLIKE_ASG_CACHE"] = tempfile.mkdtemp(prefix="torchlike_asg_cache_")
    atexit.register(shutil.rmtree, os.environ["TORCHLIKE_ASG_CACHE"], ignore_errors=True)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background: children of tests would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """What importing and collecting made stays to the end: the garbage collector need not look at these million objects again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fresh_trace():
    """Each test starts with nothing pending: results that other tests left alive must not keep their trace open under it."""
    from torchlike_asg import notices
    from torchlike_asg.facade.flush import flush

    notices.heard[0] = True
    try:
        flush(closing=True)
    except Exception:  # left by a test about failing computations
        flush(closing=True)
    yield
