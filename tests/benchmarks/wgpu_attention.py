"""Attention of the GPU backend: microseconds of each kernel, forward and backward, by block.

    python tests/benchmarks/wgpu_attention.py                              # gpt2_small's: batch 8, 12 heads, 512 tokens, 64 wide
    python tests/benchmarks/wgpu_attention.py 4,6,256,64 --blocks 32,64,8 64,32,8
    python tests/benchmarks/wgpu_attention.py --any                        # without the causal mask

A block is rows, columns, and vec4s of a row in shared memory at a time (attention/block.py). The last line is the way with scores in
memory. Results are compared with NumPy's for one head.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu.attention import block, composite, flash
from torchlike_asg.backends.wgpu.attention.problem import problem
from torchlike_asg.backends.wgpu.calls import Lowering, View
from torchlike_asg.backends.wgpu.device import open_device
from torchlike_asg.backends.wgpu.timing import Prepared

#: seconds of work before each measurement: a GPU that was idle has its speed after so long
WARM = 0.5


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


class Bench:
    """Operands as a transformer has them: queries, keys and values side by side for each token."""

    def __init__(self, batch: int, heads: int, tokens: int, width: int, causal: bool) -> None:
        self.device, self.causal, self.scale = open_device(), causal, width**-0.5
        self.tokens, self.heads, self.width = tokens, heads, width
        rng = np.random.default_rng(0)
        self.qkv = rng.standard_normal((batch, tokens, 3, heads, width), dtype=np.float32)
        self.g = rng.standard_normal((batch, tokens, heads, width), dtype=np.float32)
        row = 3 * heads * width
        dense = View(1, (batch, heads, tokens, width), (tokens * heads * width, width, heads * width, 1), 0, dtypes.float32)
        wide = replace(dense, slot=0, strides=(tokens * row, width, row, 1))
        self.views = {name: replace(wide, offset=i * heads * width) for i, name in enumerate("qkv")}
        self.views |= {name: replace(dense, slot=i) for i, name in enumerate(("g", "o", "dq", "dk", "dv"), 1)}
        self.buffers = {0: (self.device.buffer(self.qkv.nbytes), self.qkv.nbytes)}
        self.buffers |= {i: (self.device.buffer(self.g.nbytes), self.g.nbytes) for i in range(1, 6)}
        for i, a in enumerate((self.qkv, self.g)):
            self.device.queue.write_buffer(self.buffers[i][0], 0, a)

    def lowered(self, kept: bool) -> tuple[Lowering, int]:
        """All kernels, and how many of them are the forward pass."""
        low, forward = Lowering(6, self.device.caps), {name: self.views[name] for name in "qkvo"}
        if kept:
            composite.forward(low, self._problem(forward))
        else:
            forward["lse"] = flash.statistics(low, self.views["o"])
            flash.forward(low, self._problem(forward))
        first = len(low.calls)
        (composite if kept else flash).backward(low, self._problem(self.views if kept else self.views | forward))
        return low, first

    def _problem(self, views):
        return problem(views, self.causal, self.scale)

    def report(self, name: str, kept: bool = False) -> None:
        low, first = self.lowered(kept)
        buffers = self.buffers | {slot: (self.device.buffer(n), n) for slot, n in low.temporaries.items()}
        whole = Prepared(self.device, low.calls, buffers)
        start = time.perf_counter()
        while time.perf_counter() < start + WARM:
            whole.run()
        parts = [Prepared(self.device, calls, buffers).seconds(3) * 1e6 for calls in (low.calls[:first], low.calls[first:])]
        each = [f"{c.label} {Prepared(self.device, [c], buffers).seconds() * 1e6:.0f}" for c in low.calls]
        whole.run()
        print(f"{name}: forward {parts[0]:.0f} us, backward {parts[1]:.0f}; error {self.error():.0e}; {', '.join(each)}", flush=True)

    def error(self) -> float:
        """The largest difference from NumPy's numbers for the first head, relative to the largest of them."""
        q, k, v = (self.qkv[0, :, i, 0].astype(np.float64) for i in range(3))
        g = self.g[0, :, 0].astype(np.float64)
        s = q @ k.T * self.scale
        if self.causal:
            s[np.triu_indices(self.tokens, 1)] = -np.inf
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        d = g @ v.T
        slopes = p * (d - (d * p).sum(1, keepdims=True)) * self.scale
        found = 0.0
        for slot, want in ((2, p @ v), (3, slopes @ k), (4, slopes.T @ q), (5, p.T @ g)):
            raw = self.device.queue.read_buffer(self.buffers[slot][0], 0, 4 * self.tokens * self.heads * self.width)
            got = np.frombuffer(raw, np.float32).reshape(self.tokens, self.heads, self.width)[:, 0]
            found = max(found, float(np.abs(got - want).max() / np.abs(want).max()))
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", nargs="?", default="8,12,512,64", help="batch, heads, tokens, width")
    parser.add_argument("--blocks", nargs="*", type=numbers, default=block.BLOCKS)
    parser.add_argument("--any", action="store_true", help="every query sees every key")
    args = parser.parse_args()
    bench = Bench(*numbers(args.shape), not args.any)
    print(bench.device.caps.name)
    for chosen in args.blocks:
        block.BLOCKS = (chosen, chosen)
        if block.form_of(bench.device.caps, bench._problem({n: bench.views[n] for n in "qkvo"})) is None:
            print(f"{chosen}: does not fit")
            continue
        bench.report(str(chosen))
    bench.report("scores in memory", kept=True)


if __name__ == "__main__":
    main()
