"""The text to learn: reading it, numbering its characters, holding a part of it out."""

from __future__ import annotations

import hashlib
import sysconfig
import tokenize
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .problem import Problem

HELD_OUT_PARTS = 10  # one of this many equal parts of the text is held out
#: Characters of the standard library to take: about two dozen of its files, far more than a short run can memorise.
LIBRARY_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Corpus:
    """A text as character numbers: the beginning to learn from, the end (a tenth) held out."""

    vocabulary: str
    train: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]
    digest: str

    @staticmethod
    def of(text: str, block: int) -> Corpus:
        """Number the characters of `text`. Raises Problem unless both parts hold one sequence of `block` characters and its successor."""
        split = len(text) - len(text) // HELD_OUT_PARTS
        if len(text) - split <= block:
            raise Problem("data_too_short", length=len(text), block=block, minimum=(block + 1) * HELD_OUT_PARTS)
        points, numbers = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
        digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
        return Corpus("".join(map(chr, points)), numbers[:split], numbers[split:], digest)

    def decode(self, numbers: list[int]) -> str:
        return "".join(self.vocabulary[number] for number in numbers)


def read_file(path: Path) -> str:
    """The text of a UTF-8 file, line ends as ``\\n``. Raises Problem for anything that is not a readable, non-empty text."""
    if path.is_dir():
        raise Problem("data_is_folder", path=path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise Problem("data_missing", path=path) from error
    except OSError as error:
        raise Problem("data_unreadable", path=path, reason=error.strerror) from error
    if not raw:
        raise Problem("data_empty", path=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem("data_binary", path=path) from error
    if "\0" in text:
        raise Problem("data_binary", path=path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def standard_library_text(limit: int = LIBRARY_CHARACTERS) -> str:
    """The first `limit` characters of the standard library's top-level modules, in the order of their names.

    The same text on every call of one Python installation. Raises Problem where Python came without its sources.
    """
    parts: list[str] = []
    missing = limit
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"), key=lambda path: path.name):
        try:
            with tokenize.open(path) as source:  # honours the file's own coding line
                part = source.read()
        except (OSError, SyntaxError, UnicodeDecodeError):
            continue
        parts.append(part[:missing])
        missing -= len(parts[-1])
        if missing == 0:
            break
    if not parts:
        raise Problem("no_library_source")
    return "".join(parts)
