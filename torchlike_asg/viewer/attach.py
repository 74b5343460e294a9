"""`visualize` and `attach`: a window on a module, and the handle that the script keeps."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..asg import scope
from ..asg.node import Node
from ..facade.core import Tensor, node_of
from . import taps

if TYPE_CHECKING:
    from .session import Session

THEMES = ("auto", "dark", "light")
PICTURE = 30.0  # seconds that the picture of a window may take after the last message
_open: weakref.WeakSet[ViewerHandle] = weakref.WeakSet()


class ViewerHandle:
    """A viewer that is attached.

    ``close()`` ends it, and the window with it; ``wait()`` blocks until the user has closed the window; ``save(path)`` writes a recording
    of everything so far; ``log(name, value)`` adds a point to a curve of that name; ``mark(text)`` a marker. As a context manager it is
    detached at the end, and the window stays.
    """

    def __init__(self, model: Any, lang: str, theme: str, shot: str, record: Path | None, window: bool) -> None:
        self._lang, self._shot = "en", shot
        self._tap = taps.Tap(model)
        self._attached = True
        first = [model] if isinstance(model, Tensor) else model if isinstance(model, (list, tuple)) else []
        nodes = [node_of(t) for t in first]
        if record is not None:
            open(record, "wb").close()  # what cannot be written is said at once
        self._root = weakref.ref(model) if hasattr(model, "named_modules") else None
        if self._root is not None:
            scope.adopt(model)
        taps.add(self._tap)
        _open.add(self)
        self._made: Session | None = None
        self._ready = threading.Event()
        # the rest takes longer than a script should wait, mostly for imports
        threading.Thread(
            target=self._begin, args=(model, lang, theme, shot, record, window, nodes), name="asg-viewer-begin", daemon=True
        ).start()

    def _begin(self, model: Any, lang: str, theme: str, shot: str, record: Path | None, window: bool, nodes: list[Node]) -> None:
        try:
            from ..i18n.catalog import parse_language
            from .capture import Step
            from .protocol import Hello
            from .session import Session

            code = parse_language(lang)
            if code is None:
                print(f"Unknown --lang value '{lang}', falling back to English. Try `en` or `ru`.", file=sys.stderr)
            self._lang = code or "en"
            title = "graph" if nodes else type(model).__name__
            hello = Hello(pid=os.getpid(), title=title, lang=self._lang, theme=theme, shot=shot)
            session = Session(model if hasattr(model, "named_modules") else None, self._tap, hello, self._say, record, window)
            if nodes:
                session.first = Step(nodes)
            session.start()
            self._made = session
        finally:
            self._ready.set()

    @property
    def _session(self) -> Session:
        self._ready.wait()
        if self._made is None:
            raise RuntimeError("the viewer could not start")
        return self._made

    def _say(self, key: str, fields: dict[str, Any]) -> None:
        from ..i18n.catalog import text
        from .damage import told

        fields = {name: told(value, self._lang) if isinstance(value, BaseException) else value for name, value in fields.items()}
        print(text(f"ui.viewer.headless.{key}", self._lang, **fields), file=sys.stderr, flush=True)

    @property
    def closed(self) -> bool:
        """Whether there is no window (any more)."""
        return self._session.publisher.closed.is_set()

    def log(self, name: str, value: Any, step: int | None = None) -> None:
        """Add a point to the curve `name`: a number, or a tensor that was computed already (it is read: on a GPU that waits for it)."""
        from .protocol import Scalars

        at = self._tap.steps if step is None else step
        number = float(value.item() if hasattr(value, "item") else value)
        seconds = time.perf_counter() - self._tap.begun
        point = (np.asarray([at], np.int64), np.asarray([seconds]), np.asarray([number]))
        self._session.logged.append(Scalars(name, *point))

    def mark(self, text: str) -> None:
        """Put a marker with a text on the curves."""
        from .protocol import Event

        self._session.logged.append(Event(self._tap.steps, time.perf_counter() - self._tap.begun, text))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the window is closed (or `timeout` seconds have passed: then False). Training can go on in other threads."""
        session = self._session
        until = None if timeout is None else time.monotonic() + timeout
        while not session.publisher.closed.is_set():
            rest = 0.2 if until is None else min(0.2, until - time.monotonic())  # short waits, so that Ctrl-C is heard
            if rest <= 0:
                return False
            session.publisher.wait(rest)
        return True

    def save(self, path: str | Path) -> None:
        """Write everything so far as a recording, which ``python -m torchlike_asg.viewer PATH`` opens."""
        self._session.tick() if not self._session.is_alive() else self._settle()
        with open(path, "wb") as file:
            self._session.publisher.history.write(file)

    def _settle(self) -> None:
        """Wait until the session has taken what happened before, however long it takes on a busy machine, or has ended."""
        done = threading.Event()
        self._session.asked.append(done)
        self._session._wake.set()
        while not done.wait(0.2) and self._session.is_alive():
            pass

    def detach(self, reason: str = "done", timeout: float = 15.0) -> None:
        """Stop listening; the window stays, for exploration. Where it was to save a picture, that is done when this returns."""
        if self._attached:
            self._attached = False
            taps.remove(self._tap)
            _open.discard(self)
            model = self._root() if self._root is not None else None
            if model is not None and not any(h._root is not None and h._root() is model for h in list(_open)):
                scope.release(model)
            self._session.finish(reason, timeout)
            if self._shot:
                self._session.publisher.left(PICTURE)

    def close(self) -> None:
        """Stop listening and close the window."""
        self.detach("closed", 3.0)
        self._session.publisher.finish()

    def __enter__(self) -> ViewerHandle:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.detach("done" if kind is None else "error")


def visualize(
    model: Any,
    lang: str = "en",
    theme: str = "auto",
    *,
    block: bool = False,
    record: str | Path | None = None,
    shot: str | Path | None = None,
) -> ViewerHandle:
    """Open a window on a module (or on the graph of a tensor), which follows its training. Returns at once.

    Args:
        model: a Module; or a tensor, whose graph is shown.
        lang: language of the window: "en", "ru" or another with a catalogue; names in that language are understood, too.
        theme: "dark", "light", or "auto", which follows the desktop.
        block: wait until the window is closed.
        record: also write a recording to this file.
        shot: save a picture of the window to this file when training ends, and close it; the program's end waits for that.

    The window is a process of its own; nothing that happens to it disturbs the training, and the end of training leaves it open. Without a
    display a recording is written, and said so in one line.
    """
    if theme not in THEMES:
        raise ValueError(f"unknown theme {theme!r}: one of {', '.join(THEMES)}")
    path = str(Path(shot).absolute()) if shot is not None else ""
    handle = ViewerHandle(model, lang, theme, path, Path(record) if record is not None else None, True)
    if block:
        handle.wait()
    return handle


def attach(model: Any, *, record: str | Path | None = None, window: bool = True, lang: str = "en", theme: str = "auto") -> ViewerHandle:
    """`visualize`, or with ``window=False`` only a recording (or nothing but the means to `save` one)."""
    if window:
        return visualize(model, lang, theme, record=record)
    return ViewerHandle(model, lang, theme, "", Path(record) if record is not None else None, False)


def _end() -> None:
    """The program ends: send what there is; the windows stay."""
    failed = getattr(sys, "last_type", None) is not None and getattr(sys, "last_type", None) is not KeyboardInterrupt
    for handle in list(_open):
        handle.detach("error" if failed else "done")


_hook = sys.excepthook


def _uncaught(kind: type[BaseException], error: BaseException, tb: Any) -> None:
    """An exception that ends the program is shown in the window, too."""
    if _open and issubclass(kind, Exception) and not getattr(error, "_asg_noted", False):
        from ..asg.trace import current

        for tap in list(taps._taps):
            tap.failures.append((error, ((), current())))
    _hook(kind, error, tb)


atexit.register(_end)
sys.excepthook = _uncaught
