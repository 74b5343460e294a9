"""The draws compiled with llvmlite: when that pays, and how the compiled functions are called.

Compiling costs a tenth of a second, once a process; the NumPy paths cost nothing to start and more per value. Every draw tells
:func:`kernels` what it would cost in NumPy, and the kernels are built when the process has spent on NumPy what building costs
(the ski-rental rule: never more than twice the best choice in hindsight). Both ways give the same bits, so the moment is invisible.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["address", "kernels", "libm_address", "use"]

BUILD_NANOSECONDS = 100_000_000.0  # emitting, compiling and (usually) importing llvmlite
CALL_NANOSECONDS = 15_000.0  # what NumPy's dispatch costs a draw of whatever size

_POINTER, _INT, _DOUBLE, _FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double, ctypes.c_float

_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "words": (_POINTER, _POINTER, _INT),
    "uniform32": (_POINTER, _POINTER, _INT, _FLOAT, _FLOAT, _FLOAT),
    "uniform64": (_POINTER, _POINTER, _INT, _DOUBLE, _DOUBLE, _DOUBLE),
    "normal32": (_POINTER, _POINTER, _INT, _INT, _FLOAT, _FLOAT),
    "bernoulli": (_POINTER, _POINTER, _INT, _INT),
    "modulo32": (_POINTER, _POINTER, _INT, _INT, _INT),
    "modulo64": (_POINTER, _POINTER, _INT, ctypes.c_uint64, _INT),
    "permutation": (_POINTER, _POINTER, _INT),
    "inside_out": (_POINTER, _POINTER, _INT),
    "polar_pairs": (_POINTER, _INT),
    "polar_blocks": (_POINTER, _INT, _DOUBLE, _DOUBLE),
    "affine": (_POINTER, _INT, _DOUBLE, _DOUBLE),
    "exponential": (_POINTER, _INT, _DOUBLE),
    "geometric": (_POINTER, _INT, _DOUBLE),
    "exp": (_POINTER, _INT),
    "cauchy": (_POINTER, _INT, _DOUBLE, _DOUBLE),
}


def address(values: np.ndarray[Any, Any]) -> int:
    """Where the elements of a writable, contiguous array begin; it has at least one. (Three times as fast as `values.ctypes.data`.)"""
    return ctypes.addressof(ctypes.c_char.from_buffer(values))


_built: SimpleNamespace | None = None
_possible = sys.byteorder == "little"
_wanted: bool | None = None
_spent = 0.0
_building = threading.RLock()
if hasattr(os, "register_at_fork"):  # LLVM has locks of its own: no fork while another thread compiles
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def kernels(nanoseconds: float) -> SimpleNamespace | None:
    """The compiled functions as attributes, or None: take NumPy's path, which for this draw takes about that long beside its fixed cost."""
    global _spent
    if _wanted is not None:
        return _build() if _wanted else None
    if _built is not None or not _possible:
        return _built
    _spent += nanoseconds + CALL_NANOSECONDS
    return _build() if _spent >= BUILD_NANOSECONDS else None


def use(native: bool | None) -> bool | None:
    """Always (True) or never (False) take the compiled path, or (None, the default) when it pays. Returns the setting before."""
    global _wanted
    before, _wanted = _wanted, native
    return before


def _build() -> SimpleNamespace | None:
    global _built, _possible
    with _building:
        if _built is None and _possible:
            try:
                _built = _compile()
            except ImportError:
                _possible = False
            except (RuntimeError, OSError) as error:  # LLVM refuses, or the C library is not where it is looked for
                _possible = False
                warnings.warn(f"random draws are not compiled on this machine, NumPy makes them: {error}", RuntimeWarning, stacklevel=3)
    return _built


def _compile() -> SimpleNamespace:
    """The functions of _SIGNATURES, callable; they let go of the interpreter lock while they run."""
    import llvmlite.binding as llvm
    from llvmlite import ir

    from . import doubles, integers, mersenne, normal, uniform

    module = ir.Module("random")
    words = mersenne.emit_words(module)
    for emit in (
        uniform.emit_uniform32,
        uniform.emit_uniform64,
        uniform.emit_bernoulli,
        integers.emit_modulo32,
        integers.emit_modulo64,
        integers.emit_permutation,
        integers.emit_inside_out,
        normal.emit_normal32,
    ):
        emit(module, words)
    doubles.emit_doubles(module)

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )
    compiler = llvm.create_lljit_compiler(machine)
    library = llvm.JITLibraryBuilder().add_ir(str(module)).add_current_process()
    for name, inside in doubles.LIBM.items():
        library = library.import_symbol(inside, libm_address(name))
    for name in _SIGNATURES:
        library = library.export_symbol(name)
    linked = library.link(compiler, "random")
    functions = {name: ctypes.CFUNCTYPE(None, *signature)(linked[name]) for name, signature in _SIGNATURES.items()}
    return SimpleNamespace(**functions, library=(compiler, linked))  # the code lives as long as its library


def libm_address(name: str) -> int:
    """Where the C library has a function."""
    library = ctypes.CDLL("ucrtbase") if sys.platform == "win32" else ctypes.CDLL(None)
    found = getattr(library, name, None) or getattr(ctypes.CDLL("libm.so.6"), name)
    address = ctypes.cast(found, ctypes.c_void_p).value
    if address is None:
        raise OSError(f"the C library has no {name}")
    return address
