"""The child process: a connection to the trainer, or a file, and the window."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections import deque
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

from pyqtgraph.Qt import QtCore, QtWidgets

from ..damage import Damaged, told
from ..protocol import VERSION, Bye, Graph, Hello, Message, decode, decode_all, encode, read_recording
from ..snapshot import GraphSnapshot
from .say import Say
from .store import Store
from .window import Window

#: packets that wait to be looked at; a window that is this far behind leaves out what is old
MOST_WAITING = 20_000
#: Qt's platforms that show nothing
UNSEEN = ("offscreen", "minimal")


class Link:
    """The connection, read by a thread of its own: on Windows there is nothing that Qt could wait for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self.open = True
        threading.Thread(target=self._read, name="asg-viewer-in", daemon=True).start()

    def _read(self) -> None:
        try:
            while True:
                self.waiting.append(self._connection.recv_bytes())
        except (EOFError, OSError):
            self.open = False

    def send(self, message: Message) -> None:
        if self.open:
            try:
                self._connection.send_bytes(encode(message))
            except OSError:
                self.open = False


class Feed(QtCore.QObject):
    """Moves messages from the link into the store, in Qt's thread."""

    def __init__(self, link: Link, store: Store) -> None:
        super().__init__()
        self.link, self.store = link, store
        self.timer = QtCore.QTimer(self, interval=50)
        self.timer.timeout.connect(self.take)
        self.timer.start()

    def take(self) -> None:
        """Everything that has come."""
        for _ in range(2000):
            if not self.link.waiting:
                break
            for message in decode_all(self.link.waiting.popleft()):
                self.store.apply(message)
        if self.store.ended == "closed":  # the script closes its window
            QtWidgets.QApplication.quit()
        if not self.link.open and not self.link.waiting and self.store.ended is None:
            self.store.apply(Bye("lost"))


def load(path: Path, store: Store) -> Damaged | None:
    """Fill the store from a recording or a saved graph. Gives what is wrong with the end of a recording; Damaged if nothing of it can be
    shown."""
    if path.name.endswith(".json"):
        store.apply(Hello(title=path.name.removesuffix(".json").removesuffix(".asg")))
        store.apply(Graph(1, GraphSnapshot.from_json(path).columns()))
    damage: Damaged | None = None
    if not path.name.endswith(".json"):
        try:
            for message in read_recording(path):
                store.apply(message)
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            damage = error if isinstance(error, Damaged) else Damaged("message")
    if not store.graphs and not store.curves:
        raise damage or Damaged("nothing")
    store.ended = store.ended or "recorded"
    return damage


@functools.cache  # it must live as long as its windows
def application() -> QtWidgets.QApplication:
    """Qt's application object."""
    found = QtWidgets.QApplication.instance()
    if found is None:
        found = QtWidgets.QApplication(["torchlike-asg"])
    found.setApplicationName("torchlike_asg")
    found.setStyle("Fusion")
    return found


class Unseen(QtCore.QObject):
    """On a platform without a screen nobody can close the window: it goes by itself, a while after its trainer. ``over()`` says when."""

    over = QtCore.Signal()

    def __init__(self, store: Store, parent: QtCore.QObject | None = None, delay: int = 30_000) -> None:
        super().__init__(parent)
        self._store, self._delay = store, delay
        self._timer = QtCore.QTimer(self, interval=min(delay, 500))
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        if self._store.ended is not None:
            self._timer.stop()
            QtCore.QTimer.singleShot(self._delay, self.over.emit)


class Shot(QtCore.QObject):
    """Saves a picture of the window once training has ended, and leaves."""

    def __init__(self, window: Window, path: str, delay: int = 1200) -> None:
        super().__init__(window)
        self.window_, self.path, self._delay = window, path, delay
        self._armed = False
        self.timer = QtCore.QTimer(self, interval=200)
        self.timer.timeout.connect(self._look)
        self.timer.start()

    def _look(self) -> None:
        self._choose()  # early, so that training is looked into there
        if self.window_.store.ended is not None and not self.window_.store.changed and not self._armed:
            self._armed = True
            QtCore.QTimer.singleShot(self._delay, self._take)

    def _choose(self) -> None:
        """With nothing selected, the node that says most: one that was looked at, else an activation or a norm."""
        window = self.window_
        if not window.canvas.selection[0] and len(window.model.graph):
            categories = window.model.categories
            order = ("attention", "activation", "norm", "linalg", "conv", "loss")
            ranked = [(order.index(c), i) for i, c in enumerate(categories) if c in order and window.model.graph.phase[i] == 0]
            if ranked:
                window.go("node", min(ranked)[1])

    def _take(self) -> None:
        self.window_.follow()
        picture = QtCore.QBuffer()
        self.window_.grab().save(picture, "PNG")
        status = 0
        try:
            Path(self.path).write_bytes(picture.data().data())
        except OSError as error:
            say = self.window_.say
            print(say("export.failed", path=self.path, reason=told(error, say.lang)), file=sys.stderr)
            status = 2
        QtWidgets.QApplication.exit(status)


def run(target: str, lang: str | None = None, theme: str | None = None, shot: str = "") -> int:
    """Open the window on an address (its key comes over standard input) or on a file; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_DFL if os.path.isfile(target) else signal.SIG_IGN)
    app = application()  # first: where Qt finds no display, the trainer must not believe that there is a window
    store = Store()
    link: Link | None = None
    path = Path(target)
    if path.is_file():
        damage = load(path, store)
        if damage is not None:
            known = lang or store.hello.lang
            print(Say(known)("file.partly", path=path, reason=told(damage, known)), file=sys.stderr)
    else:
        connection = connect(target, bytes.fromhex(sys.stdin.readline().strip()))
        first = decode(connection.recv_bytes())
        if not isinstance(first, Hello) or first.version != VERSION:
            return 3
        store.apply(first)
        link = Link(connection)
        _be_modest()
    say = Say(lang or store.hello.lang)
    window = Window(store, say, theme or store.hello.theme, link.send if link is not None else None)
    feed = Feed(link, store) if link is not None else None
    window.feed = feed  # type: ignore[attr-defined]
    if link is not None and QtWidgets.QApplication.platformName() in UNSEEN:
        unseen = Unseen(store, window)
        unseen.over.connect(app.quit)
    if shot or store.hello.shot:
        Shot(window, shot or store.hello.shot)
    window.show()
    store.changed |= {"hello", "graph", "scalars", "stats", "alarm", "failure"} if store.graphs else set()
    status = int(app.exec())
    if link is not None:
        link.send(Bye("closed"))
    return status


def connect(address: str, key: bytes) -> Connection:
    """To the trainer's socket: a path, or host:port."""
    host, _, port = address.rpartition(":")
    place: Any = (host, int(port)) if port.isdigit() and "/" not in address else address
    return Client(place, authkey=key)  # type: ignore[return-value]


def _be_modest() -> None:
    """Give way to training where both want the processor."""
    if hasattr(os, "nice"):
        os.nice(10)
