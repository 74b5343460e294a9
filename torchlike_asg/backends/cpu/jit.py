"""From LLVM IR to callable addresses: optimise, emit an object, load it. Loaded code stays for the life of the process."""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Iterable
from typing import Any

from . import isa

#: what the generators' code needs of LLVM: its vectors are explicit and its loops have their shape already. The standard pipeline makes the
#: same code in twice the time; without the rotation of loops, attention is 5 % slower
PASSES = ("always_inliner", "sroa", "simplify_cfg", "instruction_combine", "loop_rotate", "simplify_cfg")
#: effort in choosing instructions and registers: level 2 takes longer and gives nothing measurable
EFFORT = 1
_names = itertools.count()


@functools.cache
def target_machine() -> Any:
    """LLVM's description of the host, for optimising and emitting code."""
    import llvmlite.binding as llvm

    host = isa.host()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=EFFORT, reloc="pic", codemodel="small")


def compile_object(*texts: str) -> bytes:
    """The relocatable object of one or more modules' texts; equal names of internal functions and tables do not clash.

    Compiling many modules at once takes about a third less time than one by one. Raises RuntimeError with LLVM's message for text that is
    not valid IR.
    """
    import llvmlite.binding as llvm

    machine = target_machine()
    module, *others = [llvm.parse_assembly(text) for text in texts]
    for other in others:
        module.link_in(other)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    passes = llvm.create_new_module_pass_manager()
    for name in PASSES:
        getattr(passes, f"add_{name}_pass")()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return bytes(machine.emit_object(module))


@functools.cache
def _linker() -> Any:
    """The process's linker of objects. It and all that it loads are never freed, not even when the interpreter ends: a thread may still be
    in that code."""
    import llvmlite.binding as llvm

    isa.host()
    return immortal(llvm.create_lljit_compiler())


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
