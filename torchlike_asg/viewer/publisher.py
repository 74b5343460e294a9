"""Where messages go: to a window in a child process, to a recording, and into a memory of what `save` writes. A thread of its own.

The thread starts the window, waits for it, and sends; whatever happens there (a frozen window, a closed one, none at all) the training
thread notices nothing. What is to be sent lies in a bounded queue.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from .damage import Damaged
from .protocol import MAGIC, Event, Graph, Hello, Message, Scalars, decode, encode, write_frame

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: messages that wait for the window, and their bytes; older ones give way
MOST_WAITING, WAITING_BYTES = 4000, 128 << 20
#: bytes that are sent at once, about
PACKET = 1 << 18
#: messages of other kinds than curves and graphs that are remembered for `save`, and their bytes
MOST_REMEMBERED, REMEMBERED_BYTES = 4000, 32 << 20
#: bytes of a recording; beyond that it is written anew from what is remembered
RECORDING_BYTES = 256 << 20
#: points of a curve that are remembered, beyond that every second one of the older half; and pieces that they may come in
MOST_POINTS, MOST_PIECES = 1_000_000, 256
START = 60.0  # seconds that a window has to appear


def headless() -> str | None:
    """Why there can be no window here, as a key of the catalogue (``ui.viewer.headless``), or None."""
    if importlib.util.find_spec("pyqtgraph") is None or not any(map(importlib.util.find_spec, ("PyQt6", "PySide6", "PyQt5", "PySide2"))):
        return "no_qt"
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if sys.platform.startswith(("linux", "freebsd")) and platform not in ("offscreen", "minimal", "vnc", "linuxfb", "eglfs"):
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return "no_display"
    return None


class History:
    """Everything sent, thinned where it grows without bound: what a recording written later contains."""

    def __init__(self, hello: Hello) -> None:
        self._lock = threading.Lock()
        self._hello = hello
        self._graphs: list[bytes] = []
        self._curves: dict[str, list[Any]] = {}  # of each curve pieces of (steps, times, values)
        self._points: dict[str, int] = {}
        self._rest: deque[bytes] = deque()
        self._bytes = 0  # of these

    def add(self, message: Message, frame: bytes) -> None:
        with self._lock:
            if isinstance(message, Scalars):
                curve = self._curves.setdefault(message.name, [])
                curve.append((message.steps, message.times, message.values))
                self._points[message.name] = count = self._points.get(message.name, 0) + len(message.steps)
                if len(curve) >= MOST_PIECES or count > MOST_POINTS:
                    joined = tuple(map(np.concatenate, zip(*curve, strict=True)))
                    if count > MOST_POINTS:
                        half = count // 2
                        joined = tuple([np.concatenate([c[:half:2], c[half:]]) for c in joined])
                    self._curves[message.name], self._points[message.name] = [joined], len(joined[0])
            elif isinstance(message, Graph):
                self._graphs.append(frame)
                if len(self._graphs) > 64:
                    del self._graphs[1]
            else:
                self._rest.append(frame)
                self._bytes += len(frame)
                while len(self._rest) > MOST_REMEMBERED or (self._bytes > REMEMBERED_BYTES and len(self._rest) > 1):
                    self._bytes -= len(self._rest.popleft())

    def write(self, file: BinaryIO) -> None:
        """As a recording."""
        with self._lock:
            file.write(MAGIC)
            write_frame(file, encode(self._hello))
            for frame in self._graphs:
                write_frame(file, frame)
            for name, pieces in self._curves.items():
                write_frame(file, encode(Scalars(name, *map(np.concatenate, zip(*pieces, strict=True)))))
            for frame in self._rest:
                write_frame(file, frame)


class Publisher:
    """Sends what `post` is given.

    ``heard``     called with each message from the window, in a thread of this object's
    ``say``       called once with (key, fields) if there is no window, or with where the recording is
    """

    def __init__(
        self, hello: Hello, heard: Callable[[Message], None], say: Callable[[str, dict[str, Any]], None], record: Path | None
    ) -> None:
        self._hello, self._heard, self._say = hello, heard, say
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.lost = 0
        self.history = History(hello)
        self._file: BinaryIO | None = None
        self._record = record
        self._most = RECORDING_BYTES
        self._connection: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.closed = threading.Event()  # the window is gone, or never was
        self._stop = threading.Event()
        if record is not None:
            self._open(record)

    # ---------------------------------------------------------------- recording
    def _open(self, path: Path) -> None:
        self._file = open(path, "wb")  # for as long as the run
        self._file.write(MAGIC)
        write_frame(self._file, encode(self._hello))

    def _write_anew(self) -> None:
        """Make a long recording shorter: curves are thinned, of statistics the newest stay. The old file is there until the new one is."""
        assert self._file is not None and self._record is not None
        new = self._record.with_name(self._record.name + ".new")
        try:
            with open(new, "wb") as file:
                self.history.write(file)
            self._file.close()
            os.replace(new, self._record)
        except OSError:  # no room for two: go on with the old one
            new.unlink(missing_ok=True)
        self._file = open(self._record, "ab")  # for as long as the run
        self._most = max(RECORDING_BYTES, 2 * self._file.tell())

    def _fall_back(self, key: str, reason: str | Exception = "") -> None:
        """There is no window: keep a recording instead, with all that was sent so far."""
        self.closed.set()
        if self._file is None:
            name = "".join(c if c.isalnum() else "-" for c in self._hello.title) or "run"
            path = Path(f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.asgtrace")
            while path.exists():
                path = path.with_name(f"{path.stem}-{secrets.token_hex(2)}.asgtrace")
            try:
                self._file = open(path, "wb")
            except OSError as error:
                self._say("unwritable", {"path": str(path), "reason": error})
                return
            self.history.write(self._file)
            self._file.flush()
            self._record = path
        self._waiting.clear()
        self._say(key, {"path": str(self._record), "reason": reason})

    # ---------------------------------------------------------------- sending
    def post(self, message: Message) -> None:
        """Send a message, as soon as there is somebody to send it to."""
        frame = encode(message)
        self.history.add(message, frame)
        if self._file is not None:
            write_frame(self._file, frame)
            self._file.flush()
            if self._file.tell() > self._most:
                self._write_anew()
        if not self.closed.is_set():
            self._waiting.append(frame)
            self._waiting_bytes += len(frame)
            while len(self._waiting) > MOST_WAITING or (self._waiting_bytes > WAITING_BYTES and len(self._waiting) > 1):
                self._waiting_bytes -= len(self._waiting.popleft())
                self.lost += 1

    def flush(self) -> None:
        """Send what waits. Blocks while the window does not read; nobody but this object's thread waits for it."""
        connection = self._connection
        if connection is None:
            return
        try:
            if self.lost:
                lost, self.lost = self.lost, 0
                connection.send_bytes(encode(Event(0, 0.0, f"lost:{lost}")))
            while self._waiting:  # as one packet, for one call of the system, and one waking of the window's reader
                packet, size = [self._waiting[0]], len(self._waiting[0])
                while len(packet) < len(self._waiting) and size < PACKET:
                    packet.append(self._waiting[len(packet)])
                    size += len(packet[-1])
                connection.send_bytes(b"".join(packet))
                for _ in packet:
                    self._waiting_bytes -= len(self._waiting.popleft())
        except (OSError, ValueError, IndexError):
            self.hang_up()

    @property
    def pending(self) -> bool:
        return bool(self._waiting) and not self.closed.is_set()

    @property
    def connected(self) -> bool:
        return self._connection is not None

    def hang_up(self) -> None:
        """The window is gone."""
        self.closed.set()
        self._waiting.clear()
        self._waiting_bytes = 0
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def finish(self) -> None:
        """Close everything."""
        self._stop.set()
        self.hang_up()
        if self._file is not None:
            self._file.close()
            self._file = None

    # ---------------------------------------------------------------- the window
    def start(self) -> None:
        """Start a window and wait until it is there; else fall back to a recording. Called in the thread that sends."""
        reason = headless()
        if reason is not None:
            self._fall_back(reason)
            return
        folder = tempfile.mkdtemp(prefix="asg")
        server = _listen(folder)
        try:
            with server:
                key = secrets.token_bytes(32)
                log = Path(folder, "log")
                self._process = _spawn(_address(server), key, log)
                self._connection = self._accept(server, key)
                reason = _last_line(log) or _ended(self._process.poll())
        except OSError as error:
            self._connection, reason = None, error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if self._connection is None:
            if not self._stop.is_set():
                self._fall_back("no_window", reason)
            return
        self._connection.send_bytes(encode(self._hello))
        threading.Thread(target=self._listen, name="asg-viewer-in", daemon=True).start()

    def _accept(self, server: socket.socket, key: bytes) -> Connection | None:
        from multiprocessing.connection import Connection, answer_challenge, deliver_challenge  # not needed before

        server.settimeout(0.1)
        until = time.monotonic() + START
        assert self._process is not None
        while time.monotonic() < until and not self._stop.is_set():
            try:
                accepted, _ = server.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    return None
                continue
            accepted.setblocking(True)
            connection: Connection = Connection(accepted.detach())
            try:
                deliver_challenge(connection, key)
                answer_challenge(connection, key)
            except Exception:  # somebody else knocked
                connection.close()
                continue
            return connection
        return None

    def _listen(self) -> None:
        connection = self._connection
        try:
            while connection is not None:
                message = decode(connection.recv_bytes())
                if message is not None:
                    self._heard(message)
        except (EOFError, OSError, ValueError, TypeError):
            pass
        self.hang_up()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the window is closed."""
        return self.closed.wait(timeout)

    def left(self, timeout: float) -> None:
        """Wait until the window's process has ended, which works on for a while after it has heard the last."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)


def _listen(folder: str) -> socket.socket:
    if hasattr(socket, "AF_UNIX") and len(folder) < 90:
        server = socket.socket(socket.AF_UNIX)
        server.bind(os.path.join(folder, "s"))
    else:
        server = socket.socket(socket.AF_INET)
        server.bind(("127.0.0.1", 0))
    server.listen(1)
    return server


def _address(server: socket.socket) -> str:
    name = server.getsockname()
    return name if isinstance(name, str) else f"{name[0]}:{name[1]}"


def _last_line(log: Path) -> str:
    """What a child that could not start said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else ""


def _ended(status: int | None) -> Damaged:
    """Why a window that said nothing is not there: how its process ended, if it did."""
    if status is None:
        return Damaged("late", seconds=f"{START:.0f}")
    names = {-s: s.name for s in signal.Signals}
    return Damaged("ended", status=names.get(status, str(status)))


def _spawn(address: str, key: bytes, log: Path) -> subprocess.Popen[bytes]:
    """The child process. It has its own session, so that an interrupt from the keyboard stops only training; the key goes through its
    standard input, where no list of processes shows it. It keeps none of our streams: a pipe we write to must end when we do."""
    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    command = [sys.executable, "-m", "torchlike_asg.viewer.gui", address]
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=errors, stderr=errors, env=environment, **options)
    assert process.stdin is not None
    process.stdin.write(key.hex().encode() + b"\n")
    process.stdin.close()
    return process
