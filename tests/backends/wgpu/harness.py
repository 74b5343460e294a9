"""Runs the dispatches of a `Lowering` on NumPy arrays: what tests of the generators call."""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest

from torchlike_asg import nn
from torchlike_asg.backends.wgpu import adapter
from torchlike_asg.backends.wgpu.calls import Binding, Dispatch, Lowering, View
from torchlike_asg.backends.wgpu.device import Device, open_device
from torchlike_asg.backends.wgpu.memory import stored


@functools.cache
def device() -> Device:
    """The device that tests run on: a GPU, else a software adapter; skips the test where there is neither."""
    if not adapter.usable() and "TORCHLIKE_ASG_ADAPTER" not in os.environ:
        os.environ["TORCHLIKE_ASG_ADAPTER"] = "cpu"
    if not adapter.usable():
        pytest.skip("no adapter for wgpu: " + adapter.INSTALL)
    return open_device()


def lowering(first_slot: int) -> Lowering:
    """One for the test's device, whose slots begin with that number."""
    return Lowering(first_slot, device().caps)


def memory(values: np.ndarray, d) -> np.ndarray:
    """Values of an element type as they lie in a slot."""
    return np.ascontiguousarray(values).astype(stored(d))


def run(low: Lowering, arrays: dict[int, np.ndarray]) -> None:
    """Do the dispatches in order. `arrays` gives the memory of the slots that are not temporaries, of elements as the device has them: it
    is uploaded before, and takes the slot's content afterwards. Temporaries begin as NaNs (bytes 0xff), so that reading what was never
    written shows.
    """
    d = device()
    buffers = {}
    if low.flags is not None:
        arrays = {**arrays, low.flags: np.zeros(2, np.uint32)}
    content = {**arrays, **{s: np.full(max(n, 4) // 4, 0xFFFFFFFF, np.uint32) for s, n in low.temporaries.items()}}
    for slot, a in content.items():
        assert a.flags.c_contiguous and a.itemsize in (2, 4, 8), f"slot {slot} is {a.dtype}"
        nbytes = -(-a.nbytes // 4) * 4
        buffers[slot] = (d.buffer(nbytes), nbytes)
        if a.nbytes:
            d.queue.write_buffer(buffers[slot][0], 0, a.tobytes() + b"\0" * (nbytes - a.nbytes))
    encoder = d.gpu.create_command_encoder()
    compute = encoder.begin_compute_pass()
    for call in low.calls:
        _encode(d, compute, call, buffers)
    compute.end()
    d.queue.submit([encoder.finish()])
    for slot, a in arrays.items():
        if a.nbytes:
            raw = d.queue.read_buffer(buffers[slot][0], 0, buffers[slot][1])
            a[...] = np.frombuffer(raw, a.dtype)[: a.size].reshape(a.shape)


def _encode(d: Device, compute, call: Dispatch, buffers) -> None:
    assert call.writes and {b.slot for b in call.operands} >= set(call.writes), f"{call.source.key}: writes {call.writes}"
    x, y, z = call.grid
    assert max(x, y, z) <= 65535, f"{call.source.key}: {call.grid} workgroups"
    if 0 in (x, y, z):
        return
    words = None
    if call.words:
        raw = call.packed
        words = (d.buffer(len(raw), uniform=True), 0, len(raw))
        d.queue.write_buffer(words[0], 0, raw)
    compute.set_pipeline(d.pipeline(call.source, len(call.operands), bool(words)))
    bound = []
    for b in call.operands:
        assert b.__class__ is Binding and b.offset % 256 == 0, b
        buffer, nbytes = buffers[b.slot]
        size = b.size if b.size is not None else max(nbytes - b.offset, 4)
        assert b.offset + size <= max(nbytes, 4), f"{call.source.key}: {b} of {nbytes} bytes"
        bound.append((buffer, b.offset, size))
    compute.set_bind_group(0, d.bind_group(call, bound, words))
    compute.dispatch_workgroups(x, y, z)


__all__ = ["View", "device", "lowering", "memory", "run"]


def trained(model, optimizer, x, y, steps):
    """The losses of some steps on squared errors, each read."""
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found
