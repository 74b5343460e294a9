"""The window is a process of its own: how it starts, and that nothing which happens to it disturbs the training."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from torchlike_asg.viewer import publisher
from torchlike_asg.viewer.damage import told

from .scripts import environment, run_script, script
from .watching import messages


def test_without_a_display_a_recording_is_written(tmp_path):
    out = run_script(script(), tmp_path)
    assert out.returncode == 0, out.stderr
    assert "trained 19" in out.stdout
    if publisher.sys.platform.startswith("linux"):
        assert out.stderr.count("\n") == 1
        assert "There is no display" in out.stderr
        (path,) = tmp_path.glob("*.asgtrace")
        found = messages(path)
        assert found["graph"]
        assert found["bye"][0].reason == "done"


@pytest.mark.parametrize("how", ["file", "c", "-"])
def test_a_window_from_any_kind_of_program(tmp_path, how):
    """Offscreen: the picture is taken by the child after the program has ended."""
    shot = tmp_path / "shot.png"
    out = run_script(script(arguments=f"shot={str(shot)!r}"), tmp_path, how, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("trained 19") == 1  # the child did not run the script again
    until = time.monotonic() + 60
    while not (shot.exists() and shot.stat().st_size > 5000) and time.monotonic() < until:
        time.sleep(0.1)
    assert shot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("which", ["SIGKILL", "SIGSTOP"])
def test_a_window_that_dies_or_freezes_does_not_disturb(tmp_path, which):
    inside = f"""
    if step == 20:
        import os, signal, time
        while not handle._session.publisher.connected: time.sleep(0.02)
        child = handle._session.publisher._process.pid
        os.kill(child, signal.{which})
    if step == 4000 and "{which}" == "SIGSTOP":
        os.kill(child, signal.SIGKILL)
    """
    out = run_script(script(5000, inside=textwrap.dedent(inside).strip().replace("\n", "\n    ")), tmp_path, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert "trained 4999" in out.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_close_closes_the_window_and_wait_waits_for_that(tmp_path):
    inside = """
    if step == 10:
        import time
        while not handle._session.publisher.connected: time.sleep(0.02)
        child = handle._session.publisher._process
        assert not handle.wait(0.2)
        handle.close()
        assert handle.wait(0.2)
        print("left with", child.wait(30), flush=True)
    """
    out = run_script(script(inside=textwrap.dedent(inside).strip().replace("\n", "\n    ")), tmp_path, QT_QPA_PLATFORM="offscreen")
    assert out.returncode == 0, out.stderr
    assert "left with 0" in out.stdout
    assert "trained 19" in out.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupt_stops_only_training(tmp_path):
    path = tmp_path / "train.py"
    told = "print(handle._session.publisher.connected and handle._session.publisher._process.pid, flush=True)"
    path.write_text(script(10**9, inside=told))
    env = environment(QT_QPA_PLATFORM="offscreen")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, str(path)], env=env, cwd=tmp_path, start_new_session=True, **pipes) as process:
        child = next(int(line) for line in process.stdout if line.strip().isdigit())
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        assert process.wait(60) != 0
    os.kill(child, 0)  # the window is alive
    os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_how_a_window_that_said_nothing_ended_is_told():
    assert told(publisher._ended(-signal.SIGKILL), "en") == "its process ended: SIGKILL"
    assert told(publisher._ended(3), "ru") == "его процесс завершился: 3"
    assert told(publisher._ended(None), "en") == f"it did not answer for {publisher.START:.0f} s"
