"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import dtypes, notices
from ...asg.trace import current
from ...ops import conv as ops
from ...ops.formula import refuse, title
from ...ops.linalg import C_NAMES
from ..core import Tensor, nary, wrap
from ..register import function
from ..remembered import recall, remember
from .arguments import wholes
from .complex import complex_, imag, real
from .padding import pad


def per_dimension(value: Any, count: int, name: str, least: int) -> tuple[int, ...]:
    """One number for each spatial dimension, at least `least`."""
    given = wholes(value)
    if len(given) not in (1, count):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {count} values to match the convolution dimensions, but got "
            f"{name}={list(given)}"
        )
    if any(v < least for v in given):
        raise RuntimeError(f"{'non-positive' if least else 'negative'} {name} is not supported")
    return given if len(given) == count else given * count


def _check(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool) -> None:
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if input.dtype is not weight.dtype:
        raise RuntimeError(
            f"Input type (torch.{title(input.dtype)}Tensor) and weight type (torch.{title(weight.dtype)}Tensor) should be the same or "
            "input should "
            "be a MKLDNN tensor and weight is a dense tensor"
        )
    if bias is not None and bias.dtype is not input.dtype:
        raise RuntimeError(f"Input type ({C_NAMES[input.dtype.name]}) and bias type ({C_NAMES[bias.dtype.name]}) should be the same")
    if input.dtype.is_complex or input.dtype is dtypes.bool_:
        raise refuse("slow_conv2d_cpu", input.dtype)
    w, x = list(weight.shape), list(input.shape)
    if 0 in w[2:]:
        sizes = ", ".join([str(k) for k in w[2:]])
        raise RuntimeError(f"kernel size should be greater than zero, but got kernel sizes {sizes}")
    if w[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size {w} instead"
        )
    if w[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size [{w}] instead"
        )
    expected = w[0] if transposed else w[1] * groups
    if x[1] != expected:
        which = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {which}, weight of size {w}, expected input{x} to have {expected} channels, but got {x[1]} channels instead"
        )
    outputs = w[1] * groups if transposed else w[0]
    if bias is not None and tuple(bias.shape) != (outputs,):
        which = f"{'transposed=1, ' if transposed else ''}weight of size {w}"
        raise RuntimeError(
            f"Given {which}, expected bias to be 1-dimensional with {outputs} elements, but got bias of size {list(bias.shape)} instead"
        )


def _batched(name: str, dims: int, input: Tensor, weight: Tensor) -> tuple[Tensor, bool]:
    rank, weight_rank = len(input.shape), len(weight.shape)
    if rank not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got input of size: {list(input.shape)}"
        )
    if weight_rank < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if weight_rank != dims + 2:
        raise RuntimeError(
            f"Expected {weight_rank}-dimensional input for {weight_rank}-dimensional weight {list(weight.shape)}, but got "
            f"{rank}-dimensional input of size {list(input.shape)} instead"
        )
    return (input, True) if rank == dims + 2 else (input.unsqueeze(0), False)  # type: ignore[attr-defined]


def _same(input: Tensor, kernel: Any, stride: Any, dilation: Any) -> tuple[Tensor, tuple[int, ...]]:
    """Padding that keeps the size; where it is odd, the extra element comes last."""
    if any(s != 1 for s in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if any(t % 2 for t in totals):
        notices.once(notices.SAME_EVEN)
        widths: list[int] = []
        for t in reversed(totals):
            widths += [0, t % 2]
        input = pad(input, widths)
    return input, tuple([t // 2 for t in totals])


def convolve(
    name: str, dims: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    """Convolution over `dims` spatial dimensions."""
    tr = current()
    key = None
    if stride.__class__ is padding.__class__ is dilation.__class__ is tuple:  # as layers have them; seen before: no checks
        key = ("conv", dims, input._n, weight._n, False if bias is None else bias._n, stride, padding, dilation, groups, tr.grad)
        found = recall(key)
        if found is not None:
            return wrap(found[0])
    slots = tr.slots
    if weight.dtype.is_complex and input.dtype.is_complex:
        return _of_complex(lambda x, w: convolve(name, dims, x, w, None, stride, padding, dilation, groups), input, weight, bias)
    x, batched = _batched(name, dims, input, weight)
    count = len(weight.shape) - 2
    stride, dilation = per_dimension(stride, count, "stride", 1), per_dimension(dilation, count, "dilation", 1)
    if isinstance(padding, str) and padding not in ("same", "valid"):
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    _check(x, weight, bias, groups, False)
    kernel = tuple(weight.shape[2:])
    if padding == "same":
        x, padding = _same(x, kernel, stride, dilation)
    padding = (0,) * count if padding == "valid" else per_dimension(padding, count, "padding", 0)
    padded = [n + 2 * p for n, p in zip(x.shape[2:], padding, strict=True)]
    effective = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(n < k for n, k in zip(padded, effective, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: ({' x '.join(map(str, padded))}). Kernel size: "
            f"({' x '.join(map(str, effective))}). "
            "Kernel size can't be greater than actual input size"
        )
    y = nary(ops.conv, (x, weight) if bias is None else (x, weight, bias), stride, padding, dilation, groups)
    if key is not None and batched and x is input and None not in key[2:5]:
        remember(key, (y._n,), tr, slots)  # type: ignore[arg-type]
    return y if batched else y.squeeze(0)  # type: ignore[attr-defined, no-any-return]


def _of_complex(of_parts: Callable[[Tensor, Tensor], Tensor], input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A bilinear function of complex tensors from that of their real and imaginary parts."""
    a, b, c, d = real(input), imag(input), real(weight), imag(weight)
    y = complex_(of_parts(a, c) - of_parts(b, d), of_parts(a, d) + of_parts(b, c))  # type: ignore[operator]
    return y if bias is None else y + bias.reshape(-1, *[1] * (weight.dim() - 2))  # type: ignore[no-any-return, attr-defined]


def convolve_transposed(
    name: str,
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    """The gradient of a convolution by its input, as a function of its own: it enlarges by `stride`."""
    if weight.dtype.is_complex and input.dtype.is_complex:

        def of_parts(x: Tensor, w: Tensor) -> Tensor:
            return convolve_transposed(name, dims, x, w, None, stride, padding, output_padding, groups, dilation)

        return _of_complex(of_parts, input, weight, bias)
    x, batched = _batched(name, dims, input, weight)
    count = len(weight.shape) - 2
    stride, dilation = per_dimension(stride, count, "stride", 1), per_dimension(dilation, count, "dilation", 1)
    padding, extra = per_dimension(padding, count, "padding", 0), per_dimension(output_padding, count, "output_padding", 0)
    _check(x, weight, bias, groups, True)
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation, strict=True)):
        names = ("depth", "height", "width")[-count:]
        named = [
            f"{what}_{n}: {v}"
            for what, values in (("output_padding", extra), ("stride", stride), ("dilation", dilation))
            for n, v in zip(names, values, strict=True)
        ]
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {' '.join(named)}")
    kernel = tuple(weight.shape[2:])
    sizes = tuple(
        [
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(x.shape[2:], stride, padding, dilation, kernel, extra, strict=True)
        ]
    )
    if any(n <= 0 for n in sizes):
        raise RuntimeError(
            f"Given input size per channel: ({' x '.join(map(str, x.shape[2:]))}). Calculated output size per channel: "
            f"({' x '.join(map(str, sizes))}). Output size is too small"
        )
    y = nary(ops.conv_transpose, (x, weight) if bias is None else (x, weight, bias), sizes, stride, padding, dilation, groups)
    return y if batched else y.squeeze(0)  # type: ignore[attr-defined, no-any-return]


def _conv(dims: int) -> Any:
    name = f"conv{dims}d"

    def f(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: tuple[int, ...] | int | str = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        return convolve(name, dims, input, weight, bias, stride, padding, dilation, groups)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = (
        f"Cross-correlation over {dims} spatial dimension{'s' * (dims > 1)}: input (N, C, *S) or (C, *S), weight (O, C / groups, *K), bias "
        "(O). "
        "`padding` is a number per dimension, 'valid' or 'same'."
    )
    return function(method=False, name=name)(f)


def _conv_transpose(dims: int) -> Any:
    name = f"conv_transpose{dims}d"

    def f(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        return convolve_transposed(name, dims, input, weight, bias, stride, padding, output_padding, groups, dilation)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = (
        f"Transposed convolution over {dims} spatial dimension{'s' * (dims > 1)}: input (N, C, *S) or (C, *S), weight (C, O / groups, *K), "
        "bias (O)."
    )
    return function(method=False, name=name)(f)


conv1d, conv2d, conv3d = _conv(1), _conv(2), _conv(3)
conv_transpose1d, conv_transpose2d, conv_transpose3d = _conv_transpose(1), _conv_transpose(2), _conv_transpose(3)


@function(method=False)
def convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Tensor:
    """The general form behind conv1d to conv3d and their transposes; the rank of `weight` decides the dimensions."""
    dims = len(weight.shape) - 2
    if transposed:
        return convolve_transposed(f"conv_transpose{dims}d", dims, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return convolve(f"conv{dims}d", dims, input, weight, bias, stride, padding, dilation, groups)


@function(method=False)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """Convolution over time with the dimensions (time, batch, channels); weight (kernel, C, O), bias (O)."""
    y = conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad)  # type: ignore[attr-defined]
    return y.permute(2, 0, 1).contiguous()  # type: ignore[no-any-return]
