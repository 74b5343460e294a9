"""From LLVM IR to callable addresses: optimise, emit an object, load it. Loaded code stays for the life of the process."""

from __future__ import annotations

import ctypes
import functools
import itertools
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from . import isa

#: what the generators' code needs of LLVM: its vectors are explicit and its loops have their shape already. The standard pipeline makes the
#: same code in twice the time; without the rotation of loops, attention is 5 % slower
PASSES = ("always_inliner", "sroa", "simplify_cfg", "instruction_combine", "loop_rotate", "simplify_cfg")
#: what loop nests need, which are most of what is compiled: the others took a fifth of the time, and their loops are no faster
PLAIN = PASSES[:2]
#: effort in choosing instructions and registers: level 2 takes longer and gives nothing measurable
EFFORT = 1
#: LLVM's step that makes running pointers of a loop's addresses is a quarter to a third of the time to compile, and the code is no faster
_ADDRESSES = "-disable-lsr"
#: ELF: what a 64-bit little-endian file begins with, and the flags of a section
_ELF, _WRITE, _ALLOC, _EXECUTE = b"\x7fELF\x02\x01", 1, 2, 4
_names = itertools.count()


@functools.cache
def target_machine() -> Any:
    """LLVM's description of the host, for optimising and emitting code."""
    import llvmlite.binding as llvm

    host = isa.host()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=EFFORT, reloc="pic", codemodel="small")


def compile_object(*texts: str, plain: Sequence[str] = ()) -> bytes:
    """The relocatable object of one or more modules' texts; equal names of internal functions and tables do not clash. `plain`: those
    for which the passes of `PLAIN` are enough.

    Compiling many modules at once takes about a third less time than one by one. Raises RuntimeError with LLVM's message for text that is
    not valid IR.
    """
    import llvmlite.binding as llvm

    machine = target_machine()
    module = _linked([_optimised(group, names) for group, names in ((texts, PASSES), (plain, PLAIN)) if group])
    llvm.set_option("", f"{_ADDRESSES}=true")  # of the whole process: others that use LLVM get it as it was
    try:
        return _in_one_segment(machine.emit_object(module))
    finally:
        llvm.set_option("", f"{_ADDRESSES}=false")


def _optimised(texts: Sequence[str], names: Sequence[str]) -> Any:
    """A module of several texts, after those passes."""
    import llvmlite.binding as llvm

    machine = target_machine()
    module = _linked([llvm.parse_assembly(text) for text in texts])
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    passes = llvm.create_new_module_pass_manager()
    for name in names:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


def _linked(modules: list[Any]) -> Any:
    """The first of some modules, with the others in it."""
    module, *others = modules
    for other in others:
        module.link_in(other)
    return module


def _in_one_segment(data: bytes) -> bytes:
    """An ELF object whose constants will lie in the same pages as its code; other formats as they are.

    Linux merges neighbouring mappings of equal protection: code that is loaded object by object then adds no mapping, of which a process
    may have 65530, where code and constants apart would add two for each object. It also takes fewer pages. (Code that calls the C
    library keeps a table of addresses apart.)
    """
    if not data.startswith(_ELF):
        return data
    out = bytearray(data)
    (table,) = struct.unpack_from("<Q", data, 0x28)  # the section headers: where, the size of one, how many
    size, count = struct.unpack_from("<HH", data, 0x3A)
    for at in range(table, table + size * count, size):
        (flags,) = struct.unpack_from("<Q", data, at + 8)
        if flags & (_ALLOC | _WRITE) == _ALLOC:
            struct.pack_into("<Q", out, at + 8, flags | _EXECUTE)
    return bytes(out)


@functools.cache
def _linker() -> Any:
    """The process's linker of objects. It and all that it loads are never freed, not even when the interpreter ends: a thread may still be
    in that code.

    JITLink gives an object one piece of memory. LLVM's older linker asks for each section apart; where the address space is crowded they
    may lie more than 2 GiB from each other, which the small code model cannot bridge, and the process aborts. JITLink is not complete for
    Windows.
    """
    import llvmlite.binding as llvm

    isa.host()
    return immortal(llvm.create_lljit_compiler(use_jit_link=sys.platform != "win32"))


def immortal(x: Any) -> Any:
    """`x`, with a reference that is never dropped."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(x))
    return x


def load_objects(objects: Iterable[bytes], symbols: Iterable[str]) -> dict[str, int]:
    """Link objects into the process; the addresses of the symbols. Raises RuntimeError if one is not an object or lacks a symbol.

    Takes about 0.1 ms per object, and 1 ms more the first time.
    """
    import llvmlite.binding as llvm

    library = llvm.JITLibraryBuilder()
    for data in objects:
        library.add_object_img(data)
    library.add_current_process()
    names = list(symbols)
    for name in names:
        library.export_symbol(name)
    tracker = immortal(library.link(_linker(), f"torchlike_{next(_names)}"))
    return {name: tracker[name] for name in names}
