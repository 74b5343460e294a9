"""Compiled code by source: in memory for this process, on disk for the next.

On disk an *entry* is one object file with the functions that were compiled together. Its name is a digest of their symbols, so that a
script that ran before finds all it needs for a plan in one file; other combinations find the entries that hold their symbols in the
folder's index. Entries lie in a folder named by a digest of everything else that determines the code: the generators' own source, the
version of LLVM, the processor. The folder is the platform's place for caches; ``TORCHLIKE_ASG_CACHE=path`` moves it and
``TORCHLIKE_ASG_CACHE=off`` (or 0) does without; ``config.cache`` says the same from within. Whatever goes wrong with files costs only the
time to compile.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ... import events
from .. import forks
from ..cachefolder import root_folder
from . import isa, jit
from .calls import Source
from .emit import Module

FORMAT = b"torchlike_asg object 1\n"
#: bytes that the cache may take on disk; entries used longest ago go first
LIMIT = 512 << 20
#: the size of the cache is looked at once a day, and by a process that has written so many bytes
CHECK_EVERY = 32 << 20
INDEX = "index"  # a line of JSON per entry: its symbols, and its file's name
_DIGEST = 16

#: symbol -> address of every function compiled or loaded by this process
_loaded: dict[str, int] = {}
_written = 0
_lock = threading.RLock()
forks.guard(_lock.acquire, _lock.release)


def compile_sources(sources: Iterable[Source]) -> dict[str, int]:
    """The addresses of the sources' entry points by symbol: from memory, from disk, or compiled now, all in one module."""
    wanted = {s.symbol: s for s in sources}
    if any(name not in _loaded for name in wanted):
        with _lock:
            _complete({name: s for name, s in wanted.items() if name not in _loaded})
    return {name: _loaded[name] for name in wanted}


def _complete(missing: dict[str, Source]) -> None:
    folder = entries_folder()
    found = _read(folder, set(missing)) if folder is not None else {}
    try:
        if found:
            _loaded.update(jit.load_objects([code for code, _ in found.values()], [n for _, names in found.values() for n in names]))
    except RuntimeError:  # intact, yet the linker does not take it
        for path in found:
            _remove(path)
    rest = {name: s for name, s in missing.items() if name not in _loaded}
    if not rest:
        return
    start = time.perf_counter()
    texts: dict[bool, list[str]] = {False: [], True: []}
    for name, s in rest.items():
        texts[s.plain].append(_text(name, s))
    data = jit.compile_object(*texts[False], plain=texts[True])
    _loaded.update(jit.load_objects([data], rest))
    if events.wanted(events.KernelCompiled):
        seconds = (time.perf_counter() - start) / len(rest)
        for name in rest:
            events.publish(events.KernelCompiled(name, seconds))
    if folder is not None:
        _write(folder, sorted(rest), data)


def _text(name: str, source: Source) -> str:
    module = Module()
    source.write(module, name)
    return module.text()


# -------------------------------------------------------------------- the folder
def entries_folder() -> Path | None:
    """The folder of the entries that this version of the package on this processor can use; None without a cache."""
    try:
        root = root_folder()
        return None if root is None else root / _fingerprint()
    except (OSError, RuntimeError):  # the package's source is not in files; there is no home folder
        return None


@functools.cache
def _fingerprint() -> str:
    """A digest of what determines the code besides a source's key."""
    import llvmlite
    import llvmlite.binding as llvm

    host = isa.host()
    h = hashlib.blake2b(digest_size=12)
    made = jit.PASSES, jit.PLAIN, jit.EFFORT
    h.update(repr((FORMAT, llvmlite.__version__, llvm.llvm_version_info, sys.platform, host.cpu, host.features, made)).encode())
    package = Path(__file__).parents[2]
    layers = ("asg", "backends/cpu", "compiler", "ops", "rng")  # all that generators use
    generators = [package / "dtypes.py", *[path for layer in layers for path in (package / layer).glob("**/*.py")]]
    for path in sorted(generators):
        h.update(path.name.encode() + path.read_bytes())
    return h.hexdigest()


# -------------------------------------------------------------------- entries
def _entry(folder: Path, symbols: Iterable[str]) -> Path:
    return folder / (hashlib.blake2b("\n".join(symbols).encode(), digest_size=_DIGEST).hexdigest() + ".o")


def _checksum(path: Path, payload: bytes) -> bytes:
    """Also of the entry's name and folder: an entry is good only where it was written."""
    return hashlib.blake2b(payload, digest_size=_DIGEST, key=f"{path.parent.name}/{path.stem}".encode()).digest()


def _read(folder: Path, symbols: set[str]) -> dict[Path, tuple[bytes, list[str]]]:
    """Entries that hold some of the symbols: path -> (object, those symbols)."""
    exact = _entry(folder, sorted(symbols))
    if (entry := _load(exact)) is not None:
        return {exact: (entry[1], sorted(symbols))}
    found: dict[Path, tuple[bytes, list[str]]] = {}
    groups: dict[Path, list[str]] = {}
    for name, path in _holders(folder, sorted(symbols)).items():
        groups.setdefault(path, []).append(name)
    for path, names in groups.items():
        if (entry := _load(path)) is not None and set(names) <= set(entry[0]):
            found[path] = entry[1], names
    return found


def _load(path: Path) -> tuple[list[str], bytes] | None:
    """The symbols and the object of an entry; None, and the entry is removed, if it is not intact."""
    try:
        data = path.read_bytes()
        if time.time() - path.stat().st_mtime > 3600:
            os.utime(path)  # the time of the last use, to the hour
    except OSError:
        return None
    at = len(FORMAT)
    payload = data[at + _DIGEST :]
    if data[:at] != FORMAT or data[at : at + _DIGEST] != _checksum(path, payload):
        _remove(path)
        return None
    header, _, code = payload.partition(b"\n")
    return json.loads(header), code


def _holders(folder: Path, symbols: Iterable[str]) -> dict[str, Path]:
    """Symbol -> the entry that was written last with it, by the folder's index. The entry itself is checked when it is loaded.

    The index is searched as text, and only lines that are found are parsed: of its thousands a script needs a few.
    """
    try:
        index = (folder / INDEX).read_bytes()
    except OSError:
        return {}
    holders = {}
    for symbol in symbols:
        at = index.rfind(f'"{symbol}"'.encode())
        if at < 0:
            continue
        with contextlib.suppress(ValueError, TypeError):  # a writer was cut short
            names, file = json.loads(index[index.rfind(b"\n", 0, at) + 1 : index.find(b"\n", at)])
            if symbol in names:
                holders[symbol] = folder / file
    return holders


def _write(folder: Path, symbols: list[str], code: bytes) -> None:
    global _written
    path = _entry(folder, symbols)
    payload = json.dumps(symbols).encode() + b"\n" + code
    temporary = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(FORMAT + _checksum(path, payload) + payload)
        os.replace(temporary, path)
        with open(folder / INDEX, "ab", buffering=0) as f:  # one write, so that lines of several processes do not mix
            f.write(json.dumps([symbols, path.name]).encode() + b"\n")
        _written += len(payload)
        if _written >= CHECK_EVERY or _due(folder.parent / "checked"):
            _written = 0
            shrink(folder.parent)
    except OSError:
        _remove(temporary)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _due(stamp: Path) -> bool:
    """Whether a file was not touched for a day; it is now."""
    try:
        due = time.time() - stamp.stat().st_mtime > 86400
    except FileNotFoundError:
        due = True
    if due:
        stamp.touch()
    return due


def shrink(root: Path) -> None:
    """If the cache takes more than `LIMIT`, remove the entries used longest ago, of whatever version, until it takes three quarters of it.
    Also remove what writers that died left behind."""
    found = []
    for folder in _scan(root):
        for file in _scan(folder.path) if folder.is_dir() else ():
            with contextlib.suppress(OSError):
                at = file.stat()
                if file.name.endswith(".o"):
                    found.append((at.st_mtime, at.st_size, Path(file.path)))
                elif file.name.endswith(".tmp") and time.time() - at.st_mtime > 3600:
                    _remove(Path(file.path))
    total = sum(size for _, size, _ in found)
    if total <= LIMIT:
        return
    gone = set()
    for _, size, path in sorted(found):
        _remove(path)
        gone.add(path)
        total -= size
        if total <= LIMIT * 3 // 4:
            break
    for folder in {path.parent for path in gone}:
        if gone.issuperset(path for _, _, path in found if path.parent == folder):
            _remove(folder / INDEX)
            with contextlib.suppress(OSError):
                folder.rmdir()  # a folder of an earlier version; one in use may have got new entries meanwhile


def _scan(folder: Any) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
