"""The GPUs of this machine as wgpu lists them: the order they are preferred in, and the choice among them."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

INSTALL = (
    "wgpu finds no GPU that it can compute on. It needs the package wgpu (pip install wgpu) and a driver with Vulkan, Metal or "
    "Direct3D 12; without a GPU, a software adapter serves for trying things out: install Mesa's (on Debian and Ubuntu: apt-get "
    "install mesa-vulkan-drivers libvulkan1) and set TORCHLIKE_ASG_ADAPTER=cpu"
)
#: strongest kind first; an adapter of OpenGL has less than the one of Vulkan for the same card
_KINDS = ("DiscreteGPU", "IntegratedGPU", "Unknown", "CPU")
_DRIVERS = ("Metal", "Vulkan", "D3D12")


@dataclass(frozen=True)
class Adapter:
    """A device that wgpu can compute on.

    ``name`` as the driver gives it;  ``kind`` DiscreteGPU, IntegratedGPU, Unknown or CPU (a software adapter);  ``driver`` Vulkan, Metal,
    D3D12
    """

    index: int
    name: str
    kind: str
    driver: str
    description: str
    raw: Any

    @property
    def software(self) -> bool:
        return self.kind == "CPU"

    def __repr__(self) -> str:
        return f"Adapter({self.index}, {self.name!r}, {self.kind}, {self.driver})"


@contextlib.contextmanager
def _runtime_folder() -> Iterator[None]:
    """Mesa prints lines about a missing XDG_RUNTIME_DIR while it is asked for adapters, as on servers; it needs no such folder."""
    name = "XDG_RUNTIME_DIR"
    if name in os.environ or sys.platform != "linux":
        yield
        return
    os.environ[name] = tempfile.gettempdir()
    try:
        yield
    finally:
        del os.environ[name]


@functools.cache
def _all() -> tuple[Adapter, ...]:
    import wgpu

    found = []
    with _runtime_folder():
        listed = wgpu.gpu.enumerate_adapters_sync()
    for a in listed:
        info = a.info
        driver = info["backend_type"]
        if driver in _DRIVERS:
            found.append((info["adapter_type"], driver, info["device"], info["description"], a))
    found.sort(key=lambda f: (_KINDS.index(f[0]) if f[0] in _KINDS else len(_KINDS), _DRIVERS.index(f[1])))
    return tuple([Adapter(i, name, kind, driver, text, a) for i, (kind, driver, name, text, a) in enumerate(found)])


def adapters() -> list[Adapter]:
    """All adapters, strongest first; ``wgpu:1`` is the second of those that `usable` gives. Empty where there is none, or no wgpu."""
    try:
        return list(_all())
    except Exception:  # no library of wgpu for this machine, or a driver that fails: then there are no adapters
        return []


def usable() -> list[Adapter]:
    """The adapters that device indices count: GPUs; with ``TORCHLIKE_ASG_ADAPTER=cpu`` the software adapters, with another text or number
    there the adapters whose name contains it, or that one of `adapters`.
    """
    wanted = os.environ.get("TORCHLIKE_ASG_ADAPTER", "").strip().lower()
    found = adapters()
    if not wanted:
        return [a for a in found if not a.software]
    if wanted == "cpu":
        return [a for a in found if a.software]
    if wanted.isdigit():
        return [a for a in found if a.index == int(wanted)]
    return [a for a in found if wanted in a.name.lower()]


def is_available() -> bool:
    """Whether tensors can be put on a GPU. Never raises."""
    return bool(usable())


def choose(which: int | str | None = None) -> Adapter:
    """The adapter of device ``wgpu:which``, or the first one whose name contains a text; by default the strongest.

    RuntimeError if there is none, saying what to install or what there is.
    """
    found = usable()
    if isinstance(which, str):
        chosen = [a for a in adapters() if which.lower() in a.name.lower()]
    else:
        chosen = found[which or 0 :]
    if chosen:
        return chosen[0]
    wanted = os.environ.get("TORCHLIKE_ASG_ADAPTER")
    if not found and not wanted:
        raise RuntimeError(INSTALL)
    text = ", ".join(map(repr, adapters())) or f"no adapter at all. {INSTALL}"
    asked = f"wgpu:{which}" if isinstance(which, int) else repr(which) if which else "adapter"
    raise RuntimeError(f"no {asked}" + (f" with TORCHLIKE_ASG_ADAPTER={wanted}" if wanted else "") + f"; there is: {text}")
