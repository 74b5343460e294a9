"""The tile and the number of parts of a large product by measurement, once for each adapter: what was found is kept on disk.

The model of `tiles.plan` proposes the candidates. ``TORCHLIKE_ASG_TUNE=off`` (or 0) leaves the choice to the model.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import forks
from ...cachefolder import root_folder
from ..calls import Capabilities, Lowering
from .tiles import Plan, Tile, in_parts, plan, proposals

#: multiply-adds from which on a measurement pays; most bytes of operands it is made with; how many tiles are measured
_LARGE, _BYTES, _CANDIDATES = 1 << 27, 1 << 30, 8
#: seconds of work after which a GPU that was idle has its speed, and seconds after which it counts as idle
_WARM, _IDLE = 0.5, 1.0
#: what takes longer than the fastest by that factor is measured only once
_NEAR = 1.25
#: the folder's name changes with what tiles mean
_FORMAT = "products-3"

_lock = threading.RLock()
forks.guard(_lock.acquire, _lock.release)
#: adapter -> problem -> (tile, parts)
_known: dict[str, dict[str, tuple[tuple[int, ...], int]]] = {}
#: when something was measured last, by `time.perf_counter`
_measured_at = float("-inf")


def planned(lowering: Lowering, kind: str, count: int, m: int, n: int, k: int, build: Callable[[Lowering, Plan], None]) -> Plan:
    """The plan of a product. ``build(lowering, plan)`` adds its dispatches; `kind` tells how its operands lie."""
    caps = lowering.caps
    guess = plan(caps, count, m, n, k)
    if caps.software or count * m * n * k < _LARGE or os.environ.get("TORCHLIKE_ASG_TUNE", "").lower() in ("0", "off"):
        return guess
    problem = f"{kind} {count}x{m}x{n}x{k}"
    with _lock:
        found = _table(caps.name).get(problem)
        if found is None:
            best = _measured(caps, count, m, n, k, build)
            if best is None:
                return guess
            _table(caps.name)[problem] = found = best.tile.key, best.parts
            _write(caps.name)
    tile, parts = found
    return in_words(tile, parts, k) or guess


def in_words(key: tuple[int, ...], parts: int, k: int) -> Plan | None:
    """A plan from what is kept of it; None if it is damaged."""
    if len(key) != 7 or any(not isinstance(x, int) or x < 0 for x in (*key, parts)) or not parts or 0 in key[:5]:
        return None
    return in_parts(Tile.of(key), parts, k)


def _measured(caps: Capabilities, count: int, m: int, n: int, k: int, build: Callable[[Lowering, Plan], None]) -> Plan | None:
    """The fastest of the candidates; None where they cannot be measured."""
    from ..device import device_with
    from ..timing import Prepared, sizes_of

    device = device_with(caps)
    if device is None:
        return None
    buffers: dict[int, tuple[Any, int]] = {}
    ready: list[tuple[Plan, Prepared]] = []
    for candidate in _candidates(caps, count, m, n, k):
        low = Lowering(1 << 20, caps)
        build(low, candidate)
        sizes = sizes_of(low)
        if sum(sizes.values()) > _BYTES:
            continue
        own = {slot: _enough(buffers.get(slot), size) or (device.buffer(size), size) for slot, size in sizes.items()}
        buffers |= {slot: pair for slot, pair in own.items() if slot not in low.temporaries}
        with contextlib.suppress(RuntimeError):  # a tile that the driver does not take
            ready.append((candidate, Prepared(device, low.calls, own)))
    if not ready:
        return None
    global _measured_at
    start = time.perf_counter()
    while time.perf_counter() < start + (_WARM if start > _measured_at + _IDLE else _WARM / 20):
        ready[0][1].run(4)
    first = [p.seconds(1) for _, p in ready]
    near = [i for i, t in enumerate(first) if t <= _NEAR * min(first)]
    times = {i: min(first[i], *[ready[i][1].seconds(1) for _ in range(2)]) for i in near}
    _measured_at = time.perf_counter()
    return ready[min(times, key=lambda i: times[i])][0]


def _candidates(caps: Capabilities, count: int, m: int, n: int, k: int) -> list[Plan]:
    """Different tiles, each with the number of parts that the model finds best for it."""
    by_tile: dict[Tile, Plan] = {}
    for p in proposals(caps, count, m, n, k):
        by_tile.setdefault(p.tile, p)
    return list(by_tile.values())[:_CANDIDATES]


def _enough(pair: tuple[Any, int] | None, size: int) -> tuple[Any, int] | None:
    return pair if pair is not None and pair[1] >= size else None


# ---------------------------------------------------------------- on disk
def _path(adapter: str) -> Path | None:
    try:
        root = root_folder()
    except (OSError, RuntimeError):  # there is no home folder
        return None
    return None if root is None else root / "wgpu" / _FORMAT / (re.sub(r"[^A-Za-z0-9]+", "_", adapter)[:80] + ".json")


def _table(adapter: str) -> dict[str, tuple[tuple[int, ...], int]]:
    """What is known of an adapter: read from disk when it is first asked for."""
    found = _known.get(adapter)
    if found is None:
        found = _known[adapter] = {}
        path = _path(adapter)
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):  # no file, or a damaged one
            if path is not None:
                found |= {name: (tuple(tile), parts) for name, (tile, parts) in json.loads(path.read_text()).items()}
    return found


def _write(adapter: str) -> None:
    path = _path(adapter)
    if path is None:
        return
    with contextlib.suppress(OSError):  # the next process measures again
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(_known[adapter], indent=0))
        temporary.replace(path)
