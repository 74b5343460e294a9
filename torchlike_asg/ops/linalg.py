"""Products of vectors and matrices: `matmul` for every rank, and `linear`, the layer, as one node."""

from __future__ import annotations

import math

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import broadcast
from ..asg.node import Node
from .elementwise import bar
from .kept_factors import of_layer, of_product
from .movement import permute, reshape
from .pointwise import add, mul
from .promotion import title

C_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "int64": "long int",
    "int32": "int",
    "int16": "short",
    "int8": "signed char",
    "uint8": "unsigned char",
    "bool": "bool",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


# ---------------------------------------------------------------- shapes of products
def _product_shape(a: Node, b: Node) -> tuple[int, ...]:
    """The shape of ``a @ b``; raises with PyTorch's text, which depends on the ranks."""
    p, q = len(a.shape), len(b.shape)
    if not p or not q:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {p}D and {q}D")
    if p == 1 and q == 1:
        if a.shape[0] != b.shape[0]:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to have the same "
                f"number of elements, but got {a.shape[0]} and {b.shape[0]} elements respectively"
            )
        return ()
    if q == 1:
        rows, k = math.prod(a.shape[:-1]), a.shape[-1]
        if k != b.shape[0]:
            raise RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{k}), vec ({b.shape[0]})")
        return tuple(a.shape[:-1])
    if p == 1 or q == 2:
        rows, k = math.prod(a.shape[:-1]), a.shape[-1]
        if k != b.shape[-2]:
            raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{k} and {b.shape[-2]}x{b.shape[-1]})")
        return (*a.shape[:-1], b.shape[-1]) if p > 1 else (*b.shape[:-2], b.shape[-1])
    batch = broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    if a.shape[-1] != b.shape[-2]:
        count = math.prod(batch)
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{count}, {a.shape[-1]}] but got: [{count}, {b.shape[-2]}]."
        )
    return (*batch, a.shape[-2], b.shape[-1])


def expands(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    """Whether `small` broadcasts to exactly `large`."""
    lead = len(large) - len(small)
    return lead >= 0 and all(m in (1, n) for m, n in zip(small, large[lead:], strict=True))


def _product_type(a: Node, b: Node, shape: tuple[int, ...]) -> dtypes.dtype:
    d, batched = a.dtype, len(shape) > 2 and len(b.shape) > 2
    if d is not b.dtype:
        if len(a.shape) == 1 and len(b.shape) == 1:
            raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {title(d)} and {title(b.dtype)}")
        if batched or 1 in (len(a.shape), len(b.shape)):
            raise RuntimeError(f"expected scalar type {title(d)} but found {title(b.dtype)}")
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {C_NAMES[d.name]} != {C_NAMES[b.dtype.name]}")
    if d is dtypes.bool_:
        kernel = "dot" if len(a.shape) == 1 and len(b.shape) == 1 else "bmm" if batched else "addmm_impl_cpu_"
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")
    return d


def _rule_matmul(a: Node, b: Node, way: str = "") -> Meta:
    shape = _product_shape(a, b)
    return shape, _product_type(a, b, shape)


# ---------------------------------------------------------------- reference
def _for_blas(x: Array) -> Array:
    """`x` itself if its last two dimensions have a layout BLAS reads, else a copy: NumPy's own loops are far slower."""
    if x.ndim < 2 or x.dtype.kind not in "fc":
        return x
    rows, columns = x.strides[-2:]
    m, n = x.shape[-2:]
    step = x.itemsize
    plain = (columns == step and rows >= n * step) or (rows == step and columns >= m * step)
    return x if plain or (m == 1 and columns == step) or (n == 1 and rows == step) else np.ascontiguousarray(x)


def _ref_matmul(a: Array, b: Array, way: str = "") -> Array:
    with np.errstate(all="ignore"):
        if b.ndim == 2 and a.ndim > 2:
            flat = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return (_for_blas(flat) @ _for_blas(b)).reshape(*a.shape[:-1], b.shape[-1])
        return np.asarray(np.matmul(_for_blas(a), _for_blas(b)))


# ---------------------------------------------------------------- gradient
def swap_last(n: Node) -> Node:
    """The transpose of (a batch of) matrices."""
    rank = len(n.shape)
    return permute(n, *range(rank - 2), rank - 1, rank - 2)


def _rows(n: Node) -> Node:
    """(..., k) as a matrix (rows, k)."""
    return n if len(n.shape) == 2 else reshape(n, (math.prod(n.shape[:-1]), n.shape[-1]))


def _single(n: Node) -> bool:
    """Whether there is only one matrix, so that a gradient summed over a batch can be one product instead of many and a sum."""
    return math.prod(n.shape[:-2]) == 1


def _shaped(n: Node, like: Node) -> Node:
    return n if n.shape == like.shape else reshape(n, tuple(like.shape))


def _batched_left(g: Node, b: Node, a: Node) -> Node:
    """Gradient of one matrix `a` (m, k) multiplied with a batch: sum over the batch of ``g @ b^T`` as one product over (batch, n)."""
    lead = len(g.shape) - 2
    m, n, k = g.shape[-2], g.shape[-1], b.shape[-2]
    batch = math.prod(g.shape[:-2])
    left = reshape(permute(g, lead, *range(lead), lead + 1), (m, batch * n))
    right = reshape(swap_last(bar(b)), (batch * n, k))
    return _shaped(matmul(left, right), a)


def _vjp_matmul(n: Node, g: Node) -> Grads:
    a, b = n.srcs
    p, q = len(a.shape), len(b.shape)
    if p == 1 and q == 1:
        return lambda: mul(g, bar(b)), lambda: mul(g, bar(a))
    if q == 1:
        column = reshape(g, (*g.shape, 1))
        return lambda: mul(column, bar(b)), lambda: matmul(swap_last(_rows(bar(a))), reshape(g, (g.numel,)))
    if p == 1:
        row = reshape(g, (*g.shape[:-1], 1, g.shape[-1]))
        weights = lambda: matmul(bar(b), g) if q == 2 else reshape(matmul(bar(b), reshape(g, (*g.shape, 1))), tuple(b.shape[:-1]))  # noqa: E731
        return weights, lambda: mul(reshape(bar(a), (a.shape[0], 1)), row)

    def narrow(columns: int) -> bool:
        return g.dtype is dtypes.float32 and columns < NARROW

    def left() -> Node:
        if _single(a) and not _single(g) and not _single(b) and math.prod(b.shape[:-2]) == math.prod(g.shape[:-2]):
            return _batched_left(g, b, a)
        # PyTorch keeps the copy that it multiplied by, and reads it the other way round
        way = ("rows" if lies_across(b) else "columns",) if narrow(b.shape[-2]) else ()
        return matmul(g, swap_last(bar(b)), *way)

    def right() -> Node:
        if _single(b) and not _single(a) and math.prod(a.shape[:-2]) == math.prod(g.shape[:-2]):
            return _shaped(matmul(swap_last(_rows(bar(a))), _rows(g)), b)
        return matmul(swap_last(bar(a)), g, *(("rows",) if narrow(b.shape[-1]) else ()))

    return left, right


#: columns from which PyTorch's products (MKL's) have one order, however the operands lie
NARROW = 12


def lies_across(b: Node) -> bool:
    """Whether PyTorch multiplies by `b` as a matrix whose columns are adjacent. A batch that is not evenly spaced is copied first."""
    *lead, k, _ = b.shape
    *steps, down, across = b.strides
    even = all(steps[i] == steps[i + 1] * lead[i + 1] for i in range(len(lead) - 1) if lead[i] != 1)
    return even and down == 1 and across != 1 and k != 1


def _random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def _product_samples() -> list[Sample]:
    r = _random
    shapes = [
        ((3, 4), (4, 2)),
        ((5,), (5,)),
        ((3, 4), (4,)),
        ((4,), (4, 2)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (5, 4, 2)),
        ((4,), (2, 4, 5)),
        ((2, 3, 4), (4,)),
        ((1, 3, 4), (5, 4, 2)),
        ((0, 4), (4, 3)),
        ((3, 0), (0, 2)),
        ((2, 3, 1), (1, 1)),
    ]
    return [Sample((r(*a), r(*b, seed=1))) for a, b in shapes] + [
        Sample((np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)), (), False)
    ]


#: ``a @ b``. An attribute "rows" or "columns" says how `b` lies for PyTorch, where the order of its sums depends on that.
matmul = Op("matmul", "linalg", _rule_matmul, _ref_matmul, vjp=_vjp_matmul, saves=of_product, samples=_product_samples)


# ---------------------------------------------------------------- linear
def _rule_linear(x: Node, w: Node, b: Node | None = None) -> Meta:
    if not x.shape or not w.shape:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {len(x.shape)}D and {len(w.shape)}D")
    if len(w.shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {len(w.shape)}D")
    if len(w.shape) == 1 and b is not None:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
    rows = math.prod(x.shape[:-1])
    if x.shape[-1] != w.shape[-1]:
        if len(w.shape) == 1:
            raise RuntimeError(f"size mismatch, got input ({rows}), mat ({rows}x{x.shape[-1]}), vec ({w.shape[0]})")
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and {w.shape[1]}x{w.shape[0]})")
    d, shape = x.dtype, (*x.shape[:-1], *w.shape[:-1])
    if w.dtype is not d:
        if b is not None:
            raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {title(d)} and {title(w.dtype)}")
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {C_NAMES[d.name]} != {C_NAMES[w.dtype.name]}")
    if d is dtypes.bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    if b is not None:
        if b.dtype is not d:
            raise RuntimeError(f"self and mat2 must have the same dtype, but got {title(b.dtype)} and {title(w.dtype)}")
        if not expands(tuple(b.shape), shape):
            target = [rows, w.shape[0]]
            raise RuntimeError(
                f"The expanded size of the tensor ({target[1]}) must match the existing size ({b.shape[-1]}) at "
                f"non-singleton dimension 1.  Target sizes: {target}.  Tensor sizes: {list(b.shape)}"
            )
    return shape, d


def _ref_linear(x: Array, w: Array, b: Array | None = None) -> Array:
    y = _ref_matmul(x, w.T)
    return y if b is None else np.add(y, b, out=y if y.ndim else None)


def _vjp_linear(n: Node, g: Node) -> Grads:
    x, w = n.srcs[:2]
    if len(w.shape) == 1:
        return lambda: mul(reshape(g, (*g.shape, 1)), bar(w)), lambda: matmul(reshape(g, (g.numel,)), _rows(bar(x)))
    one = len(x.shape) == 1
    weights = lambda: mul(reshape(g, (g.shape[0], 1)), bar(x)) if one else matmul(swap_last(_rows(g)), _rows(bar(x)))  # noqa: E731
    return (lambda: matmul(g, bar(w)), weights) if len(n.srcs) == 2 else (lambda: matmul(g, bar(w)), weights, g)


def _expand_linear(n: Node) -> Node:
    y = matmul(n.srcs[0], permute(n.srcs[1], 1, 0) if len(n.srcs[1].shape) == 2 else n.srcs[1])
    return y if len(n.srcs) == 2 else add(y, n.srcs[2])


def _linear_samples() -> list[Sample]:
    r = _random
    return [
        Sample((r(3, 4), r(2, 4, seed=1), r(2, seed=2))),
        Sample((r(3, 4), r(2, 4, seed=1))),
        Sample((r(2, 3, 4), r(5, 4, seed=1), r(5, seed=2))),
        Sample((r(4), r(2, 4, seed=1), r(2, seed=2))),
        Sample((r(2, 3), r(3, seed=1))),
        Sample((r(0, 4), r(2, 4, seed=1), r(2, seed=2))),
    ]


#: ``x @ w^T + b`` with `x` (..., in), `w` (out, in) or (in,), `b` (out,) or left out.
linear = Op(
    "linear",
    "linalg",
    _rule_linear,
    _ref_linear,
    vjp=_vjp_linear,
    expand=_expand_linear,
    saves=of_layer,
    samples=_linear_samples,
)
