"""Where the elements of a view lie: for each kind of view, the geometry (sizes, strides, offset) of its operand to its own."""

from __future__ import annotations

from ..asg.geometry import Geometry, view_strides

NOT_VIEWABLE = (
    "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous subspaces). "
    "Use .reshape(...) instead."
)


def without(t: tuple[int, ...], i: int) -> tuple[int, ...]:
    """A tuple without its element `i`."""
    return t[:i] + t[i + 1 :]


def view(g: Geometry, *shape: int) -> Geometry:
    st = view_strides(g, shape)
    if st is None:
        raise RuntimeError(NOT_VIEWABLE)
    return shape, st, g[2]


def permute(g: Geometry, *p: int) -> Geometry:
    return tuple(g[0][i] for i in p), tuple(g[1][i] for i in p), g[2]


def select(g: Geometry, d: int, i: int) -> Geometry:
    return without(g[0], d), without(g[1], d), g[2] + i * g[1][d]


def slice_(g: Geometry, d: int, lo: int, hi: int, step: int) -> Geometry:
    k = max(0, -(-(hi - lo) // step))
    return g[0][:d] + (k,) + g[0][d + 1 :], g[1][:d] + (g[1][d] * step,) + g[1][d + 1 :], g[2] + lo * g[1][d]


def expand(g: Geometry, *shape: int) -> Geometry:
    lead = len(shape) - len(g[0])
    if lead < 0:
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(g[0])}}}, size={list(shape)}): the number of sizes provided ({len(shape)}) must be greater or "  # noqa: E501
            f"equal to the number of dimensions in the tensor ({len(g[0])})"
        )
    for i, (d, e) in enumerate(zip(g[0], shape[lead:], strict=True)):
        if d != e and d != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({e}) must match the existing size ({d}) at non-singleton dimension {lead + i}.  "
                f"Target sizes: {list(shape)}.  Tensor sizes: {list(g[0])}"
            )
    new = [0] * lead + [s if d == e else 0 for d, e, s in zip(g[0], shape[lead:], g[1], strict=True)]
    for i in range(lead - 1 if g[0] else -1, -1, -1):  # new leading dimensions of size 1 get the stride a contiguous one would have
        new[i] = 0 if shape[i] != 1 else shape[i + 1] * new[i + 1] if i + 1 < len(shape) else 1
    return shape, tuple(new), g[2]


def diagonal(g: Geometry, k: int, a: int, b: int) -> Geometry:
    n = max(min(g[0][a] - max(-k, 0), g[0][b] - max(k, 0)), 0)
    rest = [i for i in range(len(g[0])) if i not in (a, b)]
    shift = (k * g[1][b] if k >= 0 else -k * g[1][a]) if n else 0
    return tuple(g[0][i] for i in rest) + (n,), tuple(g[1][i] for i in rest) + (g[1][a] + g[1][b],), g[2] + shift


def unsqueeze(g: Geometry, d: int) -> Geometry:
    st = g[0][d] * g[1][d] if d < len(g[0]) else 1
    return g[0][:d] + (1,) + g[0][d:], g[1][:d] + (st,) + g[1][d:], g[2]


def unfold(g: Geometry, d: int, n: int, k: int) -> Geometry:
    if not g[0]:
        return (n,), (1,), g[2]
    return (
        g[0][:d] + ((g[0][d] - n) // k + 1,) + g[0][d + 1 :] + (n,),
        g[1][:d] + (g[1][d] * k,) + g[1][d + 1 :] + (g[1][d],),
        g[2],
    )


def squeeze(g: Geometry, d: int) -> Geometry:
    return without(g[0], d), without(g[1], d), g[2]
