"""Rows picked by index: embedding and one-hot vectors."""

from __future__ import annotations

import operator

from ... import dtypes
from ...asg.batching import depends
from ...asg.declare import REBIND
from ...asg.trace import current
from ...ops import embedding as ops
from ...ops.pointwise import mul
from ..core import Tensor, bound, nary, node_of, wrap
from ..hosted import outside, refuse
from ..register import checked, function
from ..sparse_gradients import table
from ..write import write
from .arguments import check_flag, check_tensor


def _padding_row(padding_idx: int | None, weight: Tensor) -> int:
    if padding_idx is None:
        return -1
    rows = weight.shape[0]
    if padding_idx >= rows or padding_idx < -rows:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx + rows if padding_idx < 0 else padding_idx


@checked
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) at the integer indices `input` (any shape): (*input.shape, D).

    The row `padding_idx` gets no gradient. With `max_norm`, rows in use whose `norm_type`-norm is larger are rescaled in place first.
    With `sparse` the gradient of `weight` is a sparse tensor: a row for every index.
    """
    n = None
    if max_norm is None and not sparse and isinstance(input, Tensor) and isinstance(weight, Tensor):
        padding = -1 if padding_idx is None else _padding_row(padding_idx, weight)
        n = ops.embedding.table.get((*bound(weight, input), padding, scale_grad_by_freq))
        if n is not None and n.rg:  # a training step as before, which a look at the indices would slow down
            return wrap(n)
    check_tensor("embedding", "indices", 2, input)
    check_flag("embedding", "scale_grad_by_freq", scale_grad_by_freq)
    check_flag("embedding", "sparse", sparse)
    padding = _padding_row(padding_idx, weight)
    if max_norm is not None:
        _renormalize(weight, input, max_norm, norm_type)
    if n is None and weight.dtype.is_complex and weight.requires_grad and current().grad:
        raise RuntimeError("embedding does not support automatic differentiation for outputs with complex dtype.")
    found = nary(ops.embedding, (table(weight) if sparse else weight, input), padding, scale_grad_by_freq)
    if outside(input, weight.shape[0]) is not None:
        refuse(IndexError("index out of range in self"), found, n is None)
    return found


def _renormalize(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Rows of `weight` in use are brought down to norm `max_norm`, in place and without history."""
    import numpy as np

    from ..held import value_of
    from .creation import from_array

    table, rows = value_of(weight), np.unique(value_of(input))
    norms = np.linalg.norm(table[rows], norm_type, axis=1)
    scale = np.ones((len(table), 1), table.dtype)
    scale[rows, 0] = np.where(norms > max_norm, max_norm / (norms + 1e-7), 1)
    tr = current()
    factor = from_array(scale, weight.dtype, weight.device)
    grad, tr.grad = tr.grad, False
    try:
        if tr.forward and weight.requires_grad:  # the tangent stays as it is
            write(weight, lambda cur: REBIND(cur, mul(cur, node_of(factor))))
        else:
            weight.mul_(factor)  # type: ignore[attr-defined]
    finally:
        tr.grad = grad


@function(method=False, name="embedding")
def _embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """`torch.nn.functional.embedding` with its operands in another order; -1 means no padding index."""
    return embedding(indices, weight, None if padding_idx < 0 else padding_idx, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse)


@function(method=False, name="embedding_renorm_")
def _embedding_renorm(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scale the rows of `weight` that `indices` name down to norm `max_norm`, in place and without history."""
    _renormalize(weight, indices, max_norm, norm_type)
    return weight


@checked
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors with a single one at each class index: (*, num_classes); by default as many classes as the largest index needs."""
    import numpy as np

    from ..held import value_of
    from .creation import from_array
    from .spaced import arange

    num_classes = operator.index(num_classes)
    if input.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    inside = current().mapped and depends((node_of(input),))
    if num_classes > 0 and (inside or input.device.type != "cpu"):  # without looking at the values, as PyTorch's GPUs do
        return (input[..., None] == arange(num_classes, device=input.device)).to(dtypes.int64)  # type: ignore[no-any-return]
    index = value_of(input)
    if not index.size:
        if num_classes <= 0:
            raise RuntimeError(
                "Can not infer total number of classes from empty tensor." if num_classes == -1 else "num_classes should be positive"
            )
    elif index.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    elif num_classes == -1:
        num_classes = int(index.max()) + 1
    elif index.max() >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return from_array((index[..., None] == np.arange(num_classes)).astype(np.int64), dtypes.int64, input.device)
