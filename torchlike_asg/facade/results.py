"""``out=``: the tensors that results are written into, and which element types they may have."""

from __future__ import annotations

from typing import Any

from .. import notices
from ..asg.geometry import is_dense
from ..asg.trace import current
from ..dtypes import bool_, dtype, int32, promote_types, uint8
from ..ops.promotion import title
from ..rng.checks import C_NAME
from .core import Tensor
from .overlaps import check_out

__all__ = ["compute_in_type_of", "deliver"]

#: reductions and factories that compute in the type of ``out`` where no type is asked for
_IN_ITS_TYPE = frozenset(
    """arange cumprod cumsum empty eye full linspace logspace nansum ones prod rand randint randn randperm range sum zeros
    """.split()
)
#: those that fill an ``out`` of as many elements as it stands
_FILLING = frozenset(("arange", "linspace", "logspace", "range"))
#: those of them that reduce or scan a tensor
_REDUCING = frozenset(("sum", "prod", "cumsum", "cumprod", "nansum"))
#: those that make booleans, too
_OF_BOOLEANS = frozenset(("sum", "prod", "zeros", "ones", "empty", "full", "eye"))
#: reductions that have no such argument, and compute in a wider type of ``out`` all the same
_IN_WIDER_TYPE = frozenset(("logsumexp", "mean", "nanmean", "std", "var"))
#: PyTorch's refusals of an ``out`` of another type than the result's, and the functions that give them. All others convert
_REFUSALS = {
    "Expected out tensor to have dtype {expected}, but got {given} instead": """addmm addmv alias_copy aminmax argmax argmin argsort
        as_strided_copy baddbmm bmm cholesky_ex cross cumprod
        cumsum det detach_copy diag diagonal_copy eigh eigvalsh expand_copy gather index_add index_copy index_reduce
        inv inv_ex inverse isin lu_factor lu_solve matmul matrix_power mm msort mv norm permute_copy qr qr_mode renorm
        scatter scatter_add scatter_reduce select_copy slice_copy slogdet softmax solve sort split_copy squeeze_copy
        svd svd_full svdvals t_copy take_along_dim topk transpose_copy tril triu unfold_copy unsqueeze_copy
        vector_norm view_as_real_copy view_copy ldl_factor ldl_factor_ex linalg_cholesky lu lu_factor_ex slice_scatter triangular_solve""",
    "Found dtype {Given} but expected {Expected}": """abs bitwise_not ceil clamp clamp_max clamp_min conj_physical floor frac neg round sgn
        sign trunc""",
    "Expected the dtype for input and out to match, but got {Expected} for input's dtype and {Given} for out's dtype.": "amax amin",
    "dtype {Expected} does not match dtype of out parameter ({Given})": "arange linspace logspace",
    "result dtype {Given} does not match input dtype {Expected}": "dot vdot",
    "{name}() out tensor must be same dtype as the input tensor": "quantile nanquantile",
    "{name}(): self and result must have the same scalar type": "masked_select index_select",
    "{name}(): self and out expected to have the same dtype, but got self.dtype = {Expected} and out.dtype = {Given}": "take",
    "{name}: Expected out tensor to have scalar type {Expected} but got scalar type {Given}": "nonzero nonzero_static",
    "{name}: Expected the output tensor to have dtype {Expected}, but got an output tensor with dtype {Given}": "inner tensordot",
    "{name}(): expected out tensor to have dtype {expected} but got {given}": "multi_dot",
    "torch.{name}() expects mantissa to have dtype {expected} but got {given}": "frexp",
    "{name}: Expected out of dtype {Expected} but found {Given}": "matrix_norm vecdot",
    "{name}: Expected input and result to have the same dtype, but input has dtype {Expected} and result has dtype {Given}": "ormqr",
    "{name}: input tensor and out tensor should have the same dtype, but got input {expected} and out {given}": "histc",
    "{name} is not yet implemented for tensors with different dtypes.": "heaviside",
    "{name} expects Long tensor out, got: {Given}": "multinomial",
    "the output given to {name} has dtype {Given} but the operation's result requires dtype {Expected}": "float_power",
    "expected scalar type {Expected} but found {Given}": "kthvalue median mode nanmedian solve_triangular",
    "Expected out type to be {Expected} but got {Given}": "where",
    "Expected object of scalar type {Expected} but got scalar type {Given} for argument 'out'": "complex polar",
    "Expected self.dtype() == output.dtype() to be true, but got {Expected} and {Given}": "narrow_copy",
    "torch.{name}(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending on whether out_int32 flag is True, "
    "but we got output tensor's dtype {Given} and out_int32 flag is {narrow}": "bucketize searchsorted",
    "self and mat2 must have the same dtype, but got {Given} and {Expected}": "addbmm",
    "expected scalar_type {Expected} but found {Given}": "cummax cummin logcumsumexp",
    "{name}: dtype of out: {Given} should be same as input: {Expected}": "nan_to_num",
    "{name} only supports bool tensor for result, got: {Given}": "all any",
    "{name} does not support non-boolean outputs.": "isneginf isposinf signbit",
}
#: functions that refuse it of results in several parts only: of a binary one they convert
_OF_PARTS = dict.fromkeys(("max", "min"), "Expected out tensor to have dtype {expected}, but got {given} instead")
_REFUSAL_OF = {name: text for text, names in _REFUSALS.items() for name in names.split()}

#: transforms whose results are real, under the name that PyTorch refuses a complex ``out`` by
_REAL_TRANSFORMS = {f"fft_{kind}{many}": kind + ("n" if many else "") for kind in ("irfft", "hfft") for many in ("", "2", "n")}
#: functions that refuse it where their bounds are numbers only
_OF_NUMBERS = frozenset(("clamp", "clamp_max", "clamp_min"))
#: functions that join tensors, whose refusal is `cat`'s
_JOINING = frozenset(("cat", "column_stack", "dstack", "hstack", "row_stack", "stack", "vstack"))
#: functions that give numbers of any type that ``out`` has
_CONVERTED = frozenset(("bernoulli",))


def compute_in_type_of(out: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments and keywords of function `name`, with the element type that ``out`` asks for."""
    if not isinstance(out, Tensor):
        return args, kwargs
    if name in _IN_WIDER_TYPE and args and isinstance(args[0], Tensor) and out.dtype.is_floating_point:
        input = args[0]
        if input.dtype.is_floating_point and promote_types(input.dtype, out.dtype) is not input.dtype:
            return (input.to(out.dtype), *args[1:]), kwargs  # type: ignore[attr-defined]
    return args, _typed(out, name, kwargs)


def _typed(out: Tensor, name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    if name not in _IN_ITS_TYPE:
        return kwargs
    asked = kwargs.get("dtype")
    if asked is None:
        return kwargs if out.dtype is bool_ and name not in _OF_BOOLEANS else {**kwargs, "dtype": out.dtype}
    if asked is not out.dtype:
        if name in _REDUCING:
            raise RuntimeError(f"Expected out tensor to have dtype {C_NAME.get(asked)}, but got {C_NAME.get(out.dtype)} instead")
        raise RuntimeError(f"dtype {title(asked)} does not match dtype of out parameter ({title(out.dtype)})")
    return kwargs


def _refuse(text: str, found: dtype, given: dtype, name: str) -> None:
    if given is not found:
        names = {"name": name, "expected": C_NAME.get(found), "given": C_NAME.get(given), "Expected": title(found), "Given": title(given)}
        raise RuntimeError(text.format(**names, narrow=found is int32))


def _check_type(found: dtype, given: dtype, name: str, operands: Any) -> None:
    text = _REFUSAL_OF.get(name)
    if name in _OF_NUMBERS and sum([isinstance(v, Tensor) for v in operands]) > 1:
        text = None
    if text is not None and not (given is uint8 and found is bool_ and name in ("all", "any")):
        _refuse(text, found, given, name)
    if given.is_complex and name in _REAL_TRANSFORMS:
        raise RuntimeError(f"{_REAL_TRANSFORMS[name]} expects a floating point output tensor, but got {title(given)}")
    if given.category < found.category and name in _JOINING:
        raise TypeError(f"torch.cat(): input types can't be cast to the desired output type {title(given)}")
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
            if name in _OF_PARTS:
                _refuse(_OF_PARTS[name], r.dtype, o.dtype, name)
            deliver(r, o, name, operands)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if out.requires_grad or (result.requires_grad and current().grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    _check_type(result.dtype, out.dtype, name, operands)
    if name in _FILLING and out.shape.numel() == result.shape.numel():
        result = result.reshape(out.shape)  # type: ignore[attr-defined]
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
