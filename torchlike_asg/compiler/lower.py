"""From groups of nodes to loop kernels: which memory each value is read from and written to, and the program of one point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..asg.declare import CONST
from ..asg.geometry import Geometry, contiguous
from ..asg.node import Node
from ..ops.random import philox_uniform
from .fuse import Fuser
from .groups import Group
from .kernel import Apply, Const, Convert, Index, Instr, Load, LoopKernel, Operand, Random, Reduce
from .kinds import REDUCTIONS, order_of

#: how a kernel's operand is found in memory: the node whose buffer it is, and the geometry there; a number stands for itself
Place = tuple[Node, Geometry]


class GroupKernel:
    """The loop kernel of a group.

    ``loads``, ``stores``: for each operand, the node whose buffer it reads or writes, and the element offset there
    """

    def __init__(self, g: Group, fuser: Fuser, place: Callable[[Node], Place], target: Callable[[Node], Geometry]) -> None:
        """`place(value)` says where a stored value lies; `target(output)` the geometry of an output in its buffer."""
        self.group, self.fuser, self.place = g, fuser, place
        outer = [a for a in self._atoms() if a not in g.inner]
        self.atoms = [*outer, *g.inner]
        self.position = {a: i for i, a in enumerate(self.atoms)}
        self.operands: list[Operand] = []
        self.loads: dict[int, tuple[Node, int]] = {}
        self.stores: dict[int, tuple[Node, int]] = {}
        self.body: list[Instr] = []
        self._values: dict[Any, int] = {}
        for n in g.nodes:
            self._values[n] = self._reduce(n) if fuser.kind[n] == "reduce" else self._point(n)
        pairs = []
        for n in g.outputs:
            strides, offset = self._strides(target(n), g.axes[n])
            operand = self._operand(n.dtype, strides)
            self.stores[operand] = (n, offset)
            pairs.append((operand, self._values[n]))
        self.kernel = LoopKernel(tuple([g.sizes[a] for a in self.atoms]), len(outer), tuple(self.operands), tuple(self.body), tuple(pairs))

    def _atoms(self) -> list[int]:
        """All atoms, in the order in which the first full member has them."""
        g = self.group
        for axes in g.axes.values():
            atoms = [a for dim in axes for a in dim]
            if len(atoms) == len(g.sizes):
                return atoms
        return list(g.sizes)

    def _strides(self, geometry: Geometry, axes: tuple[tuple[int, ...] | None, ...]) -> tuple[tuple[int, ...], int]:
        """Strides by atom of a value of that geometry whose dimensions run over `axes`, and its offset."""
        strides = [0] * len(self.atoms)
        for n, step, atoms in zip(geometry[0], geometry[1], axes, strict=True):
            if n == 1 or not atoms:
                continue
            for a in reversed(atoms):
                strides[self.position[a]] += step
                step *= self.group.sizes[a]
        return tuple(strides), geometry[2]

    def _operand(self, d: dtypes.dtype, strides: tuple[int, ...]) -> int:
        self.operands.append(Operand(d, strides))
        return len(self.operands) - 1

    def _emit(self, i: Instr) -> int:
        found = self._values.get(i)
        if found is None:
            self.body.append(i)
            found = self._values[i] = len(self.body) - 1
        return found

    # ---------------------------------------------------------------- values
    def _value(self, s: Node, axes: tuple[tuple[int, ...], ...]) -> int:
        """Operand `s` of a member whose dimensions run over `axes` (of which `s` has the last ones)."""
        root, _ = self.fuser.root(s)
        if root in self._values:
            return self._values[root]
        source, geometry = self.place(s)
        axes = axes[len(axes) - len(geometry[0]) :]
        if self.fuser.kind.get(source) == "literal":
            return self._emit(Const(source.attrs[0], source.dtype))
        strides, offset = self._strides(geometry, axes)
        if source.op.name == "arange":
            return self._ramp(source, strides, offset)
        return self._emit(Load(self._loaded(source, s.dtype, strides, offset), s.dtype))

    def _loaded(self, source: Node, d: dtypes.dtype, strides: tuple[int, ...], offset: int) -> int:
        """The operand that reads a stored value."""
        key = (source, strides, offset)
        operand = self._values.get(key)
        if operand is None:
            operand = self._values[key] = self._operand(d, strides)
            self.loads[operand] = (source, offset)
        return operand

    def _random(self, n: Node) -> int:
        """Numbers of the counter-based stream, in row-major order of the value."""
        operands = []
        for s in n.srcs:
            source, geometry = self.place(s)
            operands.append(self._loaded(source, s.dtype, (0,) * len(self.atoms), geometry[2]))
        strides, _ = self._strides((tuple(n.shape), contiguous(n.shape), 0), self.group.axes[n])
        key, block = operands
        return self._emit(Random(key, block, strides))

    def _ramp(self, n: Node, strides: tuple[int, ...], offset: int) -> int:
        """start + step * index"""
        assert all(s.op is CONST for s in n.srcs), "a row of numbers that begins with data"
        start, step = (s.attrs[0] for s in n.srcs)
        if n.dtype is dtypes.int64 and isinstance(start, int) and isinstance(step, int):
            return self._emit(Index(tuple([s * step for s in strides]), start + offset * step))
        index = self._emit(Convert(self._emit(Index(strides, offset)), n.srcs[0].dtype))
        d = n.srcs[0].dtype
        scaled = self._apply("mul", (index, self._emit(Const(step, d))), d)
        return self._converted(self._apply("add", (scaled, self._emit(Const(start, d))), d), n.dtype)

    def _apply(self, name: str, args: tuple[int, ...], d: dtypes.dtype) -> int:
        from ..asg.declare import get

        formula = get(name).scalar
        assert formula is not None
        return self._emit(Apply(name, args, (), d, _computed(d), formula))

    def _converted(self, value: int, d: dtypes.dtype) -> int:
        return value if self.body[value].dtype is d else self._emit(Convert(value, d))

    def _point(self, n: Node) -> int:
        if n.op is philox_uniform:
            return self._random(n)
        axes = self.group.axes[n]
        args = tuple([self._value(s, axes) for s in n.srcs])
        if n.op.name == "cast":
            return self._converted(args[0], n.dtype)
        assert n.op.scalar is not None
        types = [self.body[a].dtype for a in args]
        compute = next((d for d in types if d is not dtypes.bool_), dtypes.bool_)
        return self._emit(Apply(n.op.name, args, n.attrs, n.dtype, _computed(compute), n.op.scalar))

    def _reduce(self, n: Node) -> int:
        x = n.srcs[0]
        root, _ = self.fuser.root(x)
        value = self._values[root] if root in self._values else self._value(x, self.group.axes[x])
        return self._emit(Reduce(REDUCTIONS[n.op.name], self._converted(value, n.dtype), n.dtype, order_of(n)))


def _computed(d: dtypes.dtype) -> dtypes.dtype:
    """The type that numbers of a type are computed in."""
    return dtypes.float32 if d in (dtypes.float16, dtypes.bfloat16) else d
