"""What WGSL leaves to the hardware, found out by trying when a device is opened: how subgroups are formed, how float16 is rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .calls import Source

if TYPE_CHECKING:
    from .device import Device

_GROUP = 256
#: makers of hardware whose subgroups have one size (PCI's numbers): NVIDIA, Apple, Mesa's software
_FIXED = (0x10DE, 0x106B, 0x10005)
#: ties, the ends of the range, what becomes subnormal
_NUMBERS = np.array(
    [1 + 2**-11, 1 + 3 * 2**-11, -1 - 2**-11, 2049, 2051, 65519.996, 65520, -1e30, 2**-25, 1.5 * 2**-24, np.inf, 0.1, -7e-6],
    np.float32,
)  # fmt: skip


def _subgroups() -> str:
    return f"""@group(0) @binding(0) var<storage, read_write> m0: array<u32>;
@compute @workgroup_size({_GROUP}) fn main(@builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) id: u32) {{
    m0[lane] = select(0u, size, id == lane % size && subgroupShuffleXor(lane, 1u) == (lane ^ 1u));
}}
"""


def _rounding() -> str:
    return f"""enable f16;
@group(0) @binding(0) var<storage, read_write> m0: array<u32>;
@compute @workgroup_size({_GROUP}) fn main(@builtin(local_invocation_index) lane: u32) {{
    m0[lane] = bitcast<u32>(f32(f16(bitcast<f32>(m0[lane]))));
}}
"""


def _tried(device: Device, source: Source, given: np.ndarray) -> np.ndarray | None:  # type: ignore[type-arg]
    """What a shader makes of some words; None if the driver offers what it cannot compile."""
    try:
        pipeline = device.pipeline(source, 1, False)
    except RuntimeError:
        return None
    memory = np.zeros(_GROUP, np.uint32)
    memory[: len(given)] = given
    buffer = device.buffer(memory.nbytes)
    device.queue.write_buffer(buffer, 0, memory)
    entry = {"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": memory.nbytes}}
    group = device.gpu.create_bind_group(layout=device.layout(1, False)[0], entries=[entry])
    encoder = device.gpu.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(pipeline)
    compute.set_bind_group(0, group)
    compute.dispatch_workgroups(1)
    compute.end()
    device.queue.submit([encoder.finish()])
    return device.read(buffer, memory.nbytes).view(np.uint32)


def subgroup_size(device: Device) -> int:
    """How many neighbours form a subgroup, in order; 0 where that is not known: the hardware may have several sizes."""
    raw = device.adapter.raw
    if "subgroup" not in device.gpu.features or raw is None or raw.info.get("vendor_id") not in _FIXED:
        return 0
    found = _tried(device, Source(("subgroups",), _subgroups), np.empty(0, np.uint32))
    if found is None:
        return 0
    size = int(found[0])
    return size if size > 1 and _GROUP % size == 0 and (found == size).all() else 0


def rounds_to_even(device: Device) -> bool:
    """Whether ``f16(x)`` is rounded as float16 has to be: to the nearest, ties to even, with subnormal numbers and infinities."""
    if "shader-f16" not in device.gpu.features:
        return False
    found = _tried(device, Source(("rounding",), _rounding), _NUMBERS.view(np.uint32))
    with np.errstate(over="ignore"):
        wanted = _NUMBERS.astype(np.float16).astype(np.float32)
    return found is not None and np.array_equal(found[: len(wanted)].view(np.float32), wanted)
