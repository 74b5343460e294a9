"""A plan in words: its dispatches, what was fused into each, memory, and the shaders."""

from __future__ import annotations

from ..assemble import Fallback
from .assemble import WgpuAssembly
from .calls import Dispatch


def describe(a: WgpuAssembly, page_bytes: int) -> str:
    """The text of ``asg.explain(..., kernels=True)``: the steps, then the WGSL of every kernel."""
    calls = [s for s in a.steps if isinstance(s, Dispatch)]
    sources = {c.source.symbol: c.source for c in calls}
    lines = [f"{len(a.b.order)} operations in {len(a.steps)} steps, {len(sources)} shaders, {page_bytes} bytes of working memory"]
    shown = None
    for number, (step, origin) in enumerate(zip(a.steps, a.origins, strict=True)):
        if isinstance(step, Fallback):
            lines.append(f"{number:4} numpy {step.node.op.name} on the host")
        else:
            x, y, z = step.grid
            lines.append(f"{number:4} {step.source.symbol}: {step.label}, {x} x {y} x {z} workgroups")
        if origin is not shown:
            shown = origin
            lines.append("       = " + ", ".join(dict.fromkeys(f"{n.op.name}{list(n.shape)}" for n in origin.nodes)))
    for n in a.uncovered:
        lines.append(f"no kernel for {n.op.name} of {n.dtype.short}{list(n.shape)}, recorded at {n.site[1]}:{n.site[2]}: NumPy computes it")
    lines += [f"\n// {s.symbol}\n{s.text}" for s in sources.values()]
    return "\n".join(lines)
