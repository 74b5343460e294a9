"""The graph as text, one node a line, that reads back as the same graph.

%0 = var() : f32[3, 2] grad
%1 = input(0, 0, '') : f32[5, 3]
%2 = matmul(%1, %0) : f32[5, 2] grad
return %2
"""

from __future__ import annotations

import ast
import math
from collections.abc import Container, Iterable, Sequence
from typing import Any

from .. import devices, dtypes
from ..errors import GraphError
from .declare import CONST, LEAVES, REGISTRY
from .node import Node, const
from .rewrite import topo


def dump(roots: Iterable[Node], stop: Container[Node] = (), names: dict[Node, str] | None = None) -> str:
    """The text of the graph under `roots`. Nodes in `stop` are shown as ``known`` leaves; `names` adds comments to nodes."""
    roots = list(roots)
    order = _with_cuts(roots, stop)
    number = {n: i for i, n in enumerate(order)}
    lines = []
    for n in order:
        op = "known" if n in stop else n.op.name
        parts = [] if n in stop else [f"%{number[s]}" for s in n.srcs] + [_attr(a) for a in n.attrs]
        tail = " grad" if n.rg else ""
        if (n.op in LEAVES and n.op is not CONST) or n in stop:
            tail += f" strides={n.strides}"
        comment = f"  # {names[n]}" if names and n in names else ""
        lines.append(f"%{number[n]} = {op}({', '.join(parts)}) : {n.dtype.short}{list(n.shape)}{tail}{comment}")
    lines.append("return " + ", ".join(f"%{number[r]}" for r in roots))
    return "\n".join(lines)


def _with_cuts(roots: Sequence[Node], stop: Container[Node]) -> list[Node]:
    order = topo(roots, stop)
    cuts = [s for n in order for s in n.srcs if s in stop] + [r for r in roots if r in stop]
    return [*dict.fromkeys(cuts), *order]


def _attr(a: Any) -> str:
    if isinstance(a, dtypes.dtype):
        return f"!{a.short}"
    if isinstance(a, devices.device):
        return f"@{str(a)!r}"
    if isinstance(a, tuple):
        return "(" + "".join(_attr(v) + ", " for v in a).rstrip(" ") + ")"
    if isinstance(a, float):
        return repr(a) if math.isfinite(a) else f"float('{a}')"
    return repr(a)


def parse(text: str, leaves: dict[str, Node] | None = None) -> list[Node]:
    """The roots of a dumped graph. Leaves are made anew (or taken from `leaves` by name, e.g. ``"%0"``); everything else is inferred again."""  # noqa: E501
    from .declare import INPUT, VAR

    nodes: dict[str, Node] = {}
    for raw in text.splitlines():
        line = raw.partition("  #")[0].strip()
        if not line:
            continue
        if line.startswith("return"):
            return [nodes[name.strip()] for name in line[len("return") :].split(",")]
        name, _, rest = line.partition(" = ")
        call, _, kind = rest.rpartition(" : ")
        op_name, _, inside = call.partition("(")
        args = _arguments(inside[:-1], nodes)
        if leaves is not None and name in leaves:
            nodes[name] = leaves[name]
        elif op_name in ("var", "input", "known"):
            d, shape, strides, rg = _kind(kind)
            op = INPUT if op_name == "input" else VAR
            nodes[name] = Node(op, (), tuple(args), shape, d, strides, 0, devices.cpu, rg)
        elif op_name == "const":
            nodes[name] = const(args[0], args[1])
        elif op_name in REGISTRY:
            nodes[name] = REGISTRY[op_name](*args)
        else:
            raise GraphError(f"unknown operation {op_name!r} in {raw!r}")
    raise GraphError("the text of a graph ends with a line 'return ...'")


def _kind(text: str) -> tuple[dtypes.dtype, tuple[int, ...], tuple[int, ...] | None, bool]:
    short, _, rest = text.partition("[")
    shape, _, tail = rest.partition("]")
    strides = ast.literal_eval(tail.partition("strides=")[2]) if "strides=" in tail else None
    return dtypes.BY_SHORT[short.strip()], tuple(ast.literal_eval(f"[{shape}]")), strides, " grad" in tail


def _arguments(text: str, nodes: dict[str, Node]) -> list[Any]:
    tokens = _split(text)
    return [_value(t, nodes) for t in tokens]


def _split(text: str) -> list[str]:
    """Split at top-level commas, outside brackets and quotes."""
    out, depth, quote, current = [], 0, "", ""
    for c in text:
        if quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and depth == 0:
            out.append(current.strip())
            current = ""
            continue
        current += c
    if current.strip():
        out.append(current.strip())
    return out


def _value(token: str, nodes: dict[str, Node]) -> Any:
    if token.startswith("%"):
        return nodes[token]
    if token.startswith("!"):
        return dtypes.BY_SHORT[token[1:]]
    if token.startswith("@"):
        return devices.device(ast.literal_eval(token[1:]))
    if token.startswith("float("):
        return float(token[7:-2])
    if token.startswith("("):
        return tuple(_value(t, nodes) for t in _split(token[1:-1]))
    return ast.literal_eval(token)
