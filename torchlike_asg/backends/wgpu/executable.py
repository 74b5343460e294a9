"""A linked plan: memory assigned, shaders compiled, everything bound; a run encodes the dispatches in one pass and submits them once."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...asg import reference
from ...asg.geometry import contiguous, flat
from ...asg.node import Node
from ..assemble import Fallback
from . import profiling
from .assemble import WgpuAssembly
from .bindings import Bindings
from .calls import Dispatch, View, extent
from .device import Device, explained
from .memory import Block, DeviceArray, amount, empty, normal, put, restored, shared, stored
from .readback import Copy
from .uploads import Uploads
from .workspace import assign

Array = np.ndarray[Any, Any]
#: arrays kept for each result, for the next run that finds one that nobody holds
SPARE = 3
#: bytes of a result up to which it is sent along, if the host read it the last time
READ = 4096


class WgpuExecutable:
    """The program of a graph on a device.

    Arguments on the host (batches, numbers) are sent in one write before the run. Results are arrays on the device; the new value of a
    storage is written over the old one, or over a copy of it where somebody else may look at the old one.
    """

    donates = True

    def __init__(self, device: Device, a: WgpuAssembly) -> None:
        self.device, self.assembly, self.made = device, a, a.made
        self.uncovered, self.size = a.uncovered, len(a.steps)
        self._arguments = [
            (tuple(n.shape), normal(n.shape, strides), n.dtype) for n, strides in zip(a.b.arguments, a.b.argument_strides, strict=True)
        ]
        made: dict[int, View] = {}
        for r in a.results:
            if isinstance(r, View) and r.slot in a.outputs and 0 not in r.shape:
                made.setdefault(r.slot, r)
        self._overwritten = frozenset(a.overwritten)
        #: what each root is, and whether it is simply the array made for its slot, or the argument that was overwritten
        self._results = [(r, isinstance(r, View) and (made.get(r.slot) == r or self._whole(r))) for r in a.results]
        self._inputs: list[Any] = []
        self._objects: dict[Node, Any] = {}
        self._parts = _parts(a.steps)
        inside = {slot: extent(nbytes) for slot, nbytes in a.sizes.items()}
        self._places, self.pages = assign([_touched(s) for s in a.steps], inside)
        self.bindings = Bindings(device, [s for s in a.steps if isinstance(s, Dispatch)])
        if a.lowering.flags is not None:
            self.bindings.bind(a.lowering.flags, device.flags.bound(), 0, 16)
        self._uploads = Uploads(device, self._arguments, a.lowering.wide)
        #: the arguments that are only read
        self._read = [i for i in range(len(self._arguments)) if i not in self._overwritten]
        #: the buffer (None: look at it each time) and the strides of each argument as it is bound: mostly it is bound so the next time, too
        self._met: tuple[list[Any], list[Any]] = [None] * len(self._arguments), [None] * len(self._arguments)
        self._donated: Sequence[tuple[int, int]] = ()
        self._given: frozenset[int] = frozenset()
        self._generation = -1
        self._constants(a)
        self._made = {slot: (r.shape, r.strides, r.dtype) for slot, r in made.items()}
        self._hidden = [slot for slot in a.outputs if slot not in self._made]
        self._spare: dict[int, list[DeviceArray]] = {slot: [] for slot in self._made}
        self._output: dict[int, DeviceArray] = {}
        self._kept: list[Block] = []
        for slot in self._hidden:
            block = device.pool.take(a.outputs[slot], "a result")
            self._kept.append(block)
            self.bindings.bind(slot, block.buffer, 0, block.nbytes)

    # ---------------------------------------------------------------- linking
    def _constants(self, a: WgpuAssembly) -> None:
        """The values that depend on nothing, in one buffer."""
        at, found = 0, []
        for slot, n in a.constants.items():
            value = np.asarray(reference.evaluate([n], _no_leaf)[0])
            item = stored(n.dtype)
            raw = np.zeros(-(-value.size * item.itemsize // 4) * 4, np.uint8)
            put(raw[: value.size * item.itemsize].view(item).reshape(value.shape), value, n.dtype)
            found.append((slot, at, raw))
            at += -(-extent(raw.nbytes) // 256) * 256
        if not found:
            return
        self._constant = self.device.pool.take(at, "constants")
        for slot, offset, raw in found:
            if raw.size:
                self.device.queue.write_buffer(self._constant.buffer, offset, raw)
            self.bindings.bind(slot, self._constant.buffer, offset, extent(raw.nbytes))

    def _place(self) -> None:
        """Bind the temporaries to the workspace."""
        workspace = self.device.workspace
        for slot, (page, offset) in self._places.items():
            self.bindings.bind(slot, workspace.buffer(page), offset, extent(self.assembly.sizes[slot]))
        self.bindings.placed()
        self._generation = workspace.generation

    # ---------------------------------------------------------------- running
    def run(self, inputs: list[Any], donated: Sequence[tuple[int, int]] = ()) -> None:
        """Compute. `donated`: (place of a result, number of the argument whose memory it may take)."""
        try:
            with self.device.lock:
                self._run(inputs, donated)
        except Exception as error:
            raise explained(self.device, error, self._results_in_words()) from error

    def _results_in_words(self) -> str:
        """For messages: the largest result and its size."""
        if not self._made:
            return "what a plan was to compute"
        shape, _, d = max(self._made.values(), key=lambda m: math.prod(m[0]))
        return f"what a plan was to compute, such as a tensor of {list(shape)}, {d.name} ({amount(math.prod(shape) * stored(d).itemsize)})"

    def _run(self, inputs: list[Any], donated: Sequence[tuple[int, int]]) -> None:
        if self.pages:
            workspace = self.device.workspace
            if self._generation != workspace.generation:
                workspace.reserve(self.pages)
                self._place()
        self._bind_arguments(inputs, donated)
        copies = self._bind_outputs()
        self._inputs = inputs
        last = self._parts[-1] if self._parts else None
        for part in self._parts:
            if part.__class__ is Fallback:
                self._fall_back(part)
            else:
                self.bindings.submit(*part, copies if part is last else ())
        if copies and last.__class__ is not tuple:
            self.bindings.submit(0, 0, copies)

    def _bind_arguments(self, inputs: list[Any], donated: Sequence[tuple[int, int]]) -> None:
        if donated is not self._donated:  # it is the same object in every run
            self._donated, self._given = donated, frozenset(i for _, i in donated)
        buffers, layouts = self._met
        uploads, bindings, device = self._uploads, self.bindings, self.device
        if uploads.now:
            uploads.begin()
        for i in self._read:
            a = inputs[i]
            if a.__class__ is not DeviceArray or a.block.buffer is not buffers[i] or a.layout is not layouts[i]:
                self._bind_read(i, a, inputs)
        for i in self._overwritten:
            a, layout = inputs[i], self._arguments[i][1]
            if a.__class__ is not DeviceArray or a.device is not device:
                a = inputs[i] = uploads.moved(i, np.asarray(a))
            elif a.layout != layout and a.size > 1:
                a = inputs[i] = uploads.moved(i, a.numpy())
            else:
                if i not in self._given or sys.getrefcount(a) > 4 or sys.getrefcount(a.block) > 2:
                    a = inputs[i] = a.copy()
                a.host, a.staged = None, False
            old, block = bindings.bound.get(i), a.block
            if old is None or old[0] is not block.buffer:
                bindings.bind(i, block.buffer, 0, block.nbytes)
        if uploads.now:
            uploads.send(bindings)

    def _bind_read(self, i: int, a: Any, inputs: list[Any]) -> None:
        """Bind an argument that is only read, and is not what it was at the last run."""
        buffers, layouts = self._met
        buffers[i] = None
        if a.__class__ is not DeviceArray or a.device is not self.device or i in self.assembly.lowering.wide:
            self._uploads.add(i, np.asarray(a))
            return
        if a.layout != self._arguments[i][1] and a.size > 1:
            a = inputs[i] = self._uploads.moved(i, a.numpy())
        else:
            buffers[i], layouts[i] = a.block.buffer, a.layout
        self.bindings.bind(i, a.block.buffer, 0, a.block.nbytes)

    def _bind_outputs(self) -> list[Copy]:
        """Memory for the results; gives the copies to be made of those that are read on the host after every run."""
        copies: list[Copy] = []
        bound, flags = self.bindings.bound, self.device.flags
        for slot, spare in self._spare.items():
            found = None
            for a in spare:
                if sys.getrefcount(a) <= 3 and sys.getrefcount(a.block) <= 2:
                    found = a
                    break
            if found is None:
                if self._output.get(slot) is not None:
                    self._output.pop(slot)
                found = empty(self.device, *self._made[slot])
                spare.append(found)
                if len(spare) > SPARE:
                    spare.pop(0)
            if found.host is not None and found.staging is None and found.nbytes <= READ:  # it was read: so it will be the next time
                if (other := self._shared(slot)) is not None:
                    spare[spare.index(found)] = found = other
                else:
                    found.staging = self.device.reader.staging(found.nbytes)
            block, staging = found.block, found.staging
            found.host, found.staged = None, staging is not None
            if staging is not None and (staging is not block.buffer or flags.buffer is not None):
                copies += self.device.reader.copies(block.buffer, 0, staging, found.nbytes)
            old = bound.get(slot)
            if old is None or old[0] is not block.buffer:
                self.bindings.bind(slot, block.buffer, 0, block.nbytes)
            self._output[slot] = found
        return copies

    def _shared(self, slot: int) -> DeviceArray | None:
        """Memory for a result that the host reads as well, if only the shader looks at it that makes it, once: across the bus."""
        users = [s for s in self.assembly.steps if slot in _touched(s)]
        if len(users) != 1 or users[0].__class__ is not Dispatch or "atomic" in users[0].source.text:
            return None
        return shared(self.device, *self._made[slot])

    # ---------------------------------------------------------------- what NumPy does
    def _array(self, v: View) -> Array:
        """A view's values on the host."""
        if 0 in v.shape:
            return np.empty(v.shape, v.dtype.compute)
        binding, first = v.bind()
        buffer, base, _ = self.bindings.bound[v.slot]
        raw = self.device.read(buffer, binding.size or 0, base + binding.offset).view(stored(v.dtype))
        seen = np.lib.stride_tricks.as_strided(raw[first:], v.shape, [s * raw.itemsize for s in v.strides])
        return restored(np.ascontiguousarray(seen).reshape(-1), v.shape, contiguous(v.shape), v.dtype)

    def _write(self, v: View, value: Any) -> None:
        if 0 in v.shape:
            return
        binding, first = v.bind()
        buffer, base, _ = self.bindings.bound[v.slot]
        size, d = binding.size or 0, stored(v.dtype)
        if first == 0 and size == math.prod(v.shape) * d.itemsize:
            raw = np.empty(size // d.itemsize, d)
        else:  # what lies between the elements belongs to others
            raw = self.device.read(buffer, size, base + binding.offset).view(d)
        put(np.lib.stride_tricks.as_strided(raw[first:], v.shape, [s * d.itemsize for s in v.strides]), np.asarray(value), v.dtype)
        self.device.queue.write_buffer(buffer, base + binding.offset, raw)

    def _fall_back(self, part: Fallback) -> None:
        objects = self._objects
        views = iter(part.operands)
        operands = [self._array(next(views)) if s is None else objects[s] for s in part.objects]  # type: ignore[arg-type]
        value = profiling.noted(part.node.op.name, reference.apply, part.node, operands)
        if part.result is None:
            objects[part.node] = value
        else:
            self._write(part.result, value)  # type: ignore[arg-type]

    # ---------------------------------------------------------------- results
    def outputs(self) -> list[Any]:
        """The results of the last run."""
        inputs, output, out = self._inputs, self._output, []
        for r, plain in self._results:
            if plain:
                slot = r.slot
                out.append(output[slot] if slot in output else inputs[slot])
            else:
                out.append(self._result(r, inputs))
        self._inputs = []
        self._output = {}  # whoever wants a result holds it now
        self._objects.clear()
        return out

    def _whole(self, r: View) -> bool:
        """Whether a result is an overwritten argument as it is."""
        return r.slot in self._overwritten and 0 not in r.shape and (r.shape, normal(r.shape, r.strides)) == self._arguments[r.slot][:2]

    def _result(self, r: Any, inputs: list[Any]) -> Any:
        """A result that is not simply an array that the plan made."""
        if not isinstance(r, View):
            return self._objects[r] if r in self._objects else np.array(reference.evaluate([r], _no_leaf)[0])
        if 0 in r.shape:
            return np.empty(r.shape, r.dtype.compute)
        whole = self._output.get(r.slot)
        if whole is None:
            whole = inputs[r.slot]
        if whole.__class__ is not DeviceArray:  # an argument that is on the host, shown
            return restored(flat(np.array(whole), self._arguments[r.slot][1]), r.shape, r.strides, r.dtype)
        if whole.shape == r.shape and whole.layout == normal(r.shape, r.strides):
            return whole
        return DeviceArray(self.device, whole.block, r.shape, r.strides, r.dtype)

    def describe(self, llvm: bool = False) -> str:
        """The plan in words, and the text of every shader (`llvm` is for other backends)."""
        from .describe import describe

        return describe(self.assembly, sum(self.pages))


def _parts(steps: Sequence[Any]) -> list[Any]:
    """The plan as ranges of dispatches, as (first, end), with the reference's operations between them."""
    parts: list[Any] = []
    number = 0
    for step in steps:
        if isinstance(step, Fallback):
            parts.append(step)
            continue
        if parts and parts[-1].__class__ is tuple:
            parts[-1] = (parts[-1][0], number + 1)
        else:
            parts.append((number, number + 1))
        number += 1
    return parts


def _touched(step: Dispatch | Fallback) -> set[int]:
    if isinstance(step, Fallback):
        found = {v.slot for v in step.operands}
        return found if step.result is None else found | {step.result.slot}
    return {b.slot for b in step.operands}


def _no_leaf(n: Node) -> Any:
    raise AssertionError(f"{n} is not constant")
