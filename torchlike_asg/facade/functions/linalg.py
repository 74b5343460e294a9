"""Products of vectors and matrices, as functions, methods and the operator ``@``."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ... import dtypes, notices
from ...asg.geometry import is_contiguous
from ...asg.node import Node
from ...ops import linalg as ops
from ...ops.arrange import roll
from ...ops.formula import refuse
from ...ops.movement import diagonal, expand, permute, reshape, reshaped
from ...ops.pointwise import add, mul, sub
from ...ops.promotion import title, to
from ...ops.reduce import sum_
from ..autocast import governed
from ..core import Tensor, binary, node_of, operand, wrap
from ..register import function
from ..steps import step
from .arguments import check_tensor
from .views import wrap_dim


@function(name="matmul")
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The matrix product over the last two dimensions, batches broadcast; vectors stand for a row (left) or a column (right)."""
    if not isinstance(other, Tensor):
        check_tensor("matmul", "other", 2, other)
    return binary(ops.matmul, input, other)


@function()
def mm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices (n, m) and (m, p)."""
    check_tensor("mm", "mat2", 2, mat2)
    if len(input.shape) != 2:
        raise RuntimeError("self must be a matrix")
    if len(mat2.shape) != 2:
        raise RuntimeError("mat2 must be a matrix")
    return binary(ops.matmul, input, mat2)


@function()
@step("BmmBackward0")
def bmm(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The products of two equally large batches of matrices, (b, n, m) and (b, m, p)."""
    check_tensor("bmm", "mat2", 2, mat2)
    if len(input.shape) != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    if len(mat2.shape) != 3:
        raise RuntimeError("batch2 must be a 3D tensor")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{input.shape[0]}, {input.shape[2]}] but "
            f"got: [{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    return binary(ops.matmul, input, mat2)


@function()
def mv(input: Tensor, vec: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of a matrix (n, m) and a vector (m)."""
    check_tensor("mv", "vec", 2, vec)
    if len(input.shape) != 2 or len(vec.shape) != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {len(input.shape)}, {len(vec.shape)}")
    return binary(ops.matmul, input, vec)


@function()
def dot(input: Tensor, tensor: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors."""
    check_tensor("dot", "tensor", 2, tensor)
    if len(input.shape) != 1 or len(tensor.shape) != 1:
        raise RuntimeError(f"1D tensors expected, but got {len(input.shape)}D and {len(tensor.shape)}D tensors")
    return binary(ops.matmul, input, tensor)


_linear = ops.linear.table


@governed
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``: input (..., in), weight (out, in) or (in), bias (out); result (..., out)."""
    if bias is None:
        return binary(ops.linear, input, weight)
    n = _linear.get((input._n, weight._n, bias._n))
    return wrap(n if n is not None else ops.linear(node_of(input), node_of(weight), node_of(bias)))


def _product(self: Tensor, other: Any) -> Any:
    return binary(ops.matmul, self, other) if isinstance(other, Tensor) else NotImplemented


def _reflected_product(self: Tensor, other: Any) -> Any:
    return binary(ops.matmul, other, self) if isinstance(other, Tensor) else NotImplemented


Tensor.__matmul__ = governed(_product, "matmul")  # type: ignore[attr-defined]
Tensor.__rmatmul__ = governed(_reflected_product, "matmul")  # type: ignore[attr-defined]


# ---------------------------------------------------------------- vectors
@function(aliases=("ger",))
def outer(input: Tensor, vec2: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The outer product of two vectors (n) and (m): (n, m)."""
    check_tensor("outer", "vec2", 2, vec2)
    for name, v in (("self", input), ("vec2", vec2)):
        if len(v.shape) != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {len(v.shape)}-D")
    x = node_of(input)
    return wrap(mul(reshaped(x, (x.shape[0], 1)), node_of(vec2)))


@function()
@step("ViewBackward0")
def inner(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Products summed over the last dimension of both: (..., k) and (***, k) give (..., ***); a 0-d tensor scales."""
    check_tensor("inner", "other", 2, other)
    x, y = node_of(input), node_of(other)
    if not x.shape or not y.shape:
        return wrap(mul(x, y))
    if x.shape[-1] != y.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {list(x.shape)} and {list(y.shape)}"
        )
    k = x.shape[-1]
    left, right = reshaped(x, (math.prod(x.shape[:-1]), k)), reshaped(y, (math.prod(y.shape[:-1]), k))
    return wrap(reshape(ops.matmul(left, ops.swap_last(right)), (*x.shape[:-1], *y.shape[:-1])))


@function()
@step("VdotBackward0")
def vdot(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inner product of two vectors, the first conjugated."""
    return dot(input.conj(), other)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- products added to something
def _scaled(argument: str, n: Node, factor: Any) -> Node:
    if factor.__class__ is int and factor == 1:
        return n
    if n.dtype.category < dtypes.FLOAT and isinstance(factor, float):
        raise RuntimeError(f"For integral input tensors, argument {argument} must not be a floating point number.")
    return mul(n, operand(mul, factor, n))


def _added(input: Tensor, product: Node, beta: Any, alpha: Any, by_rows: bool = True) -> Tensor:
    """``beta * input + alpha * product``; with beta = 0 not even a NaN of `input` counts. `by_rows`: it lies as a matrix product does."""
    if input.dtype is not product.dtype:
        raise RuntimeError(f"self and mat2 must have the same dtype, but got {title(input.dtype)} and {title(product.dtype)}")
    if by_rows and product.dtype.category == dtypes.INTEGER:  # PyTorch's products of integers cut these
        beta, alpha = [int(v) if isinstance(v, float) and math.isfinite(v) else v for v in (beta, alpha)]
    found = _scaled("alpha", product, alpha)
    base = node_of(input)
    if not ops.expands(tuple(base.shape), tuple(product.shape)):
        expand(base, product.shape)  # raises
    if beta == 0:
        return wrap(found)
    scaled = _scaled("beta", base, beta)
    return wrap(add(found, scaled) if by_rows and not is_contiguous(tuple(base.shape), base.strides) else add(scaled, found))


def _needs(value: Tensor, rank: int, text: str) -> Node:
    if len(value.shape) != rank:
        raise RuntimeError(text.format(len(value.shape)))
    return node_of(value)


@function(inplace=True)
@step("AddmmBackward0")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)`` for matrices; `input` broadcasts."""
    a = _needs(mat1, 2, "mat1 must be a matrix, got {}-D tensor")
    b = _needs(mat2, 2, "mat2 must be a matrix, got {}-D tensor")
    return _added(input, ops.matmul(a, b), beta, alpha)


@function(inplace=True)
@step("AddmvBackward0")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    if len(mat.shape) != 2 or len(vec.shape) != 1 or len(input.shape) > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {len(input.shape)}, {len(mat.shape)}, {len(vec.shape)}")
    return _added(input, ops.matmul(node_of(mat), node_of(vec)), beta, alpha)


@function(inplace=True)
@step("AddrBackward0")
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    a = _needs(vec1, 1, "addr: Expected 1-D argument vec1, but got {}-D")
    b = _needs(vec2, 1, "addr: Expected 1-D argument vec2, but got {}-D")
    product = mul(reshaped(a, (a.shape[0], 1)), b)
    d = dtypes.promote_types(input.dtype, product.dtype)
    return _added(input if input.dtype is d else input.to(d), to(product, d), beta, alpha, by_rows=False)  # type: ignore[attr-defined]


def _batches(first: Tensor, second: Tensor) -> Node:
    a, b = _needs(first, 3, "batch1 must be a 3D tensor"), _needs(second, 3, "batch2 must be a 3D tensor")
    if a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a.shape[0]}, {a.shape[2]}] but got: "
            f"[{b.shape[0]}, {b.shape[1]}]."
        )
    return ops.matmul(a, b)


@function(inplace=True)
@step("BaddbmmBackward0")
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out_dtype: Any = None, out: Tensor | None = None
) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2)``; `input` broadcasts."""
    return _added(input, _batches(batch1, batch2), beta, alpha)


@function(inplace=True)
@step("AddbmmBackward0", keeps=((1, (2,)), (2, (1,))))
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """``beta * input + alpha * (the sum of bmm(batch1, batch2) over the batch)``."""
    _batches(batch1, batch2)
    a, b = node_of(batch1), node_of(batch2)
    left = reshape(permute(a, 1, 0, 2), (a.shape[1], a.shape[0] * a.shape[2]))  # one product over batch and inner dimension
    right = reshape(b, (b.shape[0] * b.shape[1], b.shape[2]))
    return _added(input, ops.matmul(left, right), beta, alpha)


# ---------------------------------------------------------------- structured products
@function()
@step("TraceBackward0")
def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if len(input.shape) != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {len(input.shape)}")
    return wrap(sum_(diagonal(node_of(input), 0, 0, 1), (0,), False))


@function()
@step("UnsafeViewBackward0")
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: every element of `input` times all of `other`, as blocks."""
    check_tensor("kron", "other", 2, other)
    x, y = node_of(input), node_of(other)
    rank = max(len(x.shape), len(y.shape))
    p, q = ((1,) * (rank - len(n.shape)) + tuple(n.shape) for n in (x, y))
    left = reshape(x, tuple([d for n in p for d in (n, 1)]))
    right = reshape(y, tuple([d for n in q for d in (1, n)]))
    return wrap(reshape(mul(left, right), tuple([m * n for m, n in zip(p, q, strict=True)])))


def cross_product(input: Tensor, other: Tensor, dim: int) -> Tensor:
    """The cross product of vectors along a dimension of size three; the other dimensions broadcast."""
    check_tensor("cross", "other", 2, other)
    x, y = node_of(input), node_of(other)
    if len(x.shape) != len(y.shape):
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    d = wrap_dim(dim, len(x.shape))
    if x.shape[d] != 3 or y.shape[d] != 3:
        raise RuntimeError(f"linalg.cross: inputs dimension {d} must have length 3. Got {x.shape[d]} and {y.shape[d]}")
    if x.dtype is dtypes.bool_:
        raise refuse("cross", x.dtype)
    if x.dtype is not y.dtype:
        raise RuntimeError(f"expected scalar type {title(x.dtype)} but found {title(y.dtype)}")

    def turned(n: Node, by: int) -> Node:
        return roll(n, (-by,), (d,))

    return wrap(sub(mul(turned(x, 1), turned(y, 2)), mul(turned(x, 2), turned(y, 1))))


@function()
@step("LinalgCrossBackward0", keeps=((1, (0,)), (0, (1,))))
def cross(input: Tensor, other: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """The cross product along `dim`, by default the first dimension of size three."""
    if dim is None:
        warnings.warn(
            "Using torch.cross without specifying the dim arg is deprecated.\nPlease either pass the dim explicitly or "
            "simply use torch.linalg.cross.",
            stacklevel=3,
        )
        found = [i for i, n in enumerate(input.shape) if n == 3]
        if not found:
            raise RuntimeError("no dimension of size 3 in input")
        dim = found[0]
    return cross_product(input, other, dim)


def multiply_chain(name: str, tensors: Any) -> Tensor:
    """The product of several matrices in the order of least work; a vector may stand at either end."""
    if len(tensors) < 2:
        raise RuntimeError(f"{name}(): expected at least 2 tensors but got {len(tensors)}")
    nodes = [node_of(t) for t in tensors]
    first, last = len(nodes[0].shape) == 1, len(nodes[-1].shape) == 1
    if first:
        nodes[0] = reshape(nodes[0], (1, nodes[0].shape[0]))
    if last:
        nodes[-1] = reshape(nodes[-1], (nodes[-1].shape[0], 1))
    for i, n in enumerate(nodes):
        if len(n.shape) != 2:
            raise RuntimeError(f"{name}(): tensor {i} must be 2D but got {len(n.shape)}D")
    product = _chained(nodes)
    shape = tuple(product.shape)[1 if first else 0 : 1 if last else 2]
    return wrap(product if len(shape) == 2 else reshape(product, shape))


def _chained(nodes: list[Node]) -> Node:
    """Matrix-chain ordering by dynamic programming."""
    sizes = [nodes[0].shape[0], *[n.shape[1] for n in nodes]]
    count = len(nodes)
    cost: dict[tuple[int, int], int] = {(i, i): 0 for i in range(count)}
    cut: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], cut[i, j] = min((cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Node:
        return nodes[i] if i == j else ops.matmul(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, count - 1)


@function(method=False)
def chain_matmul(*matrices: Any, out: Tensor | None = None) -> Tensor:
    """The product of several matrices in the order of least work (deprecated in favour of `linalg.multi_dot`)."""
    notices.once(notices.CHAIN_MATMUL)
    tensors = matrices[0] if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)) else matrices
    return tensors[0] if len(tensors) == 1 else multiply_chain("chain_matmul", tensors)  # type: ignore[no-any-return]
