"""What a backend is: where memory lives, how a kernel becomes a program, and how a schedule becomes something that runs.

The compiler knows only these protocols. A backend sees kernels and formulas, never operations' gradients or users' tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Container, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..asg.node import Node
from ..dtypes import dtype


class Misfit(Exception):
    """An argument lies otherwise in memory than a program was made for, and cannot be copied into that layout: it needs another program."""


@dataclass(frozen=True)
class Caps:
    """What a backend can store and compute. `dtypes` are the element types it takes; `alignment` is in bytes."""

    dtypes: frozenset[dtype]
    alignment: int = 64


@dataclass(frozen=True)
class Spec:
    """Shape and type of one operand or result."""

    shape: tuple[int, ...]
    dtype: dtype


@dataclass(frozen=True)
class Kernel:
    """One computation: an operation's name and attributes, or a fused body, on operands of given specs."""

    op: str
    attrs: tuple[Hashable, ...]
    operands: tuple[Spec, ...]
    result: Spec
    #: the NumPy reference: what the kernel must compute, and how the reference backend computes it
    reference: Callable[..., Any] = field(compare=False, repr=False)
    #: a NumPy ufunc that computes it in one call and can write into a given array, if there is one
    ufunc: Any = field(default=None, compare=False, repr=False)


@dataclass
class Step:
    """One kernel launch: value slots it reads and writes, and the slots whose values nobody reads afterwards."""

    kernel: Kernel
    reads: tuple[int, ...]
    writes: int
    frees: tuple[int, ...] = ()
    #: offset in the transient page of a preplanned result; None where the result goes out or the backend chooses
    page: int | None = None
    #: the serial of the recorded node that it computes, or -1
    origin: int = -1


@dataclass
class Schedule:
    """A linear program over numbered value slots. Slots 0..inputs-1 are the arguments of `run`; constants are given with their values."""

    inputs: int
    slots: int
    steps: list[Step]
    outputs: tuple[int, ...]
    constants: dict[int, np.ndarray[Any, Any]]
    #: bytes of the transient page that the steps' offsets refer to
    page_size: int = 0


class Buffer(Protocol):
    """A piece of a backend's memory."""

    @property
    def nbytes(self) -> int: ...


class Program(Protocol):
    """A compiled kernel."""

    @property
    def name(self) -> str: ...


class Executable(Protocol):
    """A linked schedule. `run` allocates nothing and computes no keys; results are read through `outputs()` and are the caller's.

    With a true class attribute ``donates``, `run` is also called with ``donated``, pairs (position among the outputs, index of input): the
    output may be written into that input's memory, if it has the same shape and type and nobody else refers to it. The tuple is the same
    object in every run. An input that owns its memory and belongs to a storage alone has two references, the storage's and the list's.
    """

    #: how many steps it has
    size: int

    def run(self, inputs: Sequence[Any]) -> None: ...

    def outputs(self) -> list[Any]: ...

    def describe(self, llvm: bool = False) -> str: ...


class Backend(Protocol):
    """A place to compute."""

    name: str
    caps: Caps

    def allocate(self, nbytes: int) -> Any:
        """A page of memory."""

    def upload(self, dst: Any, src: np.ndarray[Any, Any]) -> None:
        """Copy an array into a page."""

    def download(self, src: Any) -> np.ndarray[Any, Any]:
        """A page's content as an array."""

    def program(
        self,
        roots: Sequence[Node],
        known: Container[Node],
        order: Sequence[Node],
        arguments: Sequence[Node],
        strides: Sequence[tuple[int, ...]],
        donated: Sequence[tuple[int, int]],
    ) -> Executable:
        """Compile and link: an executable that computes `roots`, with everything bound that does not change from run to run.

        `order` is a topological order of what is computed, nodes in `known` left out; `arguments` are those and the leaves, whose arrays
        come with the given strides (in elements). `donated`: (place of a root, number of the argument whose storage takes its value).
        """


class HostMemory:
    """Pages in the computer's own memory: NumPy byte arrays that begin at a multiple of 64."""

    def allocate(self, nbytes: int) -> np.ndarray[Any, Any]:
        """An uninitialised page."""
        raw = np.empty(nbytes + 63, np.uint8)
        start = -raw.ctypes.data % 64
        return raw[start : start + nbytes]

    def upload(self, dst: np.ndarray[Any, Any], src: np.ndarray[Any, Any]) -> None:
        """Copy an array into a page; ValueError if it is too large."""
        data = np.ascontiguousarray(src).view(np.uint8).reshape(-1)
        if data.nbytes > dst.nbytes:
            raise ValueError(f"upload of {data.nbytes} bytes into a page of {dst.nbytes}")
        dst[: data.nbytes] = data

    def download(self, src: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A page's content as an array of its own."""
        return src.copy()


_backends: dict[str, Backend] = {}
#: subpackages that register a backend of their name
OWN = ("reference", "cpu", "wgpu")


def register(backend: Backend) -> Backend:
    """Make a backend known under its name."""
    _backends[backend.name] = backend
    return backend


def get(name: str) -> Backend:
    """The backend of that name; one of the package's own is imported when it is first asked for."""
    found = _backends.get(name)
    if found is None and name in OWN:
        importlib.import_module(f"{__package__}.{name}" + (".backend" if name == "wgpu" else ""))
        found = _backends.get(name)
    if found is None:
        raise RuntimeError(f"no backend named {name!r}; there is: {', '.join(sorted({*OWN, *_backends}))}")
    return found
