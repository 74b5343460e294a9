"""The window from every kind of program that can train, and what ends or stops where: real processes, without a display."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from .scripts import ROOT, environment, script
from .watching import messages

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and sessions")

MODEL = """
import time
import torchlike_asg as torch
from torchlike_asg import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
def train(steps):
    for step in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), torch.randint(0, 3, (16,)))
        loss.backward()
        optimizer.step()
    print("trained", steps, flush=True)
def window():
    while not handle._session.publisher.connected:
        time.sleep(0.02)
    return handle._session.publisher._process.pid
"""


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(what, seconds=60.0):
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


def interactive(tmp_path):
    """The environment of IPython, which keeps its files in the test's folder."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return environment(
        QT_QPA_PLATFORM="offscreen", IPYTHONDIR=str(tmp_path / "ipython"), JUPYTER_RUNTIME_DIR=str(tmp_path), PYTHONPATH=paths
    )


@pytest.fixture
def windows():
    """Process numbers of windows that a test leaves open, to be closed at its end."""
    found = []
    yield found
    for pid in found:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_package_run_with_m(tmp_path):
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__main__.py").write_text(script(arguments="shot='shot.png'"))
    command = [sys.executable, "-m", "trainer"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment(QT_QPA_PLATFORM="offscreen"))
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("trained 19") == 1
    shot = tmp_path / "shot.png"
    assert shot.stat().st_size > 5000  # the program waited for it


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="it looks into /proc")
def test_the_window_has_a_session_of_its_own_and_outlives_a_killed_trainer(tmp_path, windows):
    text = MODEL + "handle = model.visualize()\nprint(window(), flush=True)\ntrain(10**9)"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", text], cwd=tmp_path, env=environment(QT_QPA_PLATFORM="offscreen"), **pipes) as process:
        child = int(process.stdout.readline())
        windows.append(child)
        assert os.getsid(child) == child != os.getsid(process.pid)
        process.kill()
        process.wait(30)
    time.sleep(1.0)  # the window has noticed that nobody sends any more
    assert alive(child)


def test_a_window_that_cannot_start_leaves_a_recording(tmp_path):
    """A display that is not there."""
    (tmp_path / "train.py").write_text(script(2000, inside="import time; time.sleep(0.001)"))
    env = environment(DISPLAY=":987", QT_QPA_PLATFORM="xcb")
    command = [sys.executable, "train.py"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env)
    assert out.returncode == 0, out.stderr
    assert out.stderr.count("\n") == 1, out.stderr
    (path,) = tmp_path.glob("*.asgtrace")
    found = messages(path)
    assert found["graph"]
    assert found["bye"][0].reason == "done"


def test_ipython(tmp_path):
    pytest.importorskip("IPython")
    text = MODEL + "handle = model.visualize(shot='shot.png')\nwindow()\ntrain(50)\nexit()\n"
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "-c", text]
    env = interactive(tmp_path)
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env)
    assert "trained 50" in out.stdout, out.stderr
    shot = tmp_path / "shot.png"
    assert shot.stat().st_size > 5000  # the program waited for it


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="it looks into /proc")
def test_a_notebook(tmp_path, windows):
    """A kernel, as a notebook runs it: cell after cell; an interrupted cell leaves the window and the handle as they are."""
    pytest.importorskip("ipykernel")
    jupyter = pytest.importorskip("jupyter_client")
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernels = jupyter.KernelManager()
    kernels._kernel_spec = jupyter.kernelspec.KernelSpec(argv=command, display_name="test", language="python")
    env = interactive(tmp_path)
    kernels.start_kernel(cwd=str(tmp_path), env=env)
    client = kernels.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)

        def cell(text, interrupt=0.0):
            """What a cell said; so many seconds after it said that it has begun, it is interrupted."""
            said, interrupts = [], 0

            def hear(message):
                nonlocal interrupts
                if message["msg_type"] == "stream":
                    said.append(message["content"]["text"])
                elif message["msg_type"] == "error":
                    said.append(message["content"]["ename"])
                told = "".join(said)
                # Once, or the next cell would be hit, too; but Python drops what meets the callback of a dying object, and says so.
                if interrupt and "begun" in told and interrupts == told.count("Exception ignored"):
                    interrupts += 1
                    time.sleep(interrupt)
                    kernels.interrupt_kernel()

            client.execute_interactive(textwrap.dedent(text), timeout=120, output_hook=hear)
            return "".join(said)

        assert "trained 20" in cell(MODEL + "handle = model.visualize()\ntrain(20)")
        child = int(cell("print(window())").strip())
        windows.append(child)
        assert "trained 200" in cell("train(200)")
        assert "KeyboardInterrupt" in cell("print('begun', flush=True)\ntrain(10**9)", interrupt=0.5)
        assert alive(child)
        assert "trained 30" in cell("train(30)")
        assert cell("handle._settle(); print(handle._tap.steps >= 250, handle._session.trouble == '')").strip() == "True True"
        cell("handle.close()")
        wait_until(lambda: not alive(child))
    finally:
        client.stop_channels()
        kernels.shutdown_kernel(now=True)
