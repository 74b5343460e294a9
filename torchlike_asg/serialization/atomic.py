"""Files that appear whole or not at all: written beside the target, flushed to the disk, then renamed over it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

__all__ = ["atomic_path", "atomic_write", "sync_directory", "sync_file"]

TEMPORARY_SUFFIX = ".saving"


def sync_file(path: str) -> None:
    """Have the operating system put the content of `path` on the disk."""
    with open(path, "r+b") as stream:
        os.fsync(stream.fileno())


def sync_directory(path: str) -> None:
    """Make renames inside directory `path` durable. Windows has no such call, and needs none: its renames are journalled."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse to sync a directory; the file itself is synced
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """The name of a new, empty file to fill in place of `path`; when the block ends well it replaces `path`, else it is removed.

    A symbolic link is followed, an existing file passes on its permissions, and what is no regular file (``/dev/null``, a pipe)
    is given out as it is. Raises RuntimeError if the parent directory does not exist.
    """
    target = os.path.realpath(os.fspath(path))
    mode: int | None = None
    with suppress(FileNotFoundError):
        found = os.stat(target)
        if not stat.S_ISREG(found.st_mode):
            yield target
            return
        mode = stat.S_IMODE(found.st_mode)
    directory, name = os.path.split(target)
    if not os.path.isdir(directory):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path))} does not exist.")
    temporary = os.path.join(directory, f".{name[:100]}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # 0o666: the umask decides, as for any new file
    try:
        yield temporary
        sync_file(temporary)
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(directory)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces the file `path` when the block ends without an exception (see :func:`atomic_path`)."""
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        yield stream
