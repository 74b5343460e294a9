"""A plan in words: its steps, what was fused into each, memory, kernels, and the LLVM IR they were compiled from."""

from __future__ import annotations

from collections.abc import Iterable

from ...compiler.kernel import Apply, Const, Convert, Index, Load, LoopKernel, Random, Reduce
from ..assemble import Assembly, Fallback, Origin
from . import blocks
from .calls import Call, Source
from .emit import Module


def describe(a: Assembly, page_bytes: int, llvm: bool = False) -> str:
    """The text of ``asg.explain(..., kernels=True)``; with `llvm` also the IR of every kernel."""
    calls = [s for s in a.steps if isinstance(s, Call)]
    moved = sum(c.bytes for c in calls)
    lines = [
        f"{len(a.b.order)} operations in {len(a.steps)} steps, {len({s.symbol for s in blocks.sources(calls)})} kernels, "
        f"{_amount(page_bytes)} of working memory, {_amount(moved)} moved"
    ]
    shown: Origin | None = None
    for number, (step, origin) in enumerate(zip(a.steps, a.origins, strict=True)):
        lines.append(f"{number:4} {_step(step)}")
        if origin is not shown:
            shown = origin
            lines.append(f"       = {_names(origin)}")
            if origin.kernel is not None:
                lines += [f"         {line}" for line in kernel_text(origin.kernel)]
    for n in a.uncovered:
        lines.append(f"no kernel for {n.op.name} of {n.dtype.short}{list(n.shape)}, recorded at {n.site[1]}:{n.site[2]}: NumPy computes it")
    if llvm:
        lines += [f"\n; {s.symbol}\n{llvm_text(s)}" for s in {s.symbol: s for s in blocks.sources(calls)}.values()]
    return "\n".join(lines)


def llvm_text(source: Source) -> str:
    """The LLVM IR of a kernel, as generated."""
    module = Module()
    source.write(module, source.symbol)
    return module.text()


def _step(step: Call | Fallback) -> str:
    if isinstance(step, Fallback):
        return f"numpy {step.node.op.name}"
    parts = [step.label or str(step.source.key[0]), f"{step.units} units"]
    if step.bytes:
        parts.append(_amount(step.bytes))
    if step.flops:
        parts.append(f"{step.flops / 1e6:.3g} MFLOP")
    return f"{', '.join(parts)}   [{step.source.symbol}]"


def _names(origin: Origin) -> str:
    return " ".join(f"{n.op.name}{list(n.shape)}" for n in origin.nodes)


def _amount(nbytes: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if nbytes < 1024:
            return f"{nbytes:.3g} {unit}"
        nbytes /= 1024  # type: ignore[assignment]
    return f"{nbytes:.3g} GiB"


def kernel_text(k: LoopKernel) -> Iterable[str]:
    """A loop kernel, a line for each instruction."""
    inner = f" reduce {list(k.sizes[k.outer :])}" if k.outer < len(k.sizes) else ""
    yield f"for {list(k.sizes[: k.outer])}{inner}:"
    for v, i in enumerate(k.body):
        if isinstance(i, Load):
            text = f"load m{i.operand}{list(k.operands[i.operand].strides)}"
        elif isinstance(i, Const):
            text = repr(i.value)
        elif isinstance(i, Index):
            text = f"index {list(i.strides)} + {i.offset}"
        elif isinstance(i, Random):
            text = f"random {list(i.strides)} + {i.offset} of key m{i.key} from block m{i.block}"
        elif isinstance(i, Apply):
            text = f"{i.op}({', '.join([f'v{a}' for a in i.args] + [repr(a) for a in i.attrs])})"
        elif isinstance(i, Convert):
            text = f"convert v{i.arg}"
        else:
            assert isinstance(i, Reduce)
            text = f"{i.kind} over row of v{i.arg}"
        yield f"  v{v} {i.dtype.short} = {text}"
    for operand, v in k.stores:
        yield f"  store v{v} in m{operand}{list(k.operands[operand].strides)}"
