"""Data that are prepared in a new way each time, before a program that stays the same, or joined to its results in a new way after it.

A batch of padded sentences, or the places of a mask, has other shapes in every step of a script. What is computed from parameters need not:
but in one plan with it, all of it would be compiled anew. When that was seen to happen, the data are computed first, by a plan of their
own, and the rest is found among the executables. So is a text that grows by the word that was found from its last ones: the word is
computed first, and joined to the text by a plan of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Sequence
from typing import Any

from .. import config
from ..asg import arena
from ..asg.declare import CONST, INPUT, LEAVES
from ..asg.digest import digest
from ..asg.node import Node
from ..asg.rewrite import topo

__all__ = ["SPLIT", "clear", "first"]

#: nodes of a plan, and of what is left of it without the data, from which on it is worth a look
_LARGE = 100
#: how often what was split comes again before it is one plan after all: it does not change any more
_STEADY = 8
#: different preparations with which a program is compiled as a whole: a loop's first iterations differ from the others, too
_DIFFERENT = 2
#: names of programs whose results were joined to data
_joined: OrderedDict[bytes, None] = OrderedDict()
#: names of programs -> those of the preparations that they were compiled with
_seen: OrderedDict[bytes, set[bytes]] = OrderedDict()
#: plan key -> the data that are computed first, and how often they were; none if all is one plan
SPLIT: dict[Any, tuple[tuple[Node, ...], int]] = {}


def first(key: Any, known: dict[Node, Any], varied: bool, overwrites: bool = False) -> tuple[Node, ...]:
    """What to compute before the outputs of a plan that is not there. Asked for each such plan before it is built. `varied`: others of many
    programs came before it; `overwrites`: some of its outputs are written over what they replace.
    """
    found = SPLIT.get(key)
    if found is not None:
        nodes, count = found
        SPLIT[key] = (nodes, count + 1) if count < _STEADY else ((), count)
        return SPLIT[key][0]
    outputs: tuple[Node, ...] = key[1]
    order = topo(outputs, known)
    if len(order) < _LARGE or any(n.device.type != "cpu" for n in outputs):
        return ()
    core = () if overwrites else _core(outputs, order, known)
    if core and _again(core, known):
        return core
    data = _data(order, known)
    rest, prepared = _rest(order, data)
    if not prepared or len(rest) < _LARGE:
        return ()
    arguments = dict.fromkeys([s for n in order if n in rest for s in n.srcs if s not in rest])
    name = digest([n for n in outputs if n in rest and n not in data], [n for n in order if n in rest], list(arguments))
    seen = _seen.setdefault(name, set())
    this = _name(prepared, known)
    if this in seen or (len(seen) < _DIFFERENT and not varied):
        seen.add(this)
        while len(_seen) > config.max_plans:
            _seen.popitem(last=False)
        return ()
    nodes = tuple(dict.fromkeys([*prepared, *[n for n in outputs if n in data]]))
    SPLIT[key] = nodes, 0
    while len(SPLIT) > config.max_plans:
        SPLIT.pop(next(iter(SPLIT)))
    return nodes


def _core(outputs: tuple[Node, ...], order: list[Node], known: Container[Node]) -> tuple[Node, ...]:
    """The outputs without those that only join results to data, and these results; nothing if there are no such joins."""
    joins = [n for n in outputs if n.op.name == "cat" and any(s in known or (s.op is INPUT and not s.rg) for s in n.srcs)]
    if not joins:
        return ()
    read = {s for n in order for s in n.srcs}
    joins = [n for n in joins if n not in read]
    results = [s for n in joins for s in n.srcs if s not in known and s.op not in LEAVES]
    return tuple(dict.fromkeys([*[n for n in outputs if n not in joins], *results])) if results else ()


def _again(core: tuple[Node, ...], known: Container[Node]) -> bool:
    """Whether the program of these outputs was met before."""
    name = _name(core, known)
    found = name in _joined
    _joined[name] = None
    while len(_joined) > config.max_plans:
        _joined.popitem(last=False)
    return found


def _data(order: list[Node], known: Container[Node]) -> set[Node]:
    """What is computed from data alone: neither from parameters, nor from what gradients flow through."""
    leaves: set[Node] = set()
    data: set[Node] = set()
    for n in order:
        if n.op in LEAVES:
            if n.op is CONST or (n.op is INPUT and not n.rg):
                leaves.add(n)
        elif not n.rg and n.op.pure:
            detached = n.op.category == "identity"
            if all([s in data or s in leaves or (s in known and (detached or not s.rg)) for s in n.srcs]):
                data.add(n)
    return data


def _rest(order: list[Node], data: set[Node]) -> tuple[set[Node], list[Node]]:
    """(the nodes of the program without the preparation of its data; the data that it reads). Views of data are part of the program, which
    keeps nothing of them.
    """
    rest = {n for n in order if n not in data and n.op not in LEAVES}
    prepared: dict[Node, None] = {}
    stack = [s for n in order if n in rest for s in n.srcs if s in data]
    stack.reverse()
    while stack:
        n = stack.pop()
        if not (n.op.view or n.op.category in ("cast", "creation", "identity")):
            prepared[n] = None
        elif n not in rest:
            rest.add(n)
            stack += [s for s in n.srcs if s in data]
    return rest, list(prepared)


def _name(nodes: Sequence[Node], known: Container[Node]) -> bytes:
    """What tells a program from others."""
    order = topo(nodes, known)
    given = dict.fromkeys([s for n in order for s in (n, *n.srcs) if s in known or (s.op in LEAVES and s.op is not CONST)])
    return digest(nodes, order, list(given))


@arena.register
def prune(dead: Any) -> None:
    """Forget what was recorded of dropped models."""
    for key in [k for k, (nodes, _) in list(SPLIT.items()) if any(dead(n) for n in (*k[1], *nodes))]:
        SPLIT.pop(key, None)


def clear() -> None:
    """Forget all that was seen."""
    SPLIT.clear()
    _seen.clear()
    _joined.clear()
