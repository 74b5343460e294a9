"""The runtime's native code for machines other than the one at hand."""

import platform

import pytest

from torchlike_asg.backends.cpu import binder, cache, native

SOURCES = [native.RUN, native.WORK, native.HOLD, native.IDLE, binder.BIND]


@pytest.mark.parametrize(
    ("machine", "triple", "pause"),
    [
        ("aarch64", "aarch64-unknown-linux-gnu", "isb"),
        ("arm64", "aarch64-apple-darwin", "isb"),
        ("AMD64", "x86_64-pc-windows-msvc", "pause"),
        ("riscv64", "riscv64-unknown-linux-gnu", ""),
    ],
)
def test_it_is_valid_for_other_machines(machine, triple, pause, monkeypatch):
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError:
        pytest.skip(f"this LLVM has no {triple}")
    features = "+m,+a,+d" if machine == "riscv64" else ""
    chip = target.create_target_machine(features=features, opt=1, reloc="pic")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for source in SOURCES:
        module = llvm.parse_assembly(cache._text(source.symbol, source))
        module.triple, module.data_layout = chip.triple, str(chip.target_data)
        assembly = chip.emit_assembly(module)
        assert source.symbol in assembly
        if source is native.IDLE:
            assert pause in assembly
