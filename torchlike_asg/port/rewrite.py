"""A script's imports of torch and torchvision, changed to this package; every other byte stays."""

from __future__ import annotations

import ast
import io
import re
import tokenize

from .scan import imported

__all__ = ["decode", "rewrite"]

#: the module that is imported -> the module to import
_MODULES = {"torch": "torchlike_asg", "torchvision": "torchlike_asg.vision"}
_FROM = re.compile(rb"from(?:\s|\\\r?\n)+(torchvision|torch)\b")


def decode(content: bytes) -> tuple[str, str]:
    """(text, encoding) of a script, by its encoding comment; line ends are left as they are."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return content.decode(encoding), encoding


def rewrite(content: bytes) -> bytes:
    """The script with its imports changed; the same bytes if it imports neither. Raises SyntaxError for what is no Python.

    ``import torch`` becomes ``import torchlike_asg as torch``, ``import torch.nn as nn`` ``import torchlike_asg.nn as nn``,
    ``from torch.x import y`` ``from torchlike_asg.x import y``; ``import torch.nn``, which binds ``torch``, becomes
    ``import torchlike_asg.nn, torchlike_asg as torch``; ``import_module("torch.nn")`` ``import_module("torchlike_asg.nn")``.
    """
    text, encoding = decode(content)
    data = text.encode("utf-8")  # the positions in the tree are in bytes of UTF-8
    starts = [0, *(found.end() for found in re.finditer(rb"\r\n|\r|\n", data))]
    changes: list[tuple[int, int, bytes]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root, _, rest = alias.name.partition(".")
                if root in _MODULES:
                    place = starts[alias.lineno - 1] + alias.col_offset
                    end = starts[(alias.end_lineno or alias.lineno) - 1] + (alias.end_col_offset or 0)
                    changes.append((place, end, _import(root, rest, alias.asname, data[place:end])))
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module.partition(".")[0] in _MODULES:
                found = _FROM.match(data, starts[node.lineno - 1] + node.col_offset)
                assert found is not None
                changes.append((*found.span(1), _MODULES[found[1].decode()].encode()))
        elif isinstance(node, ast.Call) and (name := imported(node)) is not None and name.partition(".")[0] in _MODULES:
            root, dot, rest = name.partition(".")
            literal = node.args[0]
            place = starts[literal.lineno - 1] + literal.col_offset
            end = starts[(literal.end_lineno or literal.lineno) - 1] + (literal.end_col_offset or 0)
            changes.append((place, end, repr(_MODULES[root] + dot + rest).replace("'", '"').encode()))
    for start, end, new in sorted(changes, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode("utf-8").encode(encoding)


def _import(root: str, rest: str, asname: str | None, written: bytes) -> bytes:
    """What stands in place of one name of an import statement, `written` there before."""
    ours = _MODULES[root]
    if asname is not None:  # everything but the module stays, whatever blanks are between
        return ours.encode() + written[len(root) :]
    if not rest:
        return f"{ours} as {root}".encode()
    return f"{ours}.{rest}, {ours} as {root}".encode()
