"""Mixed precision: which functions an autocast region has computed in its 16-bit type, in float32, or in their operands' widest type.

A function that PyTorch lists is wrapped by `governed` when it is defined. Outside of regions the wrapper passes the call on; inside,
it casts floating-point operands of the region's device first. A cast is a node like any other, so that the compiler casts a weight once
however often it is used (what PyTorch's cache of weights is for), and gradients come back in the weight's own type. What the function
calls in turn is not governed again, and neither is what writes in place or into ``out=``, as in PyTorch.

The lists are those of PyTorch 2.13: for the CPU as its functions behave, for "wgpu" those of its GPUs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .. import dtypes
from ..dtypes import dtype
from .core import Tensor
from .parsing import read_again

F = TypeVar("F", bound=Callable[..., Any])

#: by thread: the 16-bit type of each device type with an enabled region. Empty where no thread is in one
REGIONS: dict[int, dict[str, dtype]] = {}

#: policies: the region's type; float32 for 16-bit operands; the widest floating type among the operands; as they are; an error
LOWER, FULL, WIDEST, KEEP, BANNED = "lower", "float32", "widest", "keep", "banned"

_PRODUCTS = """linear matmul mm bmm inner einsum tensordot chain_matmul multi_dot addmm addbmm baddbmm conv1d conv2d conv3d conv_tbc
    conv_transpose1d conv_transpose2d conv_transpose3d scaled_dot_product_attention prelu"""
_LOSSES = """nll_loss cross_entropy mse_loss l1_loss smooth_l1_loss huber_loss kl_div binary_cross_entropy_with_logits poisson_nll_loss
    soft_margin_loss hinge_embedding_loss cosine_embedding_loss margin_ranking_loss triplet_margin_loss multilabel_margin_loss
    multi_margin_loss prod cdist pdist"""

_LISTS = {
    "cpu": {
        LOWER: _PRODUCTS,
        FULL: _LOSSES
        + """ binary_cross_entropy ctc_loss reflection_pad trace avg_pool3d adaptive_avg_pool3d adaptive_max_pool3d grid_sample
        quantile nanquantile stft fft_fft fft_ifft fft_rfft fft_irfft fft_hfft fft_ihfft fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2
        fft_fftn fft_ifftn fft_rfftn fft_irfftn
        inverse inv pinv pinverse det slogdet logdet svd svd_full svdvals qr qr_mode cholesky cholesky_inverse cholesky_solve eigh eigvalsh
        linalg_cholesky lstsq solve matrix_rank triangular_solve solve_triangular tensorinv tensorsolve
        cond matrix_exp""",
        WIDEST: "cat stack index_copy",
        KEEP: "bilinear",
    },
    "wgpu": {
        LOWER: _PRODUCTS + " convolution mv addmv addr",
        FULL: _LOSSES
        + """ acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow softplus softmax
        log_softmax softmin layer_norm rms_norm group_norm norm vector_norm matrix_norm cosine_similarity dist renorm logsumexp sum cumsum
        cumprod interpolate""",
        WIDEST: "addcdiv addcmul atan2 bilinear cross dot vdot grid_sample index_put scatter_add cat stack index_copy",
        BANNED: "binary_cross_entropy",
    },
}
#: function -> device type -> policy
POLICIES: dict[str, dict[str, str]] = {}
for _device, _lists in _LISTS.items():
    for _policy, _names in _lists.items():
        for _name in _names.split():
            POLICIES.setdefault(_name, {})[_device] = _policy

_UNSAFE = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast: a probability in 16 bits is often exactly "
    "0 or 1.\nGive the scores before the sigmoid to torch.nn.functional.binary_cross_entropy_with_logits or torch.nn.BCEWithLogitsLoss, "
    "which are safe to autocast."
)


def governed(fn: F, name: str = "") -> F:
    """`fn`, which follows the policies of its name (its own by default) in autocast regions; `fn` itself if there are none.

    There is one more call between a user's line and the function: its warnings count it (``stacklevel``).
    """
    policies = POLICIES.get(name or fn.__name__)
    if policies is None:
        return fn

    @functools.wraps(fn)
    def offered(*args: Any, **kwargs: Any) -> Any:
        try:
            if not REGIONS:
                return fn(*args, **kwargs)
            return by_policy(fn, policies, args, kwargs)
        except Exception as error:
            return read_again(fn, args, kwargs, error, offered)

    return offered  # type: ignore[return-value]


def by_policy(fn: Callable[..., Any], policies: dict[str, str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``fn(*args, **kwargs)`` under the policies of its name, in this thread's region if it is in one."""
    me = threading.get_ident()
    region = REGIONS.get(me)
    if region is None or kwargs.get("out") is not None:
        return fn(*args, **kwargs)
    target: dict[str, dtype | None] = {}
    for device, low in region.items():
        policy = policies.get(device)
        if policy == LOWER:
            target[device] = low
        elif policy == FULL:
            target[device] = dtypes.float32
        elif policy == WIDEST:
            target[device] = _widest(args, device)
        elif policy == KEEP:
            target[device] = None
        elif policy == BANNED and any(t.device.type == device for t in _tensors(args)):
            raise RuntimeError(_UNSAFE)
    if not target:
        return fn(*args, **kwargs)
    args = tuple([_cast(a, target) for a in args])
    kwargs = {k: _cast(a, target) for k, a in kwargs.items()}
    del REGIONS[me]  # what it is made of is not governed
    try:
        return fn(*args, **kwargs)
    finally:
        REGIONS[me] = region


def cast_operands(device: str, *values: Any) -> tuple[Any, ...]:
    """Operands of a layer that is listed as a whole, in the type of the region of a device type, if there is one."""
    region = REGIONS.get(threading.get_ident()) if REGIONS else None
    low = None if region is None else region.get(device)
    return values if low is None else tuple([_cast(v, {device: low}) for v in values])


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for v in values:
        if isinstance(v, Tensor):
            found.append(v)
        elif v.__class__ in (list, tuple):
            found += _tensors(v)
    return found


def _widest(args: tuple[Any, ...], device: str) -> dtype | None:
    """float32 if a floating operand has it, else nothing is cast."""
    types = {t.dtype for t in _tensors(args) if t.device.type == device}
    return dtypes.float32 if dtypes.float32 in types and len(types) > 1 else None


def _cast(value: Any, target: dict[str, dtype | None]) -> Any:
    """A tensor in its device's target type, if it is a floating one of at most 32 bits; also inside lists and tuples."""
    if isinstance(value, Tensor):
        d = value.dtype
        if d.is_floating_point and d is not dtypes.float64:
            to = target.get(value.device.type)
            if to is not None and to is not d:
                return value.to(to)  # type: ignore[attr-defined]
        return value
    if value.__class__ in (list, tuple):
        return value.__class__([_cast(v, target) for v in value])
    return value
