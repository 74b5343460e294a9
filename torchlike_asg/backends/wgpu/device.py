"""A device: its queue, what it can do, and the shaders compiled for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import DeviceLostError
from . import half, trials
from .adapter import Adapter, choose
from .calls import Capabilities, Dispatch, Source
from .checks import Flags
from .memory import Pool
from .native import native_encoder
from .readback import MAPPABLE, Reader
from .workspace import Workspace

#: features that are asked for where the adapter has them; nothing needs them
FEATURES = (
    "shader-f16", "subgroup", "subgroup-barrier", "timestamp-query", "shader-float32-atomic", "shader-int64", MAPPABLE,
)  # fmt: skip
LIMITS = (
    "max-buffer-size", "max-storage-buffer-binding-size", "max-storage-buffers-per-shader-stage", "max-compute-workgroup-storage-size",
    "max-compute-invocations-per-workgroup", "max-compute-workgroup-size-x", "max-compute-workgroup-size-y", "max-bindings-per-bind-group",
)  # fmt: skip


class Device:
    """An open adapter. Made by `open_device`, one for each adapter and process."""

    def __init__(self, adapter: Adapter, gpu: Any, trusted: Callable[[Any, str], Any] | None = None) -> None:
        """`gpu` is wgpu's device; ``trusted(gpu, text)`` makes a shader module without checks of bounds, if the driver can."""
        import wgpu

        self.adapter, self.gpu, self.queue = adapter, gpu, gpu.queue
        self.wgpu, self._trusted = wgpu, trusted
        self.caps = Capabilities(adapter.name, frozenset(gpu.features), dict(gpu.limits), software=adapter.software)
        self._layouts: dict[tuple[int, bool], tuple[Any, Any]] = {}
        self._pipelines: dict[tuple[str, int, bool], Any] = {}
        self._lock = threading.Lock()
        #: held while the queue, the buffers for reading or the pool are in use: plans and reads may come from several threads
        self.lock = threading.RLock()
        self.pool = Pool(self)
        self.workspace = Workspace(self)
        self.reader = Reader(self)
        self.flags = Flags(self)
        self.encoder = native_encoder(gpu, gpu.queue)
        self._sync: Any = None
        self.caps = replace(self.caps, subgroup=trials.subgroup_size(self))
        half.opened(trials.rounds_to_even(self))

    def layout(self, operands: int, words: bool) -> tuple[Any, Any]:
        """(bind group layout, pipeline layout) of a dispatch with that many operands, and with words or not."""
        key = (operands, words)
        found = self._layouts.get(key)
        if found is None:
            visible = self.wgpu.ShaderStage.COMPUTE
            entries: list[dict[str, Any]] = [{"binding": k, "visibility": visible, "buffer": {"type": "storage"}} for k in range(operands)]
            if words:
                entries.append({"binding": operands, "visibility": visible, "buffer": {"type": "uniform"}})
            group = self.gpu.create_bind_group_layout(entries=entries)
            found = self._layouts[key] = group, self.gpu.create_pipeline_layout(bind_group_layouts=[group])
        return found

    def pipeline(self, source: Source, operands: int, words: bool) -> Any:
        """The compiled shader. RuntimeError with the text if the driver does not take it."""
        key = (source.symbol, operands, words)
        with self._lock:
            found = self._pipelines.get(key)
            if found is None:
                found = self._pipelines[key] = self._compile(source, self.layout(operands, words)[1])
            return found

    def _compile(self, source: Source, layout: Any) -> Any:
        text = source.text
        try:
            module = None
            if source.trusted and self._trusted is not None:
                module = self._trusted(self.gpu, text)
            if module is None:
                module = self.gpu.create_shader_module(code=text)
            return self.gpu.create_compute_pipeline(layout=layout, compute={"module": module, "entry_point": "main"})
        except Exception as e:
            raise RuntimeError(f"{self.adapter.name} does not take the shader {source.symbol}: {e}\n{_numbered(text)}") from e

    def buffer(self, nbytes: int, *, uniform: bool = False, readable: bool = False, shared: bool = False) -> Any:
        """A buffer that shaders bind (`uniform`: as words; `readable`: that the host maps for reading instead; `shared`: both)."""
        usage = self.wgpu.BufferUsage
        if readable:
            flags = usage.MAP_READ | usage.COPY_DST
        else:
            flags = (usage.UNIFORM if uniform else usage.STORAGE) | usage.COPY_SRC | usage.COPY_DST
            if shared:
                flags |= usage.MAP_READ
        return self.gpu.create_buffer(size=max(-(-nbytes // 16) * 16, 16), usage=flags)

    def read(self, buffer: Any, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        """Bytes of a buffer from `offset` (a multiple of 4) on, when all that was ordered so far is done: a new array of bytes."""
        if nbytes == 0:
            return np.empty(0, np.uint8)
        with self.lock:
            return self.reader.read(buffer, nbytes, offset)

    def write(self, buffer: Any, offset: int, content: np.ndarray[Any, Any]) -> None:
        """Write bytes, a multiple of 4, before all that is submitted next."""
        if self.encoder is None:
            self.queue.write_buffer(buffer, offset, content)
        else:
            self.encoder.write(buffer, offset, content)

    def copy(self, source: Any, target: Any, nbytes: int) -> None:
        """Copy the first bytes of a buffer to another."""
        with self.lock:
            encoder = self.gpu.create_command_encoder()
            encoder.copy_buffer_to_buffer(source, 0, target, 0, -(-nbytes // 4) * 4)
            self.queue.submit([encoder.finish()])

    def synchronize(self) -> None:
        """Wait until all that was ordered is done."""
        if self._sync is None:
            self._sync = self.buffer(16)
        self.read(self._sync, 16)

    def bind_group(self, call: Dispatch, buffers: list[tuple[Any, int, int]], words: tuple[Any, int, int] | None) -> Any:
        """A dispatch's operands, as (buffer, byte offset, bytes) each, and its words."""
        entries = [
            {"binding": k, "resource": {"buffer": b, "offset": at, "size": size}}
            for k, (b, at, size) in enumerate([*buffers, words] if words is not None else buffers)
        ]
        return self.gpu.create_bind_group(layout=self.layout(len(buffers), words is not None)[0], entries=entries)


def _numbered(text: str) -> str:
    return "\n".join(f"{i:4} {line}" for i, line in enumerate(text.splitlines(), 1))


_open: dict[int, Device] = {}
_opening = threading.Lock()


def open_device(which: int | str | None = None) -> Device:
    """The device of an adapter (see `adapters.choose`), opened when it is first asked for."""
    adapter = choose(which)
    with _opening:
        found = _open.get(adapter.index)
        if found is None:
            found = _open[adapter.index] = connect(adapter)
        return found


def explained(device: Device, error: Exception, what: str) -> Exception:
    """The error to raise for one of wgpu's: DeviceLostError if the device is gone. Then it is forgotten, with all plans made for it, so
    that the next use opens the adapter anew.
    """
    text = str(error)
    if isinstance(error, DeviceLostError) or not ("device is lost" in text or "device was lost" in text):
        return error
    from ...compiler import plan

    with _opening:
        if _open.get(device.adapter.index) is device:
            del _open[device.adapter.index]
            plan.clear()
    return DeviceLostError(
        f"{device.adapter.name} was lost, and with it {what}. What is on the host is not affected; the device is opened anew at its next "
        "use, and parameters that were only there have to be loaded again"
    )


def device_with(caps: Capabilities) -> Device | None:
    """The open device that has these capabilities: the very object."""
    return next((d for d in _open.values() if d.caps is caps), None)


def opened(index: int) -> Device | None:
    """The device of ``wgpu:index``, if somebody has used it."""
    return _open.get(choose(index).index)


@contextlib.contextmanager
def _untold(feature: str) -> Iterator[None]:
    """What wgpu says against a feature is not logged: that buffers which use it are slow. Here they have a few hundred bytes."""
    said = feature.upper().replace("-", "_")

    def unsaid(record: logging.LogRecord) -> bool:
        return said not in record.getMessage()

    logger = logging.getLogger("wgpu")
    logger.addFilter(unsaid)
    try:
        yield
    finally:
        logger.removeFilter(unsaid)


def connect(adapter: Adapter) -> Device:
    """Open an adapter with all of `FEATURES` and `LIMITS` that it has. (The default limits are those of the weakest GPU.)"""
    from .native import trusted_module

    raw = adapter.raw
    with _untold(MAPPABLE):
        gpu = raw.request_device_sync(
            required_features=[f for f in FEATURES if f in raw.features],
            required_limits={name: raw.limits[name] for name in LIMITS if name in raw.limits},
        )
    return Device(adapter, gpu, trusted_module)
