"""What stands behind a tensor: its storage, its version, and its autograd identity.

``Tensor -> Family -> Cell`` is PyTorch's ``tensor -> (base, differentiable views) -> storage``. Families, counters and cells
exist only for tensors that were viewed, written, detached or survived a flush: a plain result pays nothing for them.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ..asg import arena
from ..asg.declare import REBIND, VAR
from ..asg.geometry import Geometry, flat, gather, is_contiguous
from ..asg.node import Node
from ..asg.trace import current, lock
from ..asg.traces import home_of
from ..backends.meta import AWAY, Absent
from ..backends.wgpu.memory import DeviceArray, normal
from ..dtypes import bfloat16, dtype, load, store
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from ..ops.reinterpret import conj_of, neg_of, unbits
from .failed import Failed
from .history_names import step_noted, title
from .view_steps import DEFERRED, remember, unused

#: elements of a storage up to which it may be on the host, if it came from there: counters and rates, which scripts set by hand
SENT = 1


def on_device(values: Any, device: Any, strides: Any, d: dtype) -> DeviceArray:
    """Values of the host in a device's memory."""
    from ..backends.wgpu.device import open_device
    from ..backends.wgpu.memory import upload

    return upload(open_device(device.index), np.asarray(values), strides, d)


#: how many functions have been recorded to be differentiated: storages are told from those that were there when one of these began
_generation = 0


def next_generation() -> int:
    """Begin another generation of storages, and give its number, which is that of those made from now on."""
    global _generation
    _generation += 1
    return _generation


#: nodes that a view has had to be remembered, beside the last
_HAD = 7


class Counter:
    """A version number, and the nodes that are the current content. `detach()` shares it with its source, `.data` does not.

    ``silent`` counts the writes that the version did not.
    """

    __slots__ = ("roots", "silent", "version")

    def __init__(self) -> None:
        self.version = self.silent = 0
        self.roots: list[Node] = []


class Cell:
    """One storage: its content, in storage layout, and the families that alias it.

    The content is kept in one of two forms. ``array`` has the storage's shape; it exists only while a row-major storage holds a computed
    value as it came, and is unset otherwise. ``buf`` is the flat buffer that views and writes work on; asking for it ends the other form.

    On the way into a program the array is referenced by its cell and by the list of arguments, and by nothing else, unless somebody
    captured the value: that is how an executable that writes a new value into the old one's memory knows that nobody would notice.

    ``exposed``  a NumPy array shares the buffer; ``shadow`` is the content when we last looked, to notice foreign writes
    ``writer``   the number of the trace in which its next content is pending; None while it has the one that it is to have

    Where several threads use a storage, its content is changed, and taken as a whole, under `trace.lock`.
    """

    __slots__ = (
        "__weakref__", "_flat", "array", "born", "device", "dtype", "exposed", "families", "plain", "sent", "shadow", "shape", "source",
        "strides", "writer",
    )  # fmt: skip

    def __init__(self, shape: Any, strides: Any, d: dtype, device: Any, buf: np.ndarray[Any, Any] | None = None) -> None:
        self.shape, self.strides, self.dtype, self.device, self._flat = tuple(shape), strides, d, device, buf
        self.families: list[Any] = []
        self.exposed, self.shadow, self.source, self.writer = False, None, None, None
        #: whether the content went to another device with a step's data once: the next time it stays there
        self.sent = False
        #: its generation
        self.born = _generation
        #: row-major, so that a value is kept as it is
        self.plain = is_contiguous(self.shape, strides)

    @property
    def buf(self) -> np.ndarray[Any, Any] | None:
        """The content as a flat buffer; None while nothing was computed."""
        buf = self._flat
        return self._flattened() if buf is None else buf

    def _flattened(self) -> np.ndarray[Any, Any] | None:
        with lock:
            buf = self._flat
            if buf is None and hasattr(self, "array"):
                array = self.array
                if array.__class__ in AWAY:  # from now on on the host, until a plan wants it
                    buf = self._flat = store(flat(array.numpy(), self.strides), self.dtype).copy()
                else:
                    buf = self._flat = array.reshape(-1)
                del self.array
            return buf

    @buf.setter
    def buf(self, value: np.ndarray[Any, Any] | None) -> None:
        self._flat = value
        if hasattr(self, "array"):
            del self.array

    @property
    def empty(self) -> bool:
        """Whether nothing was computed yet."""
        return self._flat is None and not hasattr(self, "array")

    @property
    def remote(self) -> bool:
        """Whether the content lies on another device."""
        return self._flat is None and getattr(self, "array", None).__class__ in AWAY

    @property
    def geometry(self) -> Geometry:
        return self.shape, self.strides, 0

    def live(self) -> list[Family]:
        live = [f for r in self.families if (f := r()) is not None]
        if len(live) != len(self.families):
            self.families = [r for r in self.families if r() is not None]
        return live

    def captured(self) -> np.ndarray[Any, Any]:
        """The whole storage's values for a recorded operation: NumPy writes to an exposed buffer must not reach it."""
        values = self.whole()
        return values.copy() if self.exposed else values

    def take(self, value: np.ndarray[Any, Any]) -> None:
        """Hold another value (an array of the storage's shape, which is nobody else's to write)."""
        if value.__class__ in AWAY:
            if value.layout == self.strides or value.__class__ is Absent or value.layout == normal(self.shape, self.strides):
                self.array, self._flat = value, None
                return
            value = value.numpy()
        if self.plain and value.dtype is self.dtype.storage and value.flags.c_contiguous:
            self.array, self._flat = value, None
        else:
            self.buf = store(flat(value, self.strides), self.dtype)

    def whole(self) -> np.ndarray[Any, Any]:
        """What the storage holds, as something to compute with (its memory, except for bfloat16)."""
        buf = self._flat
        if buf is None:
            return self.array
        if self.plain and self.dtype is not bfloat16:
            return buf.reshape(self.shape)
        return load(gather(buf, self.geometry), self.dtype)

    def shaped(self) -> np.ndarray[Any, Any]:
        """`whole`, kept at hand from now on: what a permanent leaf's storage holds is asked for in every run.

        On a device other than the CPU, that is where it is from now on, but for a few numbers, which are sent with each run's data.
        """
        if self.device.type == "wgpu" and self._flat is not None and self._flat.size > SENT:
            self.array, self._flat = on_device(self.whole(), self.device, self.strides, self.dtype), None
            return self.array
        if self.plain and self._flat is not None and not self.exposed and self.dtype is not bfloat16:
            self.array, self._flat = self._flat.reshape(self.shape), None
        return self.whole()

    def bound(self, geometry: Geometry) -> Any:
        """`values` for a recorded operation: data that another device is to compute with stays there from the second time on."""
        if self.device.type != "cpu" and self._flat is not None:
            if self.sent:
                return self.shaped() if geometry == self.geometry else self.values(geometry)
            self.sent = True
        return self.values(geometry)

    def values(self, geometry: Geometry) -> np.ndarray[Any, Any]:
        """What a region holds, as something to compute with (a view of the buffer, except for bfloat16)."""
        if geometry[2] == 0 and geometry[1] == self.strides and geometry[0] == self.shape:
            return self.whole()
        if self.device.type == "meta":
            return Absent(geometry[0], geometry[1], self.dtype)
        return load(gather(self.buf, geometry), self.dtype)  # type: ignore[arg-type]


#: the kinds of faces that a counted write makes stale
_STALE = {kind: f"{kind} stale" for kind in ("multi", "nograd", "inference")}
#: dead faces of data that is written from which on they are struck off
_DEAD = 8


class Family:
    """One autograd identity of a storage: a base tensor and its differentiable views.

    ``h``      the node holding the whole storage's current value; None = concrete, nothing recorded in this trace
    ``leaf``   the node at which gradients end, if this is a leaf that was used in the trace (a VAR is kept for good)
    ``wants``  a leaf that requires a gradient;  ``past`` history from an earlier trace, see `past.py`
    ``faces``  weak references to the tensors of this family;  ``inferred`` whether they were made in inference mode
    ``held``   the gradient: a tensor, or what one is made of when somebody asks for it (`grad`), which nearly always nobody does: its node
               while it is pending in the trace numbered ``home``, then its node and value

    ``cell`` and ``counter`` are made when first asked for, so that a view of a computed value costs one small object, and so does
    a result that is computed and then dropped: ``value`` holds its node and array until then.
    """

    __slots__ = (
        "__weakref__", "cell", "counter", "faces", "first", "h", "held", "home", "hooks", "inferred", "leaf", "limit", "past", "value",
        "wants",
    )  # fmt: skip

    def __init__(self, cell: Cell, h: Node | None = None, counter: Counter | None = None) -> None:
        self.cell, self.h, self.counter = cell, h, Counter() if counter is None else counter
        self.leaf = self.held = self.past = self.hooks = self.first = self.value = None
        self.faces: list[Any] = []
        self.limit, self.wants = 64, False
        self.inferred = not cell.families and current().inference is not None
        cell.families.append(ref(self))

    def __getattr__(self, name: str) -> Any:
        if name not in ("cell", "counter"):
            raise AttributeError(name)
        with lock:
            if self.made is None:  # nor has another thread made them meanwhile
                self._make()
            return getattr(self, name)

    @property
    def made(self) -> Cell | None:
        """The cell, if there is one already."""
        try:
            return _CELL(self)  # type: ignore[no-any-return]
        except AttributeError:
            return None

    @property
    def exposed(self) -> bool:
        """Whether a NumPy array shares the memory: then there is a cell, which need not be made to know that there is none."""
        made = self.made
        return made is not None and made.exposed

    def _make(self) -> None:
        n = self.h
        if n is None:
            n, value = self.value
            if value.__class__ is Failed:
                raise value.again()
            cell, counter = Cell(n.shape, n.strides, n.dtype, n.device), Counter()
            cell.take(value)
        else:
            cell, counter = Cell(n.shape, n.strides, n.dtype, n.device), Counter()
            counter.roots.append(n)
            cell.writer = home_of(n).index
        cell.families.append(ref(self))
        self.counter, self.cell = counter, cell
        if self.h is None:
            self.value = None

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf, or None."""
        held = self.held
        if held.__class__ is Node or held.__class__ is tuple:
            from .accumulation import shown

            held = shown(self, held)
        return held

    @grad.setter
    def grad(self, value: Any) -> None:
        self.held = value

    def add(self, face: Any) -> None:
        self.faces.append(ref(face))
        if len(self.faces) > self.limit:  # amortised: drop dead faces of long-lived storages
            self.prune()

    def prune(self) -> None:
        """Forget the faces that are dead. Others may be added meanwhile."""
        with lock:
            faces = self.faces
            seen = len(faces)
            faces[:seen] = [r for r in faces[:seen] if r() is not None]
            self.limit = 2 * len(faces) + 64

    def invalidate(self, bumped: bool = False) -> None:
        """Every live face forgets its node; the next use derives it again. `bumped`: because of a counted write."""
        out = []
        faces, h = self.faces, self.h
        seen = len(faces)
        for r in faces[:seen]:
            t = r()
            if t is not None:
                out.append(r)
                n = t._n
                if t._kind is None and n is not None and (h is None or not h.rg):  # a base without history, as most are
                    t._geo = t._geo or t.geometry
                    t._n = None
                    continue
                if t._kind is not None and not bumped and (h if n is None else n) is not None and (h if n is None else n).rg:
                    t.__dict__["_older"] = True  # its node so far may lie in histories: that of its next use is another one
                    if n is not None:
                        self.note_shown(t, n)
                if n is not None:
                    if t._geo is None:
                        t._geo = t.geometry
                    if n.rg and t._kind is not None and not bumped and "_made" not in t.__dict__:
                        t.__dict__["_made"] = step_noted(t, n) or title(n, t._kind)  # a view is still made as it was
                        if t._lens is None:
                            remember(t, n, h)
                    t._n = None
                elif DEFERRED in t.__dict__:
                    unused(t, bumped)
                if bumped and t._kind is not None:
                    if h is not None and h.rg:
                        t.__dict__["_made"] = "AsStridedBackward0"  # as PyTorch makes a view anew
                    else:
                        t.__dict__.pop("_made", None)
                    t.__dict__.pop("_viewed", None)
                    t.__dict__.pop("_shown", None)
                if bumped:
                    t._kind = _STALE.get(t._kind, t._kind)
                    if t._kind is None and h is not None and h.rg and "_within" in t.__dict__:  # its Function knows nothing of the write
                        t._kind = "custom stale"
        faces[:seen] = out  # another thread may have added some

    def changed(self) -> None:
        """`invalidate` after a counted write to the memory of plain data, whose faces hardly ever have nodes."""
        faces = self.faces
        dead = 0
        for r in faces[:]:
            t = r()
            if t is None:
                dead += 1
                continue
            if t._n is not None or (t._kind is not None and t.__dict__):
                self.invalidate(bumped=True)
                return
            if t._kind is not None:
                t._kind = _STALE.get(t._kind, t._kind)
        if dead > _DEAD:
            self.prune()

    def note_shown(self, t: Any, n: Node) -> None:
        """Note on a view a node that it has had, and in which trace: it is still asked for the gradient of what was made of that."""
        tr = current()
        had = (tr.index, tr.generation), n
        noted = t.__dict__.get("_shown", ())
        if had not in noted:
            t.__dict__["_shown"] = (*noted[-_HAD:], had)

    def take_part(self) -> None:
        """Have the next flush look at this family."""
        current().families.append(ref(self))

    def permanent(self, rg: bool) -> Node:
        """Give the whole storage a leaf for good: the same node in every iteration."""
        cell = self.cell
        leaf = Node(VAR, (), (), cell.shape, cell.dtype, cell.strides, 0, cell.device, rg)
        arena.track(leaf, self, cell)
        self.leaf = self.h = leaf
        self.wants = rg
        self.counter.roots = [leaf]
        if self.hooks is not None:
            self.hooks.leaf = leaf
        for r in self.faces:
            t = r()
            if t is not None and t._kind is None and t._lens is None and t._n is None and t._geo == cell.geometry and not cell.exposed:
                t._n, t._d = leaf, 0
        return leaf

    @property
    def leaf_history(self) -> bool:
        """Whether the current value is still this leaf, possibly overwritten under no_grad."""
        n, leaf = self.h, self.leaf
        if leaf is None:
            return False
        if n is leaf or (n.op is REBIND and n.srcs[0] is leaf):
            return True
        while n is not leaf:
            if n.op is REBIND:
                n = n.srcs[0]
            elif n.op is RESTRIDE_SCATTER:
                n = n.srcs[1]
            elif n.op is unbits or n.op is conj_of or n.op is neg_of:  # a leaf that is a view of another type
                n = n.srcs[0]
            else:
                return False
        return True


#: the slot, without what makes a cell
_CELL = Family.cell.__get__  # type: ignore[attr-defined]
