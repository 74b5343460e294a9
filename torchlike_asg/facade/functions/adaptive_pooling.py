"""Pooling to a given output size: adaptive and fractional."""

from __future__ import annotations

from typing import Any

from ...ops import pooling as ops
from ..core import Tensor, nary, node_of, unary
from ..history_names import title
from ..register import checked, function, named
from ..steps import keeping, note, step
from .arguments import whole


def _output(name: str, dims: int, input: Tensor, output_size: Any) -> tuple[int, ...]:
    """The output size of every spatial dimension; None keeps the input's."""
    if isinstance(output_size, int) or (dims == 1 and output_size is not None and not isinstance(output_size, (tuple, list))):
        given: tuple[Any, ...] = (output_size,) * dims
    elif len(output_size):  # PyTorch asks for the length of whatever is no int
        given = tuple(output_size)
    else:
        given = ()
    if len(given) != dims:
        if dims == 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(given)})")
        raise RuntimeError(f"{name}: output_size must be {dims}")
    sizes = tuple([n if s is None else whole(s) for s, n in zip(given, input.shape[len(input.shape) - dims :], strict=True)])
    if any(s < 0 for s in sizes):
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received {{{', '.join(map(str, sizes))}}}"
        )
    return sizes


#: functions that take images of no channels
_WITHOUT_CHANNELS = ("adaptive_avg_pool1d", "adaptive_avg_pool2d")


def _batched(name: str, dims: int, input: Tensor, colon: str) -> tuple[Tensor, bool]:
    rank = len(input.shape)
    if rank not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got{colon} {list(input.shape)}")
    for d in range(rank - dims if name in _WITHOUT_CHANNELS else 1, rank):
        if not input.shape[d]:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(input.shape)} with "
                f"dimension {d} being empty"
            )
    return (input, True) if rank == dims + 2 else (input.unsqueeze(0), False)  # type: ignore[attr-defined]


def _back(t: Tensor, batched: bool) -> Tensor:
    if batched:
        return t
    out = t.squeeze(0)  # type: ignore[attr-defined]
    note(out, title(node_of(t)))
    return out  # type: ignore[no-any-return]


# ---------------------------------------------------------------- average
def _avg(dims: int, input: Tensor, output_size: Any) -> Tensor:
    name = f"adaptive_avg_pool{dims}d"
    x, batched = _batched(name, dims, input, "")
    return _back(unary(ops.adaptive_avg_pool, x, _output(name, dims, x, output_size)), batched)


@function(method=False)
@step("SqueezeBackward1")
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """(N, C, L) averaged down to `output_size` positions."""
    return _avg(1, input, output_size)


@checked
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """(N, C, H, W) averaged down to `output_size` (one number, or (H, W) where None keeps a size)."""
    return _avg(2, input, output_size)


@checked
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """(N, C, D, H, W) averaged down to `output_size` (one number, or (D, H, W) where None keeps a size)."""
    return _avg(3, input, output_size)


# ---------------------------------------------------------------- maximum
def _max(dims: int, input: Tensor, output_size: Any, indices: bool) -> Any:
    name = f"adaptive_max_pool{dims}d"
    x, batched = _batched(name, dims, input, ":")
    sizes = _output(name, dims, x, output_size)
    values = _back(unary(ops.adaptive_max_pool, x, sizes), batched)
    if dims == 1:
        note(values, "SqueezeBackward1")
    return keeping((values, _back(unary(ops.adaptive_max_pool_index, x, sizes), batched)), (), (1,)) if indices else values


def _define(dims: int) -> Any:
    name = f"adaptive_max_pool{dims}d"

    def f(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _max(dims, input, output_size, return_indices)

    def with_indices(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        return _max(dims, input, output_size, True)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = (
        f"The largest elements of (N, C, *S) in `output_size` windows, {dims} spatial dimension(s); with `return_indices` also where in "
        "its plane each is."
    )
    named(with_indices, f"{name}_with_indices", f"`{name}` with ``return_indices=True``.")
    return checked(f), checked(with_indices, name)


adaptive_max_pool1d, adaptive_max_pool1d_with_indices = _define(1)
adaptive_max_pool2d, adaptive_max_pool2d_with_indices = _define(2)
adaptive_max_pool3d, adaptive_max_pool3d_with_indices = _define(3)


@function(method=False, name="adaptive_max_pool1d")
def _with_indices(input: Tensor, output_size: Any) -> Any:
    """`nn.functional.adaptive_max_pool1d` with the indices: ``torch.adaptive_max_pool1d`` always gives them, too."""
    return adaptive_max_pool1d(input, output_size, True)


# ---------------------------------------------------------------- fractional
def _check_samples(dims: int, x: Tensor, samples: Tensor) -> None:
    """Refuse random numbers of another type than the input's, or fewer than it has planes."""
    if samples.dtype is not x.dtype:
        raise RuntimeError("Expect _random_samples to have the same dtype as input")
    shape = samples.shape
    if len(shape) != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {len(shape)}")
    if shape[0] < x.shape[0]:
        raise RuntimeError("Expect _random_samples.size(0) no less then input batch size.")
    if shape[1] != x.shape[1]:
        raise RuntimeError("Expect _random_samples.size(1) equals to input channel size.")
    if shape[2] != dims:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {dims}; got {shape[2]}.")


def _fractional(dims: int, input: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any, indices: bool) -> Any:
    name = f"fractional_max_pool{dims}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    x, batched = _batched(name, dims, input, ":")
    if output_size is None:
        ratios = (output_ratio,) * dims if isinstance(output_ratio, (int, float)) else tuple(output_ratio)
        if len(ratios) > dims:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of {'Ints' if dims == 2 else 'three Ints'}.")
        output_size = [int(n * ratios[d]) for d, n in enumerate(x.shape[2:])]
    for argument, given in (("kernel_size", kernel_size), ("output_size", output_size)):
        if isinstance(given, (tuple, list)) and len(given) != dims:
            raise RuntimeError(f"{name}: {argument} must either be a single Int or tuple of {'Ints' if dims == 2 else 'three Ints'}")
    kernel, sizes = _output(name, dims, x, kernel_size), _output(name, dims, x, output_size)
    for what, n, k, o in zip(("time", "height", "width")[-dims:], x.shape[2:], kernel, sizes, strict=True):
        if o + k - 1 > n:
            raise RuntimeError(f"{name}(): pool {what} {k} too large relative to input {what} {n}")
    if samples is None:
        from ..register import FUNCTIONS

        samples = FUNCTIONS["rand"](*x.shape[:2], dims, dtype=x.dtype, device=x.device)
    _check_samples(dims, x, samples)
    index = nary(ops.fractional_max_pool_index, (x, samples[: x.shape[0]]), kernel, sizes)
    values = _back(nary(ops.plane_gather, (x, index)), batched)
    result = keeping((values, _back(index, batched)) if indices else values, (input,), (1,) if indices else ())
    note(result, f"FractionalMaxPool{dims}DBackward0")
    return result


def _define_fractional(dims: int) -> Any:
    name = f"fractional_max_pool{dims}d"

    def f(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> Any:
        return _fractional(dims, input, kernel_size, output_size, output_ratio, _random_samples, return_indices)

    def with_indices(
        input: Tensor,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> Any:
        return _fractional(dims, input, kernel_size, output_size, output_ratio, _random_samples, True)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = (
        f"Maximum pooling of (N, C, *S) over pseudo-random windows to `output_size` or `output_ratio`, {dims} spatial dimensions. Graham "
        "(2014)."
    )
    named(with_indices, f"{name}_with_indices", f"`{name}` with ``return_indices=True``.")
    return checked(f), checked(with_indices, name)


fractional_max_pool2d, fractional_max_pool2d_with_indices = _define_fractional(2)
fractional_max_pool3d, fractional_max_pool3d_with_indices = _define_fractional(3)
