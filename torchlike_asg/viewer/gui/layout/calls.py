"""Modules that are called several times, as an activation that all layers share: each call is a group of its own.

As one group they could not be drawn: what comes after the first call and before the second would stand both below and above it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .layering import Flags, Ints

#: the scope of gradients, in which calls are met in the opposite order
MIRROR = "∂"
#: scopes that stay whole, as what they hold is shown or hidden together
WHOLE = (MIRROR, "optimizer")


def split(scopes: Sequence[str], src: Ints, dst: Ints, weights: Flags) -> tuple[list[str], dict[str, str]]:
    """(scopes in which a module's second call is "name (2)" ..., each new path with the path it was made from).

    A call ends where a value leaves the module, and another begins where something computed of it comes back. ``weights`` [n] are nodes
    that depend on no input: they stay with the first call. Nodes are numbered in an order in which operands come first.
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
        fresh: dict[tuple[int, int], int] = {}  # of the calls that are told apart
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
            most = max(calls.values(), default=0)
            for node in members if most else ():
                call = calls.get(node, 0)
                if parts[which[node]][0] == MIRROR and not weights[node]:
                    call = most - call
                if call:
                    number = fresh.setdefault((group, call), len(numbers) + len(fresh) + 1)
                    which[node] = _renamed(int(which[node]), level, call, number, parts, around, known, made)
    texts = [".".join(p) for p in parts]
    return [texts[k] for k in which.tolist()], made


def _renamed(
    scope: int, level: int, call: int, number: int, parts: list[list[str]], around: list[int], known: dict[str, int], made: dict[str, str]
) -> int:
    """The scope for a call after the first one, with the module at a level of nesting named after it."""
    own = parts[scope]
    new = [*own[:level], f"{own[level]} ({call + 1})", *own[level + 1 :]]
    found = known.setdefault(".".join(new), len(parts))
    if found == len(parts):
        parts.append(new)
        around.append(number)
        for end in range(level + 1, len(own) + 1):
            made[".".join(new[:end])] = ".".join(own[:end])
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
