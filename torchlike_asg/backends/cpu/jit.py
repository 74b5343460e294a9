"""From LLVM IR to callable addresses: optimise, emit an object, load it. Loaded code stays for the life of the process."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from . import isa

#: libraries and their compilers, never freed: a thread may still be inside their code
_immortal: list[Any] = []


@functools.cache
def target_machine() -> Any:
    """LLVM's description of the host, for optimising and emitting code."""
    import llvmlite.binding as llvm

    host = isa.host()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=host.cpu, features=host.features, opt=2, reloc="pic", codemodel="small")


def compile_object(text: str) -> bytes:
    """The relocatable object of a module's text. Raises RuntimeError with LLVM's message for text that is not valid IR."""
    import llvmlite.binding as llvm

    machine = target_machine()
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # vectors are explicit and loops are shaped by the generators: the expensive passes would find nothing
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = options.loop_interleaving = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def load_objects(objects: Iterable[bytes], symbols: Iterable[str]) -> dict[str, int]:
    """Link objects into the process; the addresses of the symbols."""
    import llvmlite.binding as llvm

    library = llvm.JITLibraryBuilder()
    for data in objects:
        library.add_object_img(data)
    library.add_current_process()
    names = list(symbols)
    for name in names:
        library.export_symbol(name)
    compiler = llvm.create_lljit_compiler()
    tracker = library.link(compiler, f"torchlike_{len(_immortal)}")
    _immortal.append((compiler, tracker))
    return {name: tracker[name] for name in names}
