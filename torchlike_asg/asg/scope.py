"""Provenance: the stack of modules being called, and the user's line.

`Module.__call__` pushes and pops; nothing is looked up until a node is created or an error passes through.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from types import CodeType
from typing import Any

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_EXAMPLES = "<unknown>"


class Calls(list[Any]):
    """The modules being called in a thread, outermost first. While gradients are off it is of a class that looks at what is called
    (facade/boundary.py)."""

    __slots__ = ()


_stack: ContextVar[Calls | None] = ContextVar("module_stack", default=None)


def stack() -> Calls:
    """The modules being called in this thread, outermost first."""
    s = _stack.get()
    if s is None:
        s = Calls()
        _stack.set(s)
    return s


_get = _stack.get


def path(modules: list[Any] | None = None) -> str:
    """``GPT.h.3.fc1 (Linear)`` for the innermost module of the stack; empty outside any module."""
    modules = stack() if modules is None else modules
    if not modules:
        return ""
    root, leaf = _home(modules), modules[-1]
    name = _name_of_root(root)
    if leaf is root:
        return name
    inner = _name_of(root, leaf)
    if inner is None:  # not a registered descendant of the root: spell the chain of calls
        below = modules[modules.index(root) + 1 :] if root in modules else modules[1:]
        inner = ".".join(type(m).__name__ for m in below)
    return f"{name}.{inner} ({type(leaf).__name__})"


_names: weakref.WeakKeyDictionary[Any, dict[int, str]] = weakref.WeakKeyDictionary()


def _name_of(root: Any, leaf: Any) -> str | None:
    try:
        known = _names.get(root)
        if known is None or id(leaf) not in known:
            known = _names[root] = {id(m): n for n, m in root.named_modules()}
    except TypeError:
        return None
    return known.get(id(leaf))


#: models whose parts may be called by themselves, as those of a GAN are: their names are those they have in the model
_adopted: weakref.WeakSet[Any] = weakref.WeakSet()
_homes: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
#: other models of the classes of those: what tells their names apart
_namesakes: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def adopt(model: Any) -> None:
    """From now on `model` is where names begin: its parts have the names that they have in it, whether they are called by themselves or
    within a module around the model, and other models of its class have a number."""
    _adopted.add(model)
    _homes.clear()
    _namesakes.clear()


def release(model: Any) -> None:
    """The opposite of `adopt`."""
    _adopted.discard(model)
    _homes.clear()
    _namesakes.clear()


def _name_of_root(root: Any) -> str:
    name = type(root).__name__
    if not _adopted:
        return name
    adopted = list(_adopted)
    if any(m is root for m in adopted) or not any(type(m) is type(root) for m in adopted):
        return name
    found = _namesakes.get(root)
    if found is None:
        found = _namesakes[root] = f"{name}#{2 + sum(type(m) is type(root) for m in list(_namesakes))}"
    return found


def _home(modules: list[Any]) -> Any:
    """The adopted model that is being called, or that the outermost module called is part of, else that module."""
    root = modules[0]
    if not _adopted:
        return root
    adopted = list(_adopted)
    for called in modules:
        if any(m is called for m in adopted):
            return called
    found = _homes.get(root)
    if found is None:
        home = next((m for m in adopted if m is not root and _name_of(m, root) is not None), root)
        found = _homes[root] = weakref.ref(home)
    known = found()
    return root if known is None else known


Site = tuple[str, str, int]


class _Inherited(threading.local):
    """What nodes that this thread makes take as their site and as their origin, if they do not have their own."""

    site: Site | None = None
    origin: int | None = None


_inherited = _Inherited()


@contextlib.contextmanager
def inherited() -> Iterator[_Inherited]:
    """While nodes are made of others: whoever makes them says as `site` where the one that they come from was recorded, and the compiler
    as `origin` which one that was.
    """
    before = _inherited.site, _inherited.origin
    try:
        yield _inherited
    finally:
        _inherited.site, _inherited.origin = before


def origin() -> int | None:
    """The serial of the recorded node that the compiler is working on."""
    return _inherited.origin


#: this package's pieces of code by identity, kept alive; a piece of code is hashed by its whole text, each time
_ours: dict[int, CodeType] = {}


def _is_ours(code: CodeType) -> bool:
    """Whether a piece of code is this package's; what is not is not noted, of which there may be many: functions made in a loop."""
    if not code.co_filename.startswith(_PACKAGE):
        return False
    _ours[id(code)] = code
    return True


def site() -> Site:
    """(module path, file, line) of the code outside this package that is recording."""
    found = _inherited.site
    if found is not None:
        return found
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if id(code) not in _ours and not _is_ours(code):
            break
        frame = frame.f_back  # type: ignore[assignment]
    where = (_EXAMPLES, 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    modules = _stack.get()
    return path(modules) if modules else "", *where


def place(depth: int) -> tuple[Any, ...]:
    """Where the running code was called from, `depth` calls out: every call from there to the user's line, to the instruction."""
    found: list[Any] = []
    frame = sys._getframe(depth)
    while frame is not None:
        code = frame.f_code
        if id(code) not in _ours and not _is_ours(code):
            found.append((code.co_filename, code.co_firstlineno, frame.f_lasti))
            break
        found.append((id(code), frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)


def placed(error: BaseException, n: Any) -> None:
    """Say once, on an exception that computing a recorded node raised, which one that is and where it was recorded first. (Operations are
    recorded at their lines and computed later: the traceback leads to the line that asked for a value.)"""
    if getattr(error, "_asg_placed", False):
        return
    operands = " and ".join(f"{s.dtype.name}{list(s.shape)}" for s in n.srcs)
    module, file, line = n.site
    where = f", in {module}" if module else ""
    error.add_note(f"computing {n.op.name} of {operands or 'no operand'}, first recorded at {file}:{line}{where}")
    with contextlib.suppress(AttributeError):
        error._asg_placed = True  # type: ignore[attr-defined]


#: called with an exception that passes through a module, and the modules being called (a viewer's)
on_failure: Callable[[BaseException, list[Any]], None] | None = None


def note(error: BaseException, modules: list[Any]) -> None:
    """Say once, on an exception passing through, in which module it was raised."""
    if not getattr(error, "_asg_noted", False):
        text = path(modules)
        if text and not getattr(error, "_asg_placed", False):
            error.add_note(f"in {text}")
        try:
            error._asg_noted = True  # type: ignore[attr-defined]
        except AttributeError:
            return
        if on_failure is not None:
            on_failure(error, modules)
