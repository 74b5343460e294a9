"""An operation that could not be recorded, as the window shows it: the graph up to it, the operands that do not fit, and what to do."""

from __future__ import annotations

import functools
import inspect
import linecache
import re
import sys
from types import FrameType
from typing import Any

import numpy as np

from ..asg import scope
from ..asg.declare import Op
from ..asg.node import Node
from ..asg.trace import Trace
from ..facade.core import Tensor
from ..facade.families import family_of
from ..i18n import catalog
from .advice import advice
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
    told = advice(name, failure.shapes, str(error), modules[-1] if modules else None)
    failure.key, failure.fields = told.key, told.fields
    failure.edges = [k for k in told.wrong if k < len(operands)]  # numbers of operands, until they are edges
    return failure, Step(operands) if operands else None, operands


def _operation(frames: list[tuple[FrameType, int]]) -> tuple[str, list[Node]]:
    """The innermost operation that was being recorded, else the innermost function (or module) that users call: its name and operands."""
    for frame, _ in reversed(frames):
        here = frame.f_locals
        op = here.get("self")
        if isinstance(op, Op):
            given = here.get("args") or ()
            return op.name, [a for a in given if isinstance(a, Node) and a.op.name not in ("const", "scalar")]
    for frame, _ in reversed(frames):
        if not frame.f_code.co_filename.startswith(_PACKAGE):
            break
        name = _called(frame)
        tensors = _tensors(frame) if name else []
        if tensors:
            return name, [_node(t) for t in tensors]
    return "", []


#: dispatch to operations: what is called there is called on behalf of something else
_MACHINERY = {sys.modules[f.__module__].__file__ for f in (Tensor, family_of)}


def _called(frame: FrameType) -> str:
    """What users call the function of a frame: its name, or the class of the module whose `forward` it is; "" for a helper."""
    import torchlike_asg as torch

    name, owner = frame.f_code.co_name, frame.f_locals.get("self")
    if isinstance(owner, torch.nn.Module):
        return type(owner).__name__ if name == "forward" else ""
    if name in ("__getitem__", "__setitem__"):
        return name.strip("_")
    name = name.rstrip("_")
    public = not name.startswith("_") and any(hasattr(place, name) for place in (torch, torch.nn.functional, Tensor))
    return name if public and frame.f_code.co_filename not in _MACHINERY else ""


def _tensors(frame: FrameType) -> list[Tensor]:
    """The tensors among a frame's arguments, also those in lists."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)
    found: list[Tensor] = []
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        found += [t for t in (value if isinstance(value, (list, tuple)) else (value,)) if isinstance(t, Tensor)]
    own = getattr(frame.f_locals.get("self"), "_parameters", {})
    return [*found, *[own[name] for name in ("weight", "bias") if own.get(name) is not None]]


def _node(t: Tensor) -> Node:
    """A node that stands for a tensor: its own, its storage's leaf, or a new one if it is nothing but data."""
    f = t._f
    if t._n is not None:
        return t._n
    if f is not None and f.leaf is not None:
        return f.leaf  # type: ignore[no-any-return]
    shape, strides, _ = t.geometry
    return Trace().input(np.empty(0), shape, tuple(strides), t.dtype, t.device)


#: functions and modules by the operation that they are in the graph, where their names do not tell
_RECORDED_AS = {
    **dict.fromkeys(("mm", "bmm", "mv", "dot", "addmm", "addmv", "baddbmm"), "matmul"),
    **dict.fromkeys(("concat", "concatenate", "hstack", "vstack"), "cat"),
    **dict.fromkeys(("flatten", "unflatten"), "reshape"), "upsample": "interpolate", "embeddingbag": "embedding",
    **dict.fromkeys(("constantpad", "zeropad"), "pad_constant"), "reflectionpad": "pad_mirror", "kldiv": "kl_divergence",
    "mse": "squared_error", "l1": "absolute_error", "bce": "binary_cross_entropy", "bcewithlogits": "binary_cross_entropy_logits",
    "binarycrossentropywithlogits": "binary_cross_entropy_logits", "multiheadattention": "scaled_dot_product_attention",
}  # fmt: skip


@functools.cache
def _explained() -> dict[str, str]:
    """The operations that have a text, by their letters."""
    keys = [key.split(".") for key in catalog.entries(catalog.FALLBACK) if key.startswith("op.") and key.endswith(".what")]
    return {op.replace("_", ""): op for _, op, _ in keys}


def recorded_as(name: str) -> str:
    """The operation that explains what a function or a module of that name does: ``Conv2d`` is a ``conv``. If there is none, the name."""
    letters = name.lower().replace("_", "")
    short = re.sub(r"^lazy|(\dd|cell|loss){1,2}$", "", letters)
    known = _explained()
    return known.get(letters) or _RECORDED_AS.get(short) or known.get(short) or name


def with_failed(snapshot: GraphSnapshot, failure: Failure, index: dict[Node, int], operands: list[Node]) -> GraphSnapshot:
    """The snapshot with the failed operation as one more node; `failure` is told its number and edges."""
    columns = snapshot.columns()
    texts = list(snapshot.texts)

    def text(t: str) -> int:
        if t not in texts:
            texts.append(t)
        return texts.index(t)

    kept = [k for k, n in enumerate(operands) if n in index]
    sources = [index[operands[k]] for k in kept]
    n, e = len(snapshot), len(snapshot.src)
    path = failure.module.partition(" (")[0]
    new = {
        "op": text(recorded_as(failure.op) or "?"),
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
    blamed = [at for at, k in enumerate(kept) if k in failure.edges]
    failure.edges = [e + at for at in blamed or misfits(snapshot, sources)]
    return GraphSnapshot.from_columns(columns)


def misfits(snapshot: GraphSnapshot, sources: list[int]) -> list[int]:
    """Which of the operands `sources` of a failed operation are at fault, where the advice does not say. Parameters are as they were
    made, so it is what reaches them; without parameters it is those whose sizes disagree with the first's, and the first, if only one
    other is there."""
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
