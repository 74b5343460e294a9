"""A graph as columns of plain data: what the window draws and a recording keeps. Made from nodes (`capture.py`); holds none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .damage import Damaged
from .roles import Role

FORMAT = "asg-graph 1"
KINDS = ("op", "parameter", "buffer", "input", "constant", "known")
#: what a damaged graph may be wrong in, beside its columns
PARTS = ("texts", "edges", "shapes", "kernels", "modules", "roles")
PHASES = ("forward", "backward", "update")
MIRROR, UPDATE = "∂", "optimizer"


def _columns(n: int, texts: int, kernels: int) -> dict[str, tuple[int, int]]:
    """The columns of nodes, with the range of their numbers."""
    most = 1 << 62
    found = dict.fromkeys(("op", "name", "scope", "category", "dtype", "device", "attrs", "file", "initialiser"), (0, texts))
    found |= {"line": (0, most), "kind": (0, len(KINDS)), "phase": (0, len(PHASES)), "nbytes": (0, most)}
    found |= dict.fromkeys(("output", "grad", "constant", "stored"), (0, 2))
    return found | {"gradient": (-1, n), "kernel": (-1, max(kernels, 0))}


@dataclass
class GraphSnapshot:
    """The graph of a training step, or of any outputs. n nodes in an order of execution, e edges in the order of operands.

    Node columns [n]: ``op, name, scope, dtype, device, file, attrs, initialiser`` int32 numbers in ``texts``; ``category`` likewise;
    ``kind`` and ``phase`` int8 numbers in `KINDS` and `PHASES`; ``line``; ``dims`` all shapes after each other, node i's being
    ``dims[starts[i]:starts[i + 1]]``; ``output, grad`` (a gradient flows through), ``constant`` (depends on no input), ``stored`` (has a
    place in memory: what is not was computed inside a kernel) bool; ``nbytes`` of its value; ``gradient`` the node that is its gradient,
    or -1; ``kernel`` the kernel it was fused into, or -1.
    Edge columns [e]: ``src, dst``. Kernel columns [k]: ``kernel_name`` (text), ``kernel_bytes``, ``kernel_flops``.
    ``modules``: scope -> class name. ``roles``: for each node, [key, fields] or None.
    """

    texts: list[str] = field(default_factory=list)
    op: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    name: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    scope: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    category: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    dtype: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    device: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    attrs: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    file: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    line: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    initialiser: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    kind: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int8))
    phase: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int8))
    dims: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    starts: NDArray[Any] = field(default_factory=lambda: np.zeros(1, np.int32))
    output: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.bool_))
    grad: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.bool_))
    constant: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.bool_))
    stored: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.bool_))
    nbytes: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    gradient: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    kernel: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    src: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    dst: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int32))
    kernel_name: list[str] = field(default_factory=list)
    kernel_bytes: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    kernel_flops: NDArray[Any] = field(default_factory=lambda: np.zeros(0, np.int64))
    modules: dict[str, str] = field(default_factory=dict)
    roles: list[Any] = field(default_factory=list)

    # ---------------------------------------------------------------- reading
    def __len__(self) -> int:
        return len(self.op)

    def text(self, column: str, i: int) -> str:
        """A text column's entry: ``text("op", 3)``."""
        return self.texts[int(getattr(self, column)[i])]

    def column(self, column: str) -> list[str]:
        """A text column as strings."""
        texts = self.texts
        return [texts[i] for i in getattr(self, column).tolist()]

    def shape(self, i: int) -> tuple[int, ...]:
        return tuple(self.dims[self.starts[i] : self.starts[i + 1]].tolist())

    def inputs(self, i: int) -> list[int]:
        """Operands, in order."""
        return self.src[self.dst == i].tolist()  # type: ignore[no-any-return]

    def users(self, i: int) -> list[int]:
        return self.dst[self.src == i].tolist()  # type: ignore[no-any-return]

    def role(self, i: int) -> Role | None:
        found = self.roles[i] if i < len(self.roles) else None
        return None if found is None else Role(found[0], found[1])

    def stable_ids(self) -> list[str]:
        """For each node a name that it keeps when the graph around it changes: its scope, operation, and number among these."""
        counts: dict[str, int] = {}
        found = []
        for scope, op, name, phase in zip(self.column("scope"), self.column("op"), self.column("name"), self.phase.tolist(), strict=True):
            key = f"{PHASES[phase]}/{scope}/{name or op}"
            counts[key] = counts.get(key, -1) + 1
            found.append(f"{key}#{counts[key]}" if counts[key] else key)
        return found

    # ---------------------------------------------------------------- as data
    def columns(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> GraphSnapshot:
        """The inverse of `columns`; ValueError if the columns do not belong together."""
        known = {f.name for f in fields(cls)}
        made = cls(**{k: v for k, v in columns.items() if k in known})
        try:
            wrong = made._wrong()
        except (TypeError, AttributeError, IndexError, OverflowError) as error:
            raise Damaged("graph") from error
        if wrong:
            raise Damaged(f"graph_{wrong}") if wrong in PARTS else Damaged("graph_column", name=wrong)
        return made

    def _wrong(self) -> str:
        """What does not belong to the rest: one of `PARTS` or the name of a column; or ""."""
        n, kernels = len(self.op), len(self.kernel_name)
        if not all(isinstance(t, str) for t in (*self.texts, *self.kernel_name)):
            return "texts"
        for name, (low, high) in _columns(n, len(self.texts), kernels).items():
            column = getattr(self, name)
            if column.shape != (n,) or (n and not (low <= column.min() and column.max() < high)):
                return name
        edges = np.concatenate([self.src, self.dst])
        if self.src.shape != self.dst.shape or edges.ndim != 1 or (len(edges) and not (0 <= edges.min() and edges.max() < n)):
            return "edges"
        if self.starts.shape != (n + 1,) or (np.diff(self.starts) < 0).any() or self.starts[0] or self.starts[-1] > len(self.dims):
            return "shapes"
        if len(self.kernel_bytes) != kernels or len(self.kernel_flops) != kernels:
            return "kernels"
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in self.modules.items()):
            return "modules"
        told = [r for r in self.roles if r is not None]
        return "" if all(isinstance(r[0], str) and isinstance(r[1], dict) for r in told) else "roles"

    def to_json(self) -> str:
        """The graph as the text of an ``.asg.json`` file."""
        plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in self.columns().items()}
        return json.dumps({"format": FORMAT, **plain}, ensure_ascii=False)

    @classmethod
    def from_json(cls, source: str | Path) -> GraphSnapshot:
        """From such a file's path or text; ValueError for anything else."""
        try:
            data = json.loads(source.read_text(encoding="utf-8") if isinstance(source, Path) else source)
        except (ValueError, RecursionError) as error:
            raise Damaged("saved") from error
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise Damaged("saved")
        empty = cls()
        columns = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name, value in columns.items():
            default = getattr(empty, name)
            if isinstance(default, np.ndarray):
                try:
                    columns[name] = np.asarray(value, default.dtype)
                except (TypeError, OverflowError) as error:
                    raise Damaged("graph_column", name=name) from error
        return cls.from_columns(columns)
