"""The recorded update of all parameters of an optimizer.

Everything an update reads is a node; the tuple of these nodes is the key under which its result is found again. What a warm step
costs is therefore: see that parameters, states and gradients are the nodes of the last step, and name its result again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from ..asg import arena
from ..asg.declare import REBIND, STOP, VAR
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..dtypes import float32
from ..facade.core import Tensor, concrete, is_dense, node_of
from ..facade.families import family_of
from ..facade.flush import flush
from ..facade.held import settle
from ..facade.write import alone, write
from ..ops.complex import as_complex, as_real
from ..ops.promotion import to
from .programs import Programs, set_apart
from .rules import Group, Nodes
from .state import Clock, ParamState

if TYPE_CHECKING:
    from .optimizer import Optimizer

#: (structure, nodes read) -> what it records, see `_Update`
_MEMO: dict[Any, _Update] = {}
_ROSTERS = 8  # sets of parameters remembered per group: which of them have a gradient may alternate, as between two losses


class _Update:
    """A recorded step: the new content of every storage of a batch, and the root its family moves to (the same value with its history)."""

    __slots__ = ("roots", "values")

    def __init__(self, values: list[Node], roots: list[Node]) -> None:
        self.values, self.roots = values, roots


class _Numbers:
    """The run-time numbers of a batch (learning rate, bias corrections...): each has a node for good, and new data in every step."""

    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] = {}
        self._last: dict[str, float] = {}
        self.nodes: dict[str, Node] = {}

    def set(self, numbers: dict[str, float], dtype: Any, device: Any) -> None:
        if numbers == self._last:
            return
        tensors, last = self._tensors, self._last
        for name, value in numbers.items():
            t = tensors.get(name)
            if t is None:
                t = tensors[name] = _persistent(concrete(np.zeros(1, dtype.storage), (), dtype, device))
                self.nodes[name] = t._f.leaf  # type: ignore[union-attr, assignment]
            if value != last.get(name):
                t._f.cell.take(np.array(value, dtype.storage))  # type: ignore[union-attr]
        self._last = numbers


class _Batch:
    """Parameters of a group that take the same step: their storages and those of their states, in a fixed order."""

    def __init__(self, optimizer: Optimizer, group: Group, params: list[Tensor], numbers: _Numbers) -> None:
        self.params, self.numbers = params, numbers
        self.names = optimizer.state_names(group, params[0])
        clock = optimizer.clock(group)
        states = self.dicts = [_state(optimizer, p) for p in params] if self.names or clock else []
        fresh = bool(states) and _fresh(states[0], self.names)
        self.clock = Clock({"step": 0.0 if fresh else 1.0})  # for those that keep no count: whether there was a step before
        self.clock.whole = optimizer.whole_steps
        self.clock.update({name: states[0].number(name, default) for name, default in clock.items()})
        for name in clock:
            for state in states:
                dict.__setitem__(state, name, self.clock)
        columns = []
        for name in self.names:
            for p, state in zip(params, states, strict=True):
                if dict.get(state, name) is None:
                    state[name] = optimizer.initial(group, p, name)
            columns.append([_persistent(state[name]) for state in states])
        # every entry of every state, as three lists: the states, the keys, and the entries
        entries: list[tuple[Any, str, Any]] = [
            entry for name, column in zip(self.names, columns, strict=True) for entry in zip(states, repeat(name), column)
        ]
        entries += [(state, name, self.clock) for name in clock for state in states]
        self.entries = [list(part) for part in zip(*entries, strict=True)] if entries else [[], [], []]
        self.tensors = [*params, *[t for column in columns for t in column]]
        self.leaves: list[Node] = []
        self.grads: list[Node] = []
        self.update: _Update | None = None
        self.programs = Programs()

    def current(self, state: Any) -> bool:
        """Whether the optimizer still holds these very states."""
        states, names, values = self.entries
        return all(map(is_, map(state.get, self.params), self.dicts)) and all(map(is_, map(dict.get, states, names), values))

    def remember(self, reads: list[Node], grads: list[Node], update: _Update) -> None:
        """Note the update of a step that began with every storage at its permanent leaf, for the short way of the next step."""
        self.leaves = []
        families: list[Any] = []
        for t, n in zip(self.tensors, reads, strict=True):
            f = t._f
            assert f is not None
            if n.op is not VAR or n is not f.leaf or n is not t._n or t._kind is not None:
                return
            families.append(f)
        self.families = families
        self.leaves, self.grads, self.update = reads, grads, update
        self.pairs = tuple(zip(update.roots, reads, strict=True))


def _state(optimizer: Optimizer, p: Tensor) -> ParamState:
    state = optimizer.state[p]
    if state.__class__ is not ParamState:
        state = optimizer.state[p] = ParamState(state)
    return state


def _fresh(state: ParamState, names: tuple[str, ...]) -> bool:
    return any(dict.get(state, name) is None for name in names)


def _persistent(t: Tensor) -> Tensor:
    """A state's storage gets a node for good, so that every step meets the same one."""
    settle(t)
    f = family_of(t)
    if f.leaf is None or f.leaf.op is not VAR:
        f.h = None
        f.invalidate()
        f.permanent(False)
    return t


class _Roster:
    """The parameters of a group that had a gradient, and their division into batches.

    A parameter that is listed twice takes two steps, one after the other: `rounds`.
    """

    def __init__(self, params: list[Tensor], form: Any) -> None:
        self.params, self.form = params, form
        self.batches: list[_Batch] = []
        self.rounds = _rounds(params)

    def matches(self, params: list[Tensor], form: Any) -> bool:
        return len(params) == len(self.params) and all(map(is_, params, self.params)) and form == self.form

    def current(self, state: Any) -> bool:
        """Whether the batches were made from these very states."""
        for batch in self.batches:
            if not batch.current(state):
                return False
        return bool(self.batches)


def _rounds(params: list[Tensor]) -> list[list[Tensor]]:
    """Lists without repetitions whose concatenation holds every parameter as often as `params`."""
    rounds: list[dict[Tensor, None]] = []
    for p in params:
        found = next((r for r in rounds if p not in r), None)
        if found is None:
            rounds.append(found := {})
        found[p] = None
    return [list(r) for r in rounds]


class Recorded:
    """The batches of an optimizer, kept between steps."""

    def __init__(self) -> None:
        self._rosters: dict[int, list[_Roster]] = {}
        self._numbers: dict[Any, _Numbers] = {}

    def run(self, optimizer: Optimizer) -> None:
        """Record one step."""
        tr = current()
        for number, group in enumerate(optimizer.param_groups):
            with_grad = [p for p in group["params"] if (f := p._f) is not None and f.held is not None]
            if with_grad:
                self._run_group(optimizer, number, group, with_grad, tr)

    def _run_group(self, optimizer: Optimizer, number: int, group: Group, params: list[Tensor], tr: Trace) -> None:
        form = optimizer.form(group)
        rosters = self._rosters.setdefault(number, [])
        for roster in rosters:
            if roster.matches(params, form):
                break
        else:
            if group.get("capturable") and any(p.device.type == "cpu" for p in params):
                raise AssertionError("If capturable=True, params and state_steps must be on supported devices: none, here, is the CPU.")
            roster = _Roster(params, form)
            rosters.insert(0, roster)
            del rosters[_ROSTERS:]
        if len(roster.rounds) > 1:
            for part in roster.rounds:
                self._run_group(optimizer, number, group, part, tr)
                flush(closing=None if tr.held else True)  # the next round starts from what this one has made
            return
        if not roster.current(optimizer.state):
            roster.batches = [
                _Batch(optimizer, group, part, self._numbers_of(number, i, part[0]))
                for i, part in enumerate(_alike(optimizer, group, params))
            ]
        for batch in roster.batches:
            _advance(optimizer, group, form, batch, tr)

    def _numbers_of(self, number: int, ordinal: int, p: Tensor) -> _Numbers:
        """Numbers outlive batches: what is recorded anew with them is found again."""
        return self._numbers.setdefault((number, ordinal, p.dtype, p.device), _Numbers())


def _alike(optimizer: Optimizer, group: Group, params: list[Tensor]) -> list[list[Tensor]]:
    """Parameters that take the same step: of one type, with the same states, after the same number of steps. Nearly always all."""
    found: dict[Any, list[Tensor]] = {}
    clock = optimizer.clock(group)
    for p in params:
        if p.dtype.is_complex and not optimizer.elementwise:
            raise RuntimeError(f"{type(optimizer).__name__} does not support complex parameters")
        names = optimizer.state_names(group, p)
        key: Any = (p.dtype, p.device, names)
        if names or clock:
            state = _state(optimizer, p)
            key = (*key, _fresh(state, names), *[state.number(name, default) for name, default in clock.items()])
        found.setdefault(key, []).append(p)
    return list(found.values())


def _advance(optimizer: Optimizer, group: Group, form: Any, batch: _Batch, tr: Trace) -> None:
    """Record the step of one batch."""
    ahead = dict(batch.clock)
    ahead["step"] += 1.0
    first = batch.params[0]
    numbers = optimizer.scalars(group, ahead, first.dtype)
    batch.numbers.set(numbers, _computed(first.dtype), first.device)
    reads: list[Any] = [t._n for t in batch.tensors]
    grads: list[Any] = [p._f.held for p in batch.params]  # type: ignore[union-attr]
    if len(batch.grads) != len(grads) or not all(map(is_, grads, batch.grads)):
        if any([g is None for g in grads]):  # another thread that trains the model has taken its gradients away meanwhile
            return
        grads = [_entered(g, tr) if isinstance(g, (Node, tuple)) or is_dense(g) else _of_rows(g, optimizer, group) for g in grads]
    if reads == batch.leaves and grads == batch.grads:
        _move_all(batch, tr)
    else:
        reads = [node_of(t) for t in batch.tensors]
        found = _update(optimizer, group, form, batch, reads, grads, numbers, not tr.held)
        if found is None:
            set_apart(tr)
            _advance(optimizer, group, form, batch, tr)
            return
        batch.remember(reads, grads, found)
        for t, n, value, root in zip(batch.tensors, reads, found.values, found.roots, strict=True):
            if value is not n:
                _move(t, value, root, tr)
    batch.clock.update(ahead)


def _entered(g: Any, tr: Trace) -> Node:
    """The node of a gradient, given as `Family.held`. One from an earlier trace (a read between backward pass and step ends the trace)
    comes in as data, without the storage that `node_of` would make for it.
    """
    if g.__class__ is Node:
        return g  # type: ignore[no-any-return]
    if g.__class__ is tuple:
        n, array = g
        return tr.input(array, n.shape, n.strides, n.dtype, n.device)
    n = g._n
    if n is not None:
        return n  # type: ignore[no-any-return]
    f = g._f
    assert f is not None
    computed = getattr(f, "value", None) if f.h is None and f.past is None and not f.wants else None
    if computed is not None and computed[1].__class__ is np.ndarray:
        n, array = computed
        if g._geo == (n.shape, n.strides, n.offset):
            return tr.input(array, n.shape, n.strides, n.dtype, n.device)
    return node_of(g)


def _of_rows(g: Any, optimizer: Optimizer, group: Group) -> Node:
    """The node of a sparse gradient, if the optimizer takes one."""
    refusal = optimizer.refusal_of_sparse(group)
    if refusal is not None:
        raise RuntimeError(refusal)
    return g.dense_node()  # type: ignore[no-any-return]


def _update(
    optimizer: Optimizer, group: Group, form: Any, batch: _Batch, reads: list[Node], grads: list[Node], names: Iterable[str], apart: bool
) -> _Update | None:
    """What a step records, given the nodes it starts from and the gradients; None, if `apart`, where those are better computed first."""
    numbers = {name: batch.numbers.nodes[name] for name in names}
    key = (type(optimizer), form, batch.names, *numbers.values(), len(grads), *reads, *grads)
    found = _MEMO.get(key)
    if found is None:
        if apart and batch.programs.another(grads):
            return None
        found = _MEMO[key] = _record(optimizer, group, batch, reads, grads, numbers)
    return found


def _record(optimizer: Optimizer, group: Group, batch: _Batch, reads: list[Node], grads: list[Node], numbers: Nodes) -> _Update:
    """Record the update of every parameter."""
    count = len(batch.params)
    enter, leave = _passage(batch.params[0].dtype)
    params: list[Node] = []
    columns: list[list[Node]] = [[] for _ in batch.names]
    for i in range(count):
        state = {name: enter(_plain(reads[count * (j + 1) + i])) for j, name in enumerate(batch.names)}
        value, changed = optimizer.update(group, enter(_plain(reads[i])), enter(_plain(grads[i])), state, numbers)
        params.append(leave(value))
        for name, column in zip(batch.names, columns, strict=True):
            column.append(leave(changed[name]))
    values = [*params, *[n for column in columns for n in column]]
    roots = []
    taken = {*reads, *grads}
    for old, new in zip(reads, values, strict=True):
        if new.shape != old.shape or new.dtype is not old.dtype:
            raise RuntimeError(
                f"{type(optimizer).__name__}: the update of a {list(old.shape)} {old.dtype} tensor gives {list(new.shape)} {new.dtype}"
            )
        # an identity of its own also where one value would be the root of two storages
        if old.rg or new in taken or (new.strides, new.offset) != (old.strides, old.offset):
            roots.append(REBIND(old.srcs[0] if old.op is REBIND else old, new))
        else:
            roots.append(new)
        taken.add(new)
    return _Update(values, roots)


def _computed(d: Any) -> Any:
    """The type an update is computed in: half types in float32, so that a step rounds once and small coefficients do not vanish. Complex
    numbers are updated as pairs of real ones.
    """
    return d.to_real() if d.is_complex else d if d.storage == d.compute else float32


def _passage(stored: Any) -> tuple[Callable[[Node], Node], Callable[[Node], Node]]:
    """What takes stored values into the type an update is computed in, and back."""
    if stored.is_complex:
        return lambda n: as_real(to(n, stored)), as_complex
    return lambda n: to(n, _computed(stored)), lambda n: to(n, stored)


def _plain(n: Node) -> Node:
    return STOP(n) if n.rg else n


def _move_all(batch: _Batch, tr: Trace) -> None:
    """Give every storage its new value. Storages that no other tensor aliases are handed to the closing flush that ends the step:
    their leaf stays their node, and only the data behind it is exchanged. (No flush closes the trace while a backward pass runs.)
    """
    update = batch.update
    assert update is not None
    for f in batch.families:
        if len(f.faces) > 1 or len(f.cell.families) > 1 or tr.held:
            break
    else:
        tr.updates.append((batch.families, batch.leaves, update.roots, batch.pairs))
        return
    for t, n, value, root in zip(batch.tensors, batch.leaves, update.values, update.roots, strict=True):
        if t._n is n and value is not n:
            _move(t, value, root, tr)


def _move(t: Tensor, value: Node, root: Node, tr: Trace) -> None:
    """Move one storage."""
    f = t._f
    assert f is not None
    n = t._n
    if n is None or n is not f.leaf or n.op is not VAR or f.h is not n or t._kind is not None or not alone(f):
        write(t, lambda _: value)
        return
    counter = f.counter
    tr.stale.update(counter.roots)
    counter.version += 1
    counter.roots = [root]
    f.h, f.cell.writer = root, tr.index
    t._geo = (n.shape, n.strides, n.offset)
    t._n = None
    tr.families.append(ref(f))


@arena.register
def _prune(dead: Any) -> None:
    for key in [k for k in list(_MEMO) if any(n.__class__ is Node and dead(n) for n in k)]:
        _MEMO.pop(key, None)
