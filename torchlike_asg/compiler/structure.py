"""Programs that were compiled for other leaves, found before anything is made of what was recorded.

Another model of one class, or the same one in another trace, records the same operations on other leaves. What the passes make of them is
the same, too: so it is noted, by position, which leaves are an executable's arguments, and which of its results are what was asked for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from .. import config, events
from ..asg.declare import CONST, INPUT, LEAVES, VAR
from ..asg.digest import digest
from ..asg.node import Node

__all__ = ["Form", "Recorded", "clear", "look", "note"]

#: operands that are gone through for what the passes may learn of a value that is known, see `_behind`
_DEEP = 8


class Form(NamedTuple):
    """What became of a structure.

    ``name``     the digest of the program;  ``arguments`` which of the recorded leaves it takes, the first ``cuts`` of them known values
    ``places``   for each value asked for, which result it is;  ``pairs`` see `Plan.donated`
    ``origins``  for each node of the program, which of the recorded ones it was made of; of a literal the inverse of its own origin
    """

    name: bytes
    arguments: tuple[int, ...]
    cuts: int
    places: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    origins: tuple[int, ...]


class Recorded(NamedTuple):
    """What is to be computed, as recorded.

    ``wanted``  the values asked for;  ``order`` all that is computed for them;  ``leaves`` from what, values that are known first
    ``name``    what tells it from other structures, None while somebody wants to see what the passes do;  ``form`` what became of it
    """

    wanted: tuple[Node, ...]
    order: list[Node]
    leaves: tuple[Node, ...]
    name: Any
    form: Form | None

    def origins(self, arguments: Sequence[Node]) -> tuple[int, ...]:
        """The serials of the nodes that a program of this form was made of."""
        order, form = self.order, self.form
        assert form is not None
        return (*[n.origin for n in arguments], *[order[i].serial if i >= 0 else ~i for i in form.origins])


_forms: OrderedDict[Any, Form] = OrderedDict()


def look(wanted: tuple[Node, ...], order: list[Node], known: dict[Node, Any], donated: Sequence[tuple[Node, Node]]) -> Recorded:
    """Recorded nodes, and what became of others of their structure."""
    cuts = dict.fromkeys([s for n in order for s in n.srcs if s in known])
    inputs = [n for n in order if n.op is INPUT]
    leaves = (*cuts, *inputs, *[n for n in order if n.op is VAR])
    if config.lint or events.wanted(events.PassApplied):
        return Recorded(wanted, order, leaves, None, None)
    index = {n: i for i, n in enumerate((*leaves, *wanted))}
    pairs = [(index.get(n, -1), index.get(leaf, -1)) for n, leaf in donated]
    if len({i for i, _ in pairs}) == len({i for _, i in pairs}) == len(pairs):  # else the first of several counts
        pairs.sort()
    settings = len(cuts), len(inputs), config.backend, config.threads, config.exact_conv
    name = digest(wanted, order, leaves), tuple(map(_behind, cuts)), tuple(pairs), settings
    return Recorded(wanted, order, leaves, name, _forms.get(name))


def _behind(n: Node) -> str:
    """What the passes may learn of a value that is known from how it was computed: that it is one number, or that it counts by one."""
    found: list[str] = []
    while n.srcs and len(found) < _DEEP:
        numbers = [(s.attrs[0].hex() if s.attrs[0].__class__ is float else s.attrs[0]) if s.op is CONST else s.op.name for s in n.srcs]
        s = n.srcs[0]
        found.append(f"{n.op.name}{n.attrs!r}{numbers}{s.shape}{s.dtype.short}")
        n = s
    return "".join(found)


def note(
    recorded: Recorded, name: bytes, arguments: Sequence[Node], cuts: int, places: tuple[int, ...], pairs: Any, computed: Iterable[Node]
) -> None:
    """What became of recorded nodes; `computed`: those of the program."""
    if recorded.name is None:
        return
    index = {n: i for i, n in enumerate(recorded.leaves)}
    serials = {n.serial: i for i, n in enumerate(recorded.order)}
    try:
        positions = tuple([index[n] for n in arguments])
        origins = tuple([~n.origin if n.op in LEAVES else serials[n.origin] for n in computed])
    except KeyError:  # made of something else
        return
    _forms[recorded.name] = Form(name, positions, cuts, places, pairs, origins)
    while len(_forms) > config.max_plans:
        _forms.popitem(last=False)


def clear() -> None:
    """Forget all structures."""
    _forms.clear()
