"""The window's process: it leaves when nobody could close it."""

import concurrent.futures
import io
import multiprocessing
import os
import subprocess
import sys
import time

import pytest
from pyqtgraph.Qt import QtCore, QtWidgets

from torchlike_asg.viewer import publisher
from torchlike_asg.viewer.gui import app
from torchlike_asg.viewer.gui.app import Shot, Unseen
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.protocol import VERSION, Bye, Hello, encode

SCRIPT = """
import os, signal, sys, threading
from torchlike_asg import nn
import torchlike_asg as torch
from torchlike_asg.viewer.gui import app
handle = nn.Linear(2, 2).visualize(shot={shot!r})
publisher = handle._session.publisher
while not any(thread.name == "asg-viewer-in" for thread in threading.enumerate()):  # which listens once the window was greeted
    handle._session.join(0.05)
print(publisher._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def waits(application, seconds, done):
    clock = QtCore.QElapsedTimer()
    clock.start()
    while not done() and clock.elapsed() < 1000 * seconds:
        application.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents, 20)


def test_a_window_that_nobody_sees_leaves_after_its_trainer(application):
    store, heard = Store(), []
    unseen = Unseen(store, delay=10)
    unseen.over.connect(lambda: heard.append(1))
    store.apply(Hello())
    waits(application, 0.1, lambda: heard)
    assert not heard
    store.apply(Bye("lost"))
    waits(application, 5, lambda: heard)
    assert heard == [1]


def test_a_picture_that_cannot_be_written_is_said(window, tmp_path, capsys, monkeypatch):
    left = []
    monkeypatch.setattr(QtWidgets.QApplication, "exit", left.append)
    shot = Shot(window, str(tmp_path / "nowhere" / "shot.png"))
    shot._take()
    assert left == [2]
    said = capsys.readouterr().err
    assert "shot.png cannot be written: " in said
    assert said.count("\n") == 1


def test_a_trainer_of_another_version_is_not_shown(application, monkeypatch):
    class Other:
        def recv_bytes(self):
            return encode(Hello(version=VERSION + 1))

    monkeypatch.setattr(app, "connect", lambda address, key: Other())
    monkeypatch.setattr(app.signal, "signal", lambda number, action: None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("00\n"))
    assert app.run("localhost:1") == 3


def test_nobody_is_let_in_without_the_key(tmp_path):
    class Child:
        def poll(self):
            return None

    sender, key = publisher.Publisher(Hello(), lambda m: None, lambda key, fields: None, None), b"k" * 32
    sender._process = Child()
    server = publisher._listen(str(tmp_path))
    with server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(sender._accept, server, key)
        with pytest.raises(multiprocessing.AuthenticationError):
            app.connect(publisher._address(server), b"x" * 32)
        inside = app.connect(publisher._address(server), key)
        accepted.result(60).send_bytes(b"hello")
        assert inside.recv_bytes() == b"hello"
        inside.close()
        accepted.result().close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")
def test_a_window_that_was_to_take_a_picture_leaves_though_its_trainer_was_killed(tmp_path):
    shot = tmp_path / "shot.png"
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(shot=str(shot)), encoding="utf-8")
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=120)
    pid = int(done.stdout)
    until = time.monotonic() + 60
    while time.monotonic() < until and alive(pid):
        time.sleep(0.05)
    assert not alive(pid)
    assert shot.read_bytes().startswith(b"\x89PNG")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:  # one that has ended, but that nobody has waited for
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
