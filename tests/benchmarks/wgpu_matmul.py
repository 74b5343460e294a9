"""Matrix products of the GPU backend: TFLOP/s by shape, tile and number of parts, beside what the package's own plan reaches.

    python tests/benchmarks/wgpu_matmul.py                     # the usual shapes, every tile
    python tests/benchmarks/wgpu_matmul.py --shapes 1024x1024x1024 64x128x784 --layouts nt --parts 1 2 4 8
    python tests/benchmarks/wgpu_matmul.py --plan              # only what the package chooses
    python tests/benchmarks/wgpu_matmul.py --plan --torch --shapes 1024x1024x1024 8192x8192x8192    # in turns with PyTorch on CUDA

A shape is ROWSxCOLUMNSxK, with COUNTx in front for a batch. Layouts: n (row-major) or t (transposed) for each operand. Times are
differences between submits of many executions and of one, minima over rounds. With TORCHLIKE_ASG_TUNE=off the package chooses by its model.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.backends.products import Product
from torchlike_asg.backends.wgpu.calls import Lowering, View
from torchlike_asg.backends.wgpu.device import Device, open_device
from torchlike_asg.backends.wgpu.gemm import lowering as gemm
from torchlike_asg.backends.wgpu.gemm import tiles
from torchlike_asg.backends.wgpu.gemm.tiles import CANDIDATES, Tile
from torchlike_asg.backends.wgpu.timing import Prepared

SHAPES = (
    "8192x8192x8192", "4096x4096x4096", "2048x2048x2048", "1024x1024x1024", "512x512x512", "256x256x256",
    "4096x2304x768", "4096x768x768", "4096x3072x768", "4096x768x3072", "4096x50257x768", "768x3072x4096",
    "1024x1152x384", "1024x384x384", "1024x1536x384", "1024x384x1536", "384x1536x1024", "1024x65x384", "700x10000x200",
    "64x128x784", "128x784x64", "128x400x784", "784x400x128", "20x800x200", "200x10000x700", "16x64x32768", "1x512x128", "1x4096x4096",
    "96x512x512x64",
)  # fmt: skip


def product(shape: str, layout: str) -> tuple[Product, list[int]]:
    """The product, and the number of elements of a, b and c."""
    *count, m, n, k = map(int, shape.split("x"))
    number = count[0] if count else 1
    f = dtypes.float32
    a, b, c = (View(i, (number, *s), (s[0] * s[1], s[1], 1), 0, f) for i, s in enumerate(((m, k), (k, n), (m, n))))
    batch = ((number, m * k, k * n, m * n, 0),) if number > 1 else ()
    steps_a, steps_b = (k, 1) if layout[0] == "n" else (1, m), (n, 1) if layout[1] == "n" else (1, k)
    return Product(a, b, c, None, m, n, k, *steps_a, *steps_b, n, 1, 0, 0, batch), [number * m * k, number * k * n, number * m * n]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    parser.add_argument("--layouts", nargs="*", default=["nn"], choices=["nn", "nt", "tn", "tt"])
    parser.add_argument("--parts", nargs="*", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plan", action="store_true", help="only what the package chooses")
    parser.add_argument("--torch", action="store_true", help="in turns with PyTorch's product on CUDA, in float32 without TF32")
    parser.add_argument("--check", action="store_true", help="compare a few rows with NumPy")
    args = parser.parse_args()
    device = open_device()
    print(device.caps.name)
    planned, thin = gemm.planned, gemm.suits
    candidates = [t for t, _, _ in CANDIDATES]
    for shape in args.shapes:
        for layout in args.layouts:
            p, sizes = product(shape, layout)
            if max(sizes) * 4 > device.caps.max_binding:
                print(f"{shape} {layout}: over the binding limit")
                continue
            rng = np.random.default_rng(0)
            arrays = [rng.standard_normal(n, dtype=np.float32) for n in sizes[:2]]
            buffers = {i: (device.buffer(4 * n), 4 * n) for i, n in enumerate(sizes)}
            for i, a in enumerate(arrays):
                device.queue.write_buffer(buffers[i][0], 0, a)

            def measure(choose, p=p, buffers=buffers) -> tuple[float, Lowering]:
                gemm.planned, gemm.suits = choose, thin if choose is planned else lambda *sizes: False
                low = Lowering(3, device.caps)
                gemm.add_product(low, "bench", p)
                every = buffers | {slot: (device.buffer(n), n) for slot, n in low.temporaries.items()}
                return Prepared(device, low.calls, every).seconds(args.rounds), low

            flops = 2 * p.count * p.m * p.n * p.k
            t, low = measure(planned)
            key = low.calls[0].source.key
            name = "thin" if key[0] == "gemm_thin" else _name(Tile.of(key[1]))
            parts = low.calls[0].words[7] if key[0] == "gemm" else 1
            speed = f"{t * 1e6:9.1f} us {flops / t / 1e12:6.2f} TFLOP/s"
            print(f"{shape:>18} {layout} {name:>24} x{parts:<3} {speed} as the package chooses", flush=True)
            if args.check:
                verify(device, p, arrays, buffers)
            if args.torch:
                theirs = torch_product(p, arrays)
                pairs = [(measure(planned)[0], theirs(args.rounds)) for _ in range(args.rounds)]
                ours, other = (min(times) for times in zip(*pairs, strict=True))
                ratios = sorted(b / a for a, b in pairs)
                print(
                    f"{'':>21} in turns: {flops / ours / 1e12:6.2f} TFLOP/s, PyTorch {flops / other / 1e12:6.2f}; "
                    f"ratio {other / ours:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True,
                )  # fmt: skip
            if args.plan:
                continue
            found = []
            for tile in candidates:
                if not tile.fits(device.caps) or tile.rows > 4 * p.m or tile.columns > 4 * p.n:
                    continue
                for parts in args.parts:
                    groups = p.count * -(-p.m // tile.rows) * -(-p.n // tile.columns) * parts
                    if parts > 1 and (groups > 1056 or p.k < 2 * parts * tile.depth):
                        continue
                    try:
                        t, _ = measure(lambda low, kind, count, m, n, k, build, tile=tile, parts=parts: tiles.in_parts(tile, parts, k))
                    except Exception as e:  # a tile the driver refuses is a result too
                        print(f"    {tile.key} x{parts}: {str(e)[:100]}")
                        continue
                    found.append((t, tile, parts))
            for t, tile, parts in sorted(found, key=lambda f: f[0])[:6]:
                print(f"{'':>21} {_name(tile):>24} x{parts:<3} {t * 1e6:9.1f} us {flops / t / 1e12:6.2f} TFLOP/s", flush=True)


def torch_product(p: Product, arrays: list[np.ndarray]) -> Callable[[int], float]:
    """The same product by PyTorch on CUDA: given rounds, seconds of one, measured as `Prepared.seconds` does."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    sides = [((p.m, p.k), p.a_k), ((p.k, p.n), p.b_column)]
    a, b = (
        torch.from_numpy(x).cuda().view(p.count, *(shape if step == 1 else shape[::-1]))
        for x, (shape, step) in zip(arrays, sides, strict=True)
    )
    a, b = (x if step == 1 else x.mT for x, (_, step) in zip((a, b), sides, strict=True))
    out = torch.empty(p.count, p.m, p.n, device="cuda")

    def run(times: int) -> float:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(times):
            torch.matmul(a, b, out=out)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    def seconds(rounds: int) -> float:
        run(1)
        times = int(max(2, min(200, 3e-3 / max(run(1), 1e-6))))
        one = min(run(1) for _ in range(rounds))
        return max(min(run(1 + times) for _ in range(rounds)) - one, 1e-9) / times

    return seconds


def _name(t: Tile) -> str:
    return f"{t.rows}x{t.columns}x{t.depth} {t.thread_rows}x{t.thread_columns}" + (f" in {t.patch}" if t.patch else "")


def verify(device: Device, p: Product, arrays: list[np.ndarray], buffers: dict) -> None:
    """The first rows of the first matrix."""
    a = arrays[0][: p.m * p.k].reshape((p.m, p.k) if p.a_k == 1 else (p.k, p.m))
    b = arrays[1][: p.k * p.n].reshape((p.k, p.n) if p.b_column == 1 else (p.n, p.k))
    a, b = a if p.a_k == 1 else a.T, b if p.b_column == 1 else b.T
    rows = min(p.m, 8)
    got = np.frombuffer(device.queue.read_buffer(buffers[2][0], 0, 4 * rows * p.n), np.float32).reshape(rows, p.n)
    exact = a[:rows].astype(np.float64) @ b
    print(f"{'':>21} error {np.abs(got - exact).max() / np.abs(exact).max():.1e} of the largest")


if __name__ == "__main__":
    main()
