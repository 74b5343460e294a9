"""An operation that could not be recorded, as the window shows it: the graph up to it, the operands that do not fit, and what to do."""

from __future__ import annotations

import linecache
import re
from types import FrameType
from typing import Any

import numpy as np

from ..asg import scope
from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import Trace
from ..facade.core import Tensor
from .capture import Step, behind, capture
from .protocol import Failure
from .snapshot import KINDS, GraphSnapshot

_PACKAGE = scope._PACKAGE
PARAMETER = KINDS.index("parameter")


def explain(error: BaseException, modules: tuple[Any, ...], tr: Trace | None) -> tuple[Failure, Step | None, list[Node]]:
    """(the message without a graph, the step that ends before the failed operation, the operands of that)."""
    frames: list[tuple[FrameType, int]] = []
    tb = error.__traceback__
    while tb is not None:
        frames.append((tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    user = next(((f, line) for f, line in reversed(frames) if not f.f_code.co_filename.startswith(_PACKAGE)), None)
    name, operands = _operation(frames)
    failure = Failure(op=name, message=str(error), module=scope.path(list(modules)) if modules else "")
    failure.shapes = [list(n.shape) for n in operands]
    if user is not None:
        failure.file, failure.line = user[0].f_code.co_filename, user[1]
        failure.source = linecache.getline(failure.file, failure.line).strip()
    failure.key, failure.fields = suggestion(name, failure.shapes, str(error), modules[-1] if modules else None)
    return failure, Step(operands) if operands else None, operands


def _operation(frames: list[tuple[FrameType, int]]) -> tuple[str, list[Node]]:
    """The innermost operation that was being recorded: its name and the nodes it was given."""
    for frame, _ in reversed(frames):
        here = frame.f_locals
        op = here.get("self")
        if isinstance(op, Op):
            given = here.get("args") or ()
            return op.name, [a for a in given if isinstance(a, Node) and a.op.name not in ("const", "scalar")]
    for frame, _ in reversed(frames):
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            break
        found = [v for v in frame.f_locals.values() if isinstance(v, Tensor)]
        nodes = [n for t in found if (n := t._n) is not None]
        if nodes:
            return frame.f_code.co_name.strip("_"), list(dict.fromkeys(nodes))
    return "", []


def with_failed(snapshot: GraphSnapshot, failure: Failure, index: dict[Node, int], operands: list[Node]) -> GraphSnapshot:
    """The snapshot with the failed operation as one more node; `failure` is told its number and edges."""
    columns = snapshot.columns()
    texts = list(snapshot.texts)

    def text(t: str) -> int:
        if t not in texts:
            texts.append(t)
        return texts.index(t)

    sources = [index[n] for n in operands if n in index]
    n, e = len(snapshot), len(snapshot.src)
    path = failure.module.partition(" (")[0]
    new = {
        "op": text(failure.op or "?"),
        "name": text(""),
        "scope": text(path),
        "category": text("error"),
        "dtype": text(""),
        "device": text(""),
        "attrs": text(""),
        "file": text(failure.file),
        "line": failure.line,
        "initialiser": text(""),
        "kind": 0,
        "phase": 0,
        "output": False,
        "grad": False,
        "constant": False,
        "stored": False,
        "nbytes": 0,
        "gradient": -1,
        "kernel": -1,
    }
    for name, value in new.items():
        old = columns[name]
        columns[name] = np.concatenate([old, np.asarray([value], old.dtype)])
    columns["starts"] = np.concatenate([snapshot.starts, snapshot.starts[-1:]])
    columns["src"] = np.concatenate([snapshot.src, np.asarray(sources, np.int32)])
    columns["dst"] = np.concatenate([snapshot.dst, np.full(len(sources), n, np.int32)])
    columns["texts"] = texts
    columns["roles"] = [*snapshot.roles, None]
    failure.node = n
    failure.edges = [e + k for k in misfits(snapshot, sources)]
    return GraphSnapshot.from_columns(columns)


def misfits(snapshot: GraphSnapshot, sources: list[int]) -> list[int]:
    """Which of the operands `sources` of a failed operation are at fault. Parameters are as they were made, so it is what reaches them;
    without parameters it is those whose sizes disagree with the first's, and the first, if only one other is there."""
    computed = [k for k, s in enumerate(sources) if snapshot.kind[s] != PARAMETER]
    if len(computed) < len(sources):
        return computed or list(range(len(sources)))
    shapes = [snapshot.shape(s) for s in sources]
    other = [k for k, s in enumerate(shapes) if s != shapes[0]]
    return other if len(sources) > 2 and other else list(range(len(sources)))


def partial(step: Step, infos: Any, root: str) -> tuple[GraphSnapshot, dict[Node, int]]:
    """The graph before the failure."""
    snapshot, nodes = capture(step, infos, root)
    index = {n: i for i, n in enumerate(nodes)}
    for r in step.roots:
        shown = step.leaves.get(behind(r), behind(r))
        if shown in index:
            index.setdefault(r, index[shown])
    return snapshot, index


def suggestion(op: str, shapes: list[list[int]], message: str, module: Any) -> tuple[str, dict[str, Any]]:
    """What to change, as a key under ``ui.viewer.fix`` and what fills it."""
    kind = type(module).__name__ if module is not None else ""
    if op == "linear" and len(shapes) >= 2 and shapes[0] and len(shapes[1]) == 2:
        fields = {"got": shapes[0][-1], "expected": shapes[1][1], "outputs": shapes[1][0]}
        return ("flatten" if len(shapes[0]) > 2 and _product(shapes[0][1:]) == shapes[1][1] else "linear"), fields
    if op in ("matmul", "mm", "bmm", "addmm") and len(shapes) >= 2 and all(shapes[:2]):
        a, b = shapes[-2:]
        fields = {"left": a[-1], "right": b[-2] if len(b) > 1 else b[-1]}
        return ("transpose" if len(b) > 1 and a[-1] == b[-1] else "matmul"), fields
    if "Conv" in kind and len(shapes) >= 2 and len(shapes[0]) > 1 and len(shapes[1]) > 1:
        groups = int(getattr(module, "groups", 1))
        return "channels", {"got": shapes[0][-len(shapes[1]) + 1], "expected": shapes[1][1] * groups}
    if op in ("reshape", "view") and shapes:
        return "reshape", {"elements": _product(shapes[0])}
    if op in ("cat", "stack") and len(shapes) >= 2:
        return "cat", {}
    if re.search(r"broadcast|must match the size|size of tensor", message) and len(shapes) >= 2:
        a, b = shapes[:2]
        pairs = zip(reversed(a), reversed(b), strict=False)
        at = next((k for k, (x, y) in enumerate(pairs, 1) if x != y and 1 not in (x, y)), 0)
        if at:
            return "broadcast", {"dim": -at, "left": a[-at], "right": b[-at]}
    return "general", {}


def _product(sizes: list[int]) -> int:
    out = 1
    for s in sizes:
        out *= s
    return out
