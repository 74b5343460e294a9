"""Interpolation as passes along one dimension after another, each output of a pass a weighted sum of a few inputs: which, and with what
weights, is a table. The gradient's table is the transposed one.
"""

from __future__ import annotations

import math
from typing import Any

from ..ops.resize import maps
from .library import LibraryNode

#: for every output the inputs and their weights
Table = list[list[tuple[int, float]]]


def passes(node: LibraryNode) -> list[tuple[int, Table]]:
    """The passes of an `interpolate` or `interpolate_grad` node, in order: spatial dimension and table. None where nothing changes."""
    x = node.operands[0]
    sizes, mode, align, scales, antialias = node.attrs
    forward = node.op == "interpolate"
    here, there = x.shape[2:], tuple(sizes)
    found = maps(here if forward else there, there if forward else here, mode, align, scales, antialias, x.dtype.compute)
    tables = [_table(at, w) if forward else _transposed(at, w, n) for (at, w), n in zip(found, there, strict=True)]
    dims = [d for d in range(len(there)) if here[d] != there[d] or not _identity(tables[d])]
    # the pass along consecutive elements is the slow one: it goes where there are fewer
    dims.sort(key=lambda d: (there[d] / here[d], -d) if math.prod(there) < math.prod(here) else (0, -d))
    return [(d, tables[d]) for d in dims]


def _table(at: Any, w: Any) -> Table:
    return [[(int(p), float(v)) for p, v in zip(*row, strict=True)] for row in zip(at, w, strict=True)]


def _transposed(at: Any, w: Any, size: int) -> Table:
    rows: Table = [[] for _ in range(size)]
    for o, row in enumerate(_table(at, w)):
        for p, v in row:
            rows[p].append((o, v))
    return rows


def _identity(table: Table) -> bool:
    return all(len(row) == 1 and row[0] == (i, 1.0) for i, row in enumerate(table))
