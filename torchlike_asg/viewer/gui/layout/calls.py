"""Modules that are called several times, as an activation that all layers share: each call is a group of its own.

As one group they could not be drawn: what comes after the first call and before the second would stand both below and above it. The same
is true of lists of blocks between which something happens, such as the sums of ``x = x + block(x)``: there each block is a group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .layering import Flags, Ints

#: the scope of gradients, in which calls are met in the opposite order
MIRROR = "∂"
#: scopes that stay whole, as what they hold is shown or hidden together
WHOLE = (MIRROR, "optimizer")
#: longer lists stay together
MOST_PARTS = 12


def split(scopes: Sequence[str], src: Ints, dst: Ints, weights: Flags) -> tuple[list[str], dict[str, str]]:
    """(scopes in which a module's second call is "name (2)", and the parts of a list that has to be taken apart "list[0]", "list[1]" ...;
    each new path with the path it was made from).

    A call ends where a value leaves the module, and another begins where something computed of it comes back. ``weights`` [n] are nodes
    that depend on no input: they stay with the first call of their module. Nodes are numbered in an order in which operands come first.
    """
    known: dict[str, int] = {}
    which = np.asarray([known.setdefault(s, len(known)) for s in scopes], np.int64)
    parts = [s.split(".") if s else [] for s in known]  # of each scope that occurs
    around = [1] * len(parts)  # the number of its group, at one level of nesting after the other; 0 where it does not reach that far
    made: dict[str, str] = {}
    live = ~weights[src]  # a weight that is made anywhere does not say when a call begins
    src, dst = np.asarray(src, np.int64)[live], np.asarray(dst, np.int64)[live]
    operands: list[list[int]] | None = None
    for level in range(max(map(len, parts), default=0)):
        numbers: dict[tuple[int, str], int] = {}
        fresh: dict[tuple[int, str], int] = {}  # of the parts that groups are taken apart into
        around = [
            numbers.setdefault((g, p[level]), len(numbers) + 1) if g and len(p) > level else 0 for g, p in zip(around, parts, strict=True)
        ]
        inside = np.asarray(around, np.int64)[which]
        leaves, enters = np.full(len(numbers) + 1, len(which)), np.full(len(numbers) + 1, -1)
        crossing = inside[src] != inside[dst]
        np.minimum.at(leaves, inside[src[crossing]], dst[crossing])
        np.maximum.at(enters, inside[dst[crossing]], src[crossing])
        for group in (np.flatnonzero(leaves[1:] <= enters[1:]) + 1).tolist():
            members = np.flatnonzero(inside == group).tolist()
            if not level and parts[which[members[0]]][0] in WHOLE:
                continue
            if operands is None:
                operands = [[] for _ in scopes]
                for s, d in zip(src.tolist(), dst.tolist(), strict=True):
                    operands[d].append(s)
            calls = _calls(set(members), members[0], members[-1], operands)
            if not max(calls.values(), default=0):
                continue
            names = _pieces(members, calls, level, which, parts, weights)
            for node, (name, levels) in names.items():
                number = fresh.setdefault((group, name), len(numbers) + len(fresh) + 1)
                which[node] = _renamed(int(which[node]), level, name, levels, number, parts, around, known, made)
    texts = [".".join(p) for p in parts]
    return [texts[k] for k in which.tolist()], made


def _pieces(
    members: list[int], calls: dict[int, int], level: int, which: Ints, parts: list[list[str]], weights: Flags
) -> dict[int, tuple[str, int]]:
    """For each node that leaves its group: the name of its part, and how many levels of nesting that stands for."""
    of_child: dict[str, set[int]] = {}  # the calls of each module within
    first: dict[int, int] = {}  # the first call of each scope
    for node in members:
        if not weights[node]:
            scope = int(which[node])
            own, call = parts[scope], calls.get(node, 0)
            of_child.setdefault(own[level + 1] if len(own) > level + 1 else "", set()).add(call)
            first[scope] = min(first.get(scope, call), call)
    name = parts[which[members[0]]][level]
    if "" not in of_child and all(len(found) == 1 for found in of_child.values()):  # a list, which is never called
        if len(of_child) > MOST_PARTS:
            return {}
        return {v: (f"{name}[{parts[which[v]][level + 1]}]", 2) for v in members if len(parts[which[v]]) > level + 1}
    most = max(calls.values())
    found: dict[int, tuple[str, int]] = {}
    for node in members:
        scope = int(which[node])
        call = first.get(scope) if weights[node] else calls.get(node, 0)
        if call is not None and parts[scope][0] == MIRROR:
            call = most - call
        if call:
            found[node] = f"{name} ({call + 1})", 1
    return found


def _renamed(
    scope: int,
    level: int,
    name: str,
    levels: int,
    number: int,
    parts: list[list[str]],
    around: list[int],
    known: dict[str, int],
    made: dict[str, str],
) -> int:
    """The scope with another name for one or more levels of nesting, from one on; `number` is its group's there."""
    own = parts[scope]
    new = [*own[:level], name, *own[level + levels :]]
    found = known.setdefault(".".join(new), len(parts))
    if found == len(parts):
        parts.append(new)
        around.append(number)
        for end in range(level + 1, len(new) + 1):
            made[".".join(new[:end])] = ".".join(own[: end + levels - 1])
    return found


def _calls(members: set[int], first: int, last: int, operands: list[list[int]]) -> dict[int, int]:
    """In which call of their group nodes are computed, from 0: how often values on their way to them have left it and come back."""
    reached: dict[int, int] = {}  # for nodes outside, how many calls have come before, from 1
    calls: dict[int, int] = {}
    for node in range(first, last + 1):
        if node in members:
            calls[node] = max((calls[o] if o in calls else reached.get(o, 0) for o in operands[node]), default=0)
        else:
            before = max((calls[o] + 1 if o in calls else reached.get(o, 0) for o in operands[node]), default=0)
            if before:
                reached[node] = before
    return calls
