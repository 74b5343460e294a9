"""Jupyter notebooks as scripts: the code of all cells in order, and where each of its lines stands.

What is no Python (``%matplotlib inline``, ``!pip install``, whole cells in another language) is left out of the script and
stays in the file.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Notebook"]

_MAGIC = re.compile(r"\s*(%%?[A-Za-z]|!|\?)")
#: magics of a whole cell whose other lines are Python
_PYTHON = ("%%time", "%%timeit", "%%capture", "%%prun")


@dataclass(frozen=True)
class Notebook:
    """``cells`` the code cells, as lines; ``left_out`` (cell, line) of what is no Python, in positions from 0."""

    document: Any
    cells: list[list[str]]
    left_out: frozenset[tuple[int, int]]

    @classmethod
    def read(cls, content: bytes) -> Notebook:
        """From a file's content. Raises ValueError for what is no notebook, and SyntaxError for a cell that is no Python."""
        document = json.loads(content)
        if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
            raise ValueError("not a notebook of format 4: it has no list of cells")
        cells = ["".join(cell["source"]).split("\n") for cell in document["cells"] if cell.get("cell_type") == "code"]
        left_out = {(i, k) for i, lines in enumerate(cells) for k in _no_python(lines, i + 1)}
        return cls(document, cells, frozenset(left_out))

    @property
    def script(self) -> str:
        """The cells one after another, with ``pass`` for every line that is left out."""
        return "".join(
            (_nothing(line) if (i, k) in self.left_out else line) + "\n"
            for i, lines in enumerate(self.cells)
            for k, line in enumerate(lines)
        )

    def place(self, line: int) -> str:
        """Code cell and line in it, both from 1, of a line of the script."""
        for i, lines in enumerate(self.cells):
            if line <= len(lines):
                return f"{i + 1}:{line}"
            line -= len(lines)
        raise ValueError("the script has fewer lines")

    def written(self, script: str) -> bytes:
        """The file with a changed script of as many lines, laid out as Jupyter does it."""
        lines = iter(script.split("\n"))
        code = iter(enumerate(self.cells))
        for cell in self.document["cells"]:
            if cell.get("cell_type") != "code":
                continue
            i, before = next(code)
            after = [next(lines) for _ in before]
            source = "\n".join([old if (i, k) in self.left_out else new for k, (old, new) in enumerate(zip(before, after, strict=True))])
            cell["source"] = source if isinstance(cell["source"], str) else source.splitlines(keepends=True)
        return (json.dumps(self.document, indent=1, ensure_ascii=False) + "\n").encode()


def _no_python(lines: list[str], number: int) -> list[int]:
    """The lines of a cell that are no Python."""
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_PYTHON):
        return [k for k, line in enumerate(lines) if line.strip()]
    if _parses(lines):
        return []
    found = [k for k, line in enumerate(lines) if _MAGIC.match(line) or line.rstrip()[-1:] == "?" or _runs(line)]
    kept = [_nothing(line) if k in found else line for k, line in enumerate(lines)]
    try:
        ast.parse("\n".join(kept))
    except SyntaxError as error:
        raise SyntaxError(f"code cell {number}: {error}") from None
    return found


def _nothing(line: str) -> str:
    """``pass``, as far to the right as a line."""
    return line[: len(line) - len(line.lstrip())] + "pass"


def _runs(line: str) -> bool:
    """Whether a line has the form ``files = !ls``."""
    return line.partition("=")[2].lstrip()[:1] in ("!", "%")


def _parses(lines: list[str]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except SyntaxError:
        return False
    return True
