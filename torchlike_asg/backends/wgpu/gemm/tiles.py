"""Which piece of a product one workgroup computes, and in how many parts its sum over k is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..calls import Capabilities

#: invocations that run together
PATCH = 32


@dataclass(frozen=True)
class Tile:
    """A workgroup computes ``rows x columns`` of the result, `depth` steps of k at a time; a thread computes ``thread_rows x
    thread_columns`` of it, in pieces of 4 x 4 that lie apart. All are multiples of 4.

    Threads that run together share what they read from shared memory if they lie in a patch: ``patch`` threads side by side. 0: the
    threads are numbered row by row.
    """

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int
    #: the steps of a piece are written out one by one
    unrolled: bool = True
    patch: int = 0

    @property
    def threads(self) -> int:
        return self.threads_down * self.threads_across

    @property
    def threads_down(self) -> int:
        return self.rows // self.thread_rows

    @property
    def threads_across(self) -> int:
        return self.columns // self.thread_columns

    @property
    def apart(self) -> tuple[int, int]:
        """How far the pieces of a thread lie apart, down and across, in fours."""
        return (PATCH // self.patch, self.patch) if self.patch else (self.threads_down, self.threads_across)

    @property
    def shared(self) -> int:
        """Bytes of workgroup memory."""
        return 4 * self.depth * (self.rows + self.columns + 8)

    @property
    def key(self) -> tuple[int, ...]:
        return self.rows, self.columns, self.depth, self.thread_rows, self.thread_columns, int(self.unrolled), self.patch

    @staticmethod
    def of(key: Sequence[int]) -> Tile:
        """The tile with that `key`."""
        return Tile(*key[:5], bool(key[5]), key[6])

    def fits(self, caps: Capabilities) -> bool:
        return self.threads <= caps.max_invocations and self.shared <= caps.shared_memory


#: each with the share of an NVIDIA H200's arithmetic that it reaches when there are many workgroups, and how many workgroups one of its
#: multiprocessors runs at a time; largest first
CANDIDATES: tuple[tuple[Tile, float, int], ...] = (
    (Tile(128, 256, 16, 8, 16, patch=16), 0.90, 1),
    (Tile(256, 128, 16, 8, 16, patch=4), 0.88, 1),
    (Tile(128, 128, 16, 8, 16, patch=4), 0.88, 2),
    (Tile(128, 128, 16, 8, 8, patch=2), 0.83, 2),
    (Tile(128, 64, 16, 8, 8, patch=2), 0.83, 4),
    (Tile(64, 128, 16, 8, 8, patch=4), 0.80, 4),
    (Tile(64, 64, 16, 8, 8, patch=4), 0.72, 8),
    (Tile(64, 64, 16, 4, 8, patch=2), 0.74, 5),
    (Tile(64, 64, 16, 8, 4, patch=4), 0.70, 5),
    (Tile(128, 32, 16, 8, 4, patch=2), 0.62, 6),
    (Tile(32, 128, 16, 4, 8, patch=16), 0.60, 6),
    (Tile(64, 32, 16, 4, 4, patch=2), 0.58, 6),
    (Tile(32, 64, 32, 4, 4), 0.50, 6),
    (Tile(128, 16, 16, 8, 4), 0.46, 10),
    (Tile(32, 32, 32, 4, 4), 0.42, 10),
    (Tile(16, 64, 32, 4, 4), 0.38, 10),
    (Tile(64, 16, 32, 4, 4), 0.38, 10),
    (Tile(8, 64, 32, 4, 4), 0.26, 16),
    (Tile(64, 8, 32, 4, 4), 0.26, 16),
)
#: what software adapters take: little code, which they compile slowly
SOFTWARE = (Tile(32, 32, 8, 4, 4, False), Tile(8, 32, 8, 4, 4, False), Tile(32, 8, 8, 4, 4, False))
#: multiprocessors of a large GPU, and the multiply-adds that one does in a microsecond
CORES, RATE = 132, 128 * 1700
#: microseconds that one step of depth takes at least (a trip to memory, two barriers); that a dispatch takes; bytes that pass in one
STEP, DISPATCH, BYTES = 0.6, 5.0, 2e6
#: microseconds that one more part takes to be added
SUMMED = 0.08
#: most parts of a sum
PARTS = 64


@dataclass(frozen=True)
class Plan:
    """A tile, and the steps of k (a multiple of the tile's depth) that each of `parts` workgroups sums."""

    tile: Tile
    parts: int
    step: int


def plan(caps: Capabilities, count: int, m: int, n: int, k: int) -> Plan:
    """The fastest tile and number of parts for `count` products of (m, k) and (k, n), by a model of the GPU."""
    if caps.software:
        narrow = SOFTWARE[1] if m <= 8 else SOFTWARE[2] if n <= 8 else SOFTWARE[0]
        return in_parts(narrow, 1 if -(-m // narrow.rows) * -(-n // narrow.columns) * count > 4 else max(1, min(4, k // 1024)), k)
    return proposals(caps, count, m, n, k)[0]


def proposals(caps: Capabilities, count: int, m: int, n: int, k: int) -> list[Plan]:
    """What may be fastest, best first by the model."""
    found: list[tuple[float, Plan]] = []
    for tile, share, resident in CANDIDATES:
        if not tile.fits(caps):
            continue
        parts = 1
        while parts <= PARTS and (parts == 1 or k >= 2 * parts * tile.depth):
            p = in_parts(tile, parts, k)
            found.append((_microseconds(p, share, resident, count, m, n), p))
            parts *= 2
    assert found, "no tile fits the adapter"
    return [p for _, p in sorted(found, key=lambda f: f[0])]


def in_parts(tile: Tile, parts: int, k: int) -> Plan:
    """A tile with sums in about that many parts."""
    length = max(1, -(-k // parts))
    step = -(-length // tile.depth) * tile.depth
    return Plan(tile, max(1, -(-k // step)), step)


def _microseconds(p: Plan, share: float, resident: int, count: int, m: int, n: int) -> float:
    t = p.tile
    groups = p.parts * count * -(-m // t.rows) * -(-n // t.columns)
    whole, rest = divmod(groups, CORES * resident)
    work = t.rows * t.columns * t.depth / RATE
    steps = p.step // t.depth

    def wave(beside: int) -> float:
        """Workgroups side by side on one multiprocessor: alone, one cannot hide its own waiting."""
        return steps * max(STEP, work * beside / (share * min(1.0, 0.5 + 0.5 * beside / min(resident, 2))))

    total = whole * wave(resident) + (wave(-(-rest // CORES)) if rest else 0) + DISPATCH
    return total if p.parts == 1 else total + DISPATCH + p.parts * SUMMED + (p.parts + 1) * count * m * n * 4 / BYTES
