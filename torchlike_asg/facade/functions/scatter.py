"""gather, the scatters and the reductions into indexed places, along one dimension."""

from __future__ import annotations

from typing import Any

from ... import dtypes
from ...ops import indexing as ops
from ...ops import movement, scatter
from ...ops.formula import title
from ..core import Tensor, nary, node_of, wrap
from ..core import operand as operand_of
from ..families import view
from ..hosted import known
from ..register import function
from ..steps import step
from .indexing import INTEGERS, check_rows, needs_tensor, vector
from .pointwise import where
from .views import expand, wrap_dim


# ---------------------------------------------------------------- checks
def _check_scattered(name: str, input: Tensor, d: int, index: Tensor, src: Any) -> None:
    """The conditions gather and the scatters share. `src` is None for gather."""
    if index.shape.numel() == 0:
        return
    if index.dtype not in INTEGERS:
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    rank, target = len(input.shape) or 1, "input" if src is None else "self"
    if (len(index.shape) or 1) != rank:
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {target} tensor")
    own = [(n, m) for i, (n, m) in enumerate(zip(index.shape, input.shape, strict=False)) if i != d]
    if src is None:
        for i, (n, m) in enumerate(zip(index.shape, input.shape, strict=False)):
            if i != d and n > m:
                raise RuntimeError(
                    f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                    f"{list(input.shape)} apart from dimension {d}"
                )
        return
    fits = all(n <= m for n, m in own)
    if isinstance(src, Tensor):
        if (len(src.shape) or 1) != rank:
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if not fits or any(n > m for n, m in zip(index.shape, src.shape, strict=False)):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension "
                f"{d} and to be no larger size than src {list(src.shape)}"
            )
    elif not fits:
        raise RuntimeError(f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension {d}")


def _check_values(input: Tensor, d: int, index: Tensor) -> None:
    values = known(index)
    if values is not None:
        ops.check(values, input.shape[d] if input.shape else 1, d, RuntimeError, negative=False)


@function()
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False, out: Tensor | None = None) -> Tensor:
    """``out[i][j][k] = input[index[i][j][k]][j][k]`` for dim 0, and likewise for other dimensions: a result of the shape of `index`."""
    d = wrap_dim(dim, len(input.shape))
    _check_scattered("gather", input, d, index, None)
    _check_values(input, d, index)
    return nary(scatter.gather, (input, index), d)


def _source(input: Tensor, index: Tensor, src: Any) -> Any:
    """The part of a source that the index uses, with the rank of the index."""
    if not isinstance(src, Tensor):
        return src
    if src.dtype is not input.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    if len(src.shape) != len(index.shape):
        return src.reshape(index.shape)  # type: ignore[attr-defined]
    for i, (n, m) in enumerate(zip(index.shape, src.shape, strict=True)):
        if n < m:
            src = view(movement.slice_, src, (i, 0, n, 1))
    return src


def _scattered(name: str, op: Any, input: Tensor, dim: int, index: Tensor, src: Any, *attrs: Any) -> Tensor:
    d = wrap_dim(dim, len(input.shape))
    _check_scattered(name, input, d, index, src)
    _check_values(input, d, index)
    if index.shape.numel() == 0:
        return input.clone()  # type: ignore[attr-defined, no-any-return]
    n = node_of(input)
    src = _source(input, index, src)
    found = node_of(src) if isinstance(src, Tensor) else movement._prepare_value(n, operand_of(op, src, n))[1]
    return wrap(op(n, node_of(index), found, d, *attrs))


_OLD_NAMES = {"add": "sum", "multiply": "prod"}


def _scatter_form(name: str, input: Tensor, dim: int, index: Tensor, src: Any, value: Any, reduce: str | None) -> Tensor:
    if (src is None) == (value is None):
        raise TypeError(f"{name}() expects either src or value")
    if src is None:
        src = value.item() if isinstance(value, Tensor) and not value.shape else value  # type: ignore[attr-defined]
    if reduce is None:
        return _scattered("scatter", scatter.scatter, input, dim, index, src)
    if reduce not in _OLD_NAMES:
        raise RuntimeError("reduce argument must be either add or multiply.")
    if input.requires_grad or (isinstance(src, Tensor) and src.requires_grad):
        raise RuntimeError("the derivative for 'scatter' with a reduce argument is not implemented: use scatter_reduce")
    return _scattered("scatter", scatter.scatter_reduce, input, dim, index, src, _OLD_NAMES[reduce], True)


@function(inplace=True, name="scatter")
def scatter_function(
    input: Tensor, dim: int, index: Tensor, src: Any = None, value: Any = None, *, reduce: str | None = None, out: Tensor | None = None
) -> Tensor:
    """`input` with the elements of `src` (or a number) written where `index` says along `dim`; of several for one place the last stays."""
    return _scatter_form("scatter", input, dim, index, src, value, reduce)


@function(inplace=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`input` with the elements of `src` added where `index` says along `dim`."""
    needs_tensor("scatter_add", "src", 3, src)
    return _scattered("scatter_add", scatter.scatter_add, input, dim, index, src)


@function(inplace=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True, out: Tensor | None = None
) -> Tensor:
    """`input` with the elements of `src` reduced where `index` says: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"``, ``"amin"``.

    With ``include_self=False`` the places written to start without their own element.
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    needs_tensor("scatter_reduce", "src", 3, src)
    return _scattered("scatter", scatter.scatter_reduce, input, dim, index, src, reduce, bool(include_self))


@function()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Tensor | None = None) -> Tensor:
    """`gather` with `input` and `indices` broadcast against each other; without `dim`, on both flattened."""
    if indices.dtype is not dtypes.int64:
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {title(indices.dtype)}")
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))  # type: ignore[attr-defined, no-any-return]
    if len(input.shape) != len(indices.shape):
        raise RuntimeError(
            f"torch.take_along_dim(): input and indices should have the same number of dimensions, but got {len(input.shape)} "
            "dimensions for input, "
            f"and {len(indices.shape)} dimensions for indices"
        )
    d = wrap_dim(dim, len(input.shape))
    wide = ops.broadcast(*[tuple(1 if i == d else n for i, n in enumerate(t.shape)) for t in (input, indices)])
    a, i = (expand(t, *wide[:d], t.shape[d], *wide[d + 1 :]) for t in (input, indices))
    return gather(a, d, _negative(i, input.shape[d]))  # type: ignore[no-any-return]


def _negative(i: Tensor, n: int) -> Tensor:
    """Positions counted from the end made to count from the front."""
    values = known(i)
    if values is not None and not (values < 0).any():
        return i
    return where(i < 0, i + n, i)  # type: ignore[operator, no-any-return]


@function(inplace=True)
@step("IndexReduceBackward0")
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True, out: Tensor | None = None
) -> Tensor:
    """`input` with the slices of `source` reduced into the positions of a 1-d index: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}.")
    d = wrap_dim(dim, len(input.shape))
    check_rows("index_reduce", input, d, index, source)
    wide = expand(vector(index).reshape(*[-1 if i == d else 1 for i in range(max(len(source.shape), 1))]), *(source.shape or (1,)))  # type: ignore[attr-defined]
    return scatter_reduce(input, dim, wide if source.shape else wide.reshape(()), source, reduce, include_self=include_self)  # type: ignore[no-any-return]
