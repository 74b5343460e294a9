"""Whether invocations of a subgroup can be told from their numbers: then rows are added up by exchanging values among them, without memory.

WGSL says neither how large a subgroup is nor which invocations form one. Kernels use them on hardware that has one size only, where a trial
shows how large it is and that neighbours form it, in order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .calls import Source

if TYPE_CHECKING:
    from .device import Device

_GROUP = 256
#: makers of such hardware (PCI's numbers): NVIDIA, Apple, Mesa's software
_FIXED = (0x10DE, 0x106B, 0x10005)


def _trial() -> str:
    return f"""@group(0) @binding(0) var<storage, read_write> m0: array<u32>;
@compute @workgroup_size({_GROUP}) fn main(@builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) id: u32) {{
    m0[lane] = select(0u, size, id == lane % size && subgroupShuffleXor(lane, 1u) == (lane ^ 1u));
}}
"""


def size_of(device: Device) -> int:
    """How many neighbours form a subgroup; 0 where that is not known."""
    raw = device.adapter.raw
    if "subgroup" not in device.gpu.features or raw is None or raw.info.get("vendor_id") not in _FIXED:
        return 0
    try:
        pipeline = device.pipeline(Source(("subgroups",), _trial), 1, False)
    except RuntimeError:  # a driver that offers what it cannot compile
        return 0
    buffer = device.buffer(4 * _GROUP)
    group = device.gpu.create_bind_group(
        layout=device.layout(1, False)[0], entries=[{"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": 4 * _GROUP}}]
    )
    encoder = device.gpu.create_command_encoder()
    compute = encoder.begin_compute_pass()
    compute.set_pipeline(pipeline)
    compute.set_bind_group(0, group)
    compute.dispatch_workgroups(1)
    compute.end()
    device.queue.submit([encoder.finish()])
    found = device.read(buffer, 4 * _GROUP).view(np.uint32)
    size = int(found[0])
    return size if size > 1 and _GROUP % size == 0 and (found == size).all() else 0
