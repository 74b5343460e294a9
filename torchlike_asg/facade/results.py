"""``out=``: the tensors that results are written into, and which element types they may have."""

from __future__ import annotations

from typing import Any

from .. import notices
from ..asg.geometry import is_dense
from ..asg.trace import current
from ..dtypes import bool_, dtype, uint8
from ..ops.promotion import title
from ..rng.checks import C_NAME
from .core import Tensor
from .overlaps import check_out

__all__ = ["compute_in_type_of", "deliver"]

#: reductions and factories that compute in the type of ``out`` where no type is asked for
_IN_ITS_TYPE = frozenset(
    "sum prod cumsum cumprod arange range linspace logspace zeros ones empty full rand randn eye randint randperm".split()
)
#: those of them that reduce or scan a tensor
_REDUCING = frozenset(("sum", "prod", "cumsum", "cumprod"))
#: PyTorch's refusals of an ``out`` of another type than the result's, and the functions that give them. All others convert
_REFUSALS = {
    "Expected out tensor to have dtype {expected}, but got {given} instead": """addmm addmv alias_copy argmax argmin as_strided_copy baddbmm
        bmm cross cumprod cumsum diag diagonal_copy expand_copy gather isin lu_solve matmul mm mv norm permute_copy softmax view_copy""",
    "Found dtype {Given} but expected {Expected}": "abs bitwise_not ceil conj_physical floor frac neg round sgn sign trunc",
    "Expected the dtype for input and out to match, but got {Expected} for input's dtype and {Given} for out's dtype.": "amax amin",
    "dtype {Expected} does not match dtype of out parameter ({Given})": "arange linspace logspace",
    "result dtype {Given} does not match input dtype {Expected}": "dot vdot",
    "{name}() out tensor must be same dtype as the input tensor": "quantile nanquantile",
    "{name}(): self and result must have the same scalar type": "masked_select index_select",
    "self and mat2 must have the same dtype, but got {Given} and {Expected}": "addbmm",
    "expected scalar_type {Expected} but found {Given}": "cummax cummin diff logcumsumexp",
    "{name}: dtype of out: {Given} should be same as input: {Expected}": "nan_to_num",
    "{name} only supports bool tensor for result, got: {Given}": "all any",
    "{name} does not support non-boolean outputs.": "isneginf isposinf signbit",
}
_REFUSAL_OF = {name: text for text, names in _REFUSALS.items() for name in names.split()}

#: functions that give numbers of any type that ``out`` has
_CONVERTED = frozenset(("bernoulli",))


def compute_in_type_of(out: Any, name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keywords of function `name`, with the element type that ``out`` asks for."""
    if name not in _IN_ITS_TYPE or not isinstance(out, Tensor):
        return kwargs
    asked = kwargs.get("dtype")
    if asked is None:
        return kwargs if out.dtype is bool_ else {**kwargs, "dtype": out.dtype}
    if asked is not out.dtype:
        if name in _REDUCING:
            raise RuntimeError(f"Expected out tensor to have dtype {C_NAME.get(asked)}, but got {C_NAME.get(out.dtype)} instead")
        raise RuntimeError(f"dtype {title(asked)} does not match dtype of out parameter ({title(out.dtype)})")
    return kwargs


def _check_type(found: dtype, given: dtype, name: str) -> None:
    text = _REFUSAL_OF.get(name)
    if text is not None and given is not found and not (given is uint8 and found is bool_ and name in ("all", "any")):
        names = {"name": name, "expected": C_NAME.get(found), "given": C_NAME.get(given), "Expected": title(found), "Given": title(given)}
        raise RuntimeError(text.format(**names))
    if given.category < found.category and name not in _CONVERTED:
        raise RuntimeError(f"result type {title(found)} can't be cast to the desired output type {title(given)}")


def _row_major(name: str, result: Tensor, operands: Any) -> bool:
    """Whether an ``out`` that takes another shape is row-major, whatever the layout of the result is without it."""
    first = operands[0] if operands else None
    return name.startswith("fft_") or (isinstance(first, Tensor) and first.dtype.is_complex and not result.dtype.is_complex)


def deliver(result: Any, out: Any, name: str = "", operands: Any = ()) -> Any:
    """Write a result (or several) of function `name` of `operands` into ``out=`` tensors, which take its shape."""
    if isinstance(result, tuple):
        for r, o in zip(result, out, strict=True):
            deliver(r, o, name, operands)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if out.requires_grad or (result.requires_grad and current().grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    _check_type(result.dtype, out.dtype, name)
    if tuple(out.shape) != tuple(result.shape):
        if out.shape.numel():
            notices.always_said(
                f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not match the required "
                f"output shape {list(result.shape)}. This behavior is deprecated, and in a future PyTorch release outputs will not be "
                "resized unless they have zero elements: out.resize_(0) makes it so."
            )
        from .resize import resize

        shape, strides, _ = result.geometry
        resize(out, shape, strides if is_dense(shape, strides) and not _row_major(name, result, operands) else None)
    check_out(out, result, operands, name)
    return out.copy_(result)
