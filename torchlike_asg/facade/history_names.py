"""PyTorch's names for the steps of a history: ``AddBackward0``, ``MmBackward0``, ``CopySlices``.

The number behind a name tells PyTorch's overloads of one operation apart; it follows from the operands and attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..asg.declare import CONST, IDENTITIES, INPUT, REBIND, SNAP
from ..asg.geometry import is_contiguous
from ..asg.keeps import KEEPING
from ..asg.node import Node
from ..devices import free

_NAMES = {
    "argument": "Alias",
    "avg_pool": "AvgPool",
    "batch_norm": "NativeBatchNorm",
    "batch_norm_eval": "NativeBatchNorm",
    "cast": "ToCopy",
    "transfer": "ToCopy",
    "cholesky": "LinalgCholeskyEx",
    "complex_of": "ViewAsComplex",
    "conj": "ConjPhysical",
    "contiguous": "Clone",
    "conj_of": "Conj",
    "conv": "Convolution",
    "conv_transpose": "Convolution",
    "det": "LinalgDet",
    "eigh_vectors": "LinalgEigh",
    "eigvalsh": "LinalgEigh",
    "einsum": "View",
    "group_norm": "NativeGroupNorm",
    "gru": "Stack",
    "imag_of": "Select",
    "instance_norm": "View",
    "inverse": "LinalgInvEx",
    "layer_norm": "NativeLayerNorm",
    "log1p": "Log1P",
    "lstm": "MkldnnRnnLayer",
    "restride_at": "AsStrided",
    "rnn": "Stack",
    "logsigmoid": "LogSigmoid",
    "window": "Slice",
    "pad_at": "ConstantPadNd",
    "roll_at": "Roll",
    "tril_at": "Tril",
    "triu_at": "Triu",
    "absolute_error": "Abs",
    "binary_cross_entropy_logits": "BinaryCrossEntropyWithLogits",
    "deg2rad": "Deg2Rad",
    "det_sign": "LinalgSlogdet",
    "eig_vectors": "LinalgEig",
    "eigvals": "LinalgEig",
    "entr": "SpecialEntr",
    "erfcx": "SpecialErfcx",
    "fft": "FftC2C",
    "i0e": "SpecialI0E",
    "i1": "SpecialI1",
    "i1e": "SpecialI1E",
    "irfft": "FftC2R",
    "log_ndtr": "SpecialLogNdtr",
    "logabsdet": "LinalgSlogdet",
    "frexp_mantissa": "Frexp",
    "lu_compact": "LinalgLuFactorEx",
    "matrix_exp": "LinalgMatrixExp",
    "ndtri": "SpecialNdtri",
    "reflect": "LinalgHouseholderProduct",
    "rfft": "FftR2C",
    "xlog1py": "SpecialXlog1Py",
    "gelu_tanh": "Gelu",
    "huber": "HuberLoss",
    "im2col": "Im2Col",
    "rad2deg": "Rad2Deg",
    "smooth_l1": "SmoothL1Loss",
    "soft_margin": "SoftMarginLoss",
    "squared_error": "MseLoss",
    "pad_constant": "ConstantPadNd",
    "neg_of": "NegView",
    "pairs_of": "ViewAsReal",
    "pinv": "LinalgPinv",
    "prelu": "PreluKernel",
    "qr_q": "LinalgQr",
    "qr_r": "LinalgQr",
    "real_of": "Select",
    "reshape": "UnsafeView",
    "repeat_interleave": "View",
    "rms_norm": "Mul",
    "solve": "LinalgSolveEx",
    "solve_triangular": "LinalgSolveTriangular",
    "svd_left": "LinalgSvd",
    "svd_right": "LinalgSvd",
    "svdvals": "LinalgSvd",
    "variance": "Var",
    "vector_norm": "LinalgVectorNorm",
}
#: losses are recorded as an elementwise operation and its mean or sum
_LOSSES = {
    "squared_error": "MseLoss",
    "smooth_l1": "SmoothL1Loss",
    "huber": "HuberLoss",
    "binary_cross_entropy": "BinaryCrossEntropy",
    "binary_cross_entropy_logits": "BinaryCrossEntropyWithLogits",
    "soft_margin": "SoftMarginLoss",
}
_PICKED = {"argmax": "Max", "argmin": "Min", "median_index": "Median", "kth_index": "Kthvalue", "mode_index": "Mode", "topk_index": "Topk",
           "argsort": "Sort", "unstable_order": "Sort", "topk_unstable": "Topk", "kth_unstable": "Kthvalue", "mode_unstable": "Mode",
           "cummax_index": "Cummax", "cummin_index": "Cummin"}  # fmt: skip


#: operations that are one of several results of PyTorch's step, by which of them it is
_PLACES = {"qr_r": 1, "svdvals": 1, "svd_right": 2, "eigh_vectors": 1, "eig_vectors": 1, "logabsdet": 1}


def place(n: Node) -> int:
    """Which result of its step a node is."""
    found = getattr(n.op, "output", None)  # of a custom Function
    return _PLACES.get(n.op.name, 0) if found is None else found


def number(n: Node) -> bool:
    """Whether an operand is a Python number: a literal, or run-time data once other values were seen at its place."""
    return n.op is CONST or n.device is free or (n.op is INPUT and n.attrs[2] == "number")


def _whole(n: Node) -> bool:
    dims, keepdim = n.attrs[0], n.attrs[-1]
    return len(dims) == n.srcs[0].ndim and not keepdim


def _reduction(n: Node) -> str:
    inner = n.srcs[0]
    if n.op.name in ("sum", "mean") and inner.op.name in _LOSSES and _whole(n):
        return _LOSSES[inner.op.name] + "Backward0"
    return f"{n.op.name.capitalize()}Backward{0 if _whole(n) else 1}"


def _extreme(n: Node) -> str:
    return f"{n.op.name.capitalize()}Backward{1 if _whole(n) else 0}"


def _matmul(n: Node) -> str:
    ranks = tuple(s.ndim for s in n.srcs)
    if ranks == (1, 2):
        return "SqueezeBackward4"
    return {(1, 1): "Dot", (2, 1): "Mv", (2, 2): "Mm"}.get(ranks, "UnsafeView") + "Backward0"


def _linear(n: Node) -> str:
    biased = len(n.srcs) > 2
    if n.srcs[0].ndim == 1 and not biased:
        return "SqueezeBackward4"
    if n.srcs[0].ndim != 2:
        whole = is_contiguous(tuple(n.srcs[0].shape), n.srcs[0].strides)
        return ("UnsafeView" if not biased else "View" if whole else "Add") + "Backward0"
    return ("Addmm" if biased else "Mm") + "Backward0"


def _pow(n: Node) -> str:
    return f"PowBackward{0 if number(n.srcs[1]) else 2 if number(n.srcs[0]) else 1}"


def _permute(n: Node) -> str:
    return _moved(sum(1 for i, d in enumerate(n.attrs) if d != i))


def _spatial(name: str, offset: int = 2) -> Callable[[Node], str]:
    return lambda n: f"{name.format(n.ndim - offset)}Backward0"


def _interpolate(n: Node) -> str:
    rank, mode = n.ndim - 2, n.attrs[1]
    kind = {"nearest-exact": "NearestExact", "linear": ("", "Linear", "Bilinear", "Trilinear")[rank]}.get(mode, str(mode).capitalize())
    return f"Upsample{kind}{rank}DBackward0"


def _mirror(n: Node) -> str:
    rank = len(n.attrs[0]) if n.op.name == "mirror_at" else sum(1 for a, b in n.attrs[0] if a or b)
    return {"reflect": f"ReflectionPad{rank}D", "replicate": f"ReplicationPad{rank}D"}.get(str(n.attrs[1]), "Cat") + "Backward0"


def _picked(n: Node) -> str:
    source = n.srcs[1].op.name
    name = _PICKED.get(source)
    if name is None:
        return "GatherBackward0"
    return f"{name}Backward{1 if name == 'Median' else 0}"


def _reshape(n: Node) -> str:
    inner = n.srcs[0]
    while inner.op in IDENTITIES:
        inner = inner.srcs[0]
    if inner.op.name == "pick":
        return _picked(inner)
    return "ViewBackward0" if is_contiguous(tuple(inner.shape), inner.strides) else "UnsafeViewBackward0"


def _attention(n: Node) -> str:
    q, k, v, *mask = n.srcs
    flash = q.ndim == 4 and q.shape[-1] == k.shape[-1] == v.shape[-1] and not any(m.rg for m in mask)
    return "ScaledDotProductFlashAttentionForCpuBackward0" if flash else "UnsafeViewBackward0"


def _cross_entropy(n: Node) -> str:
    if n.attrs[-1]:
        return "AddBackward0"
    return "NllLossBackward0" if n.srcs[0].ndim <= 2 else "NllLoss2DBackward0"


def _clamp(n: Node) -> str:
    inner = n.srcs[0]
    while inner.op in IDENTITIES:
        inner = inner.srcs[0]
    limit = number(n.srcs[1])
    if inner.op.name == "clamp_min" and (number(inner.srcs[1])) == limit:
        return f"ClampBackward{1 if limit else 0}"
    return f"ClampMaxBackward{0 if limit else 1}"


def _restride(n: Node) -> str:
    """A view of which only the geometry is known: what made it, if its storage was not written since."""
    if n.srcs[0].op.name in ("restride_scatter", "restride_put") or any(s.op in (SNAP, REBIND) for s in n.srcs[0].srcs):
        return "AsStridedBackward0"
    (shape, strides, offset), base = n.attrs[:3], n.srcs[0]
    whole, steps = tuple(base.shape), tuple(base.strides)
    layout = list(zip(shape, strides, strict=True))
    here = list(zip(whole, steps, strict=True))
    if len(layout) == len(here) and sorted(layout) == sorted(here) and offset == base.offset:
        return _moved(sum(1 for a, b in zip(layout, here, strict=True) if a != b))
    if is_contiguous(tuple(shape), strides) and math.prod(shape) == math.prod(whole) and is_contiguous(whole, steps):
        return "ViewBackward0"
    if any([*here[:d], *here[d + 1 :]] == layout for d in range(len(here))):
        return "SelectBackward0"
    if len(layout) == len(here):
        return "SliceBackward0" if tuple(strides) == steps else "ExpandBackward0" if 0 in strides else "AsStridedBackward0"
    return "ExpandBackward0" if 0 in strides else "AsStridedBackward0"


def _moved(dims: int) -> str:
    return "TransposeBackward0" if dims == 2 else "PermuteBackward0"


def _fft(n: Node) -> str:
    return "FftR2CBackward0" if n.srcs[0].op.name == "rfft" else "FftC2CBackward0"


def _relayout(n: Node) -> str:
    if n.srcs[0].op.name == "fft":
        return _fft(n.srcs[0])
    return "ToCopyBackward0" if n.attrs[1:] == ("to",) else "CloneBackward0"


def _fill(n: Node) -> str:
    zero = n.srcs[1].op is CONST and not n.srcs[1].attrs[0]
    return "ZeroBackward0" if zero else f"FillBackward{2 if number(n.srcs[1]) else 3}"


_BY_NODE: dict[str, Callable[[Node], str]] = {
    "adaptive_avg_pool": lambda n: "MeanBackward1" if set(n.attrs[0]) == {1} and n.ndim == 4 else f"AdaptiveAvgPool{n.ndim - 2}DBackward0",
    "adaptive_max_pool": _spatial("AdaptiveMaxPool{}D"),
    "avg_pool": _spatial("AvgPool{}D"),
    "clamp_max": _clamp,
    "clamp_min": lambda n: f"ClampMinBackward{0 if number(n.srcs[1]) else 1}",
    "copysign": lambda n: f"CopysignBackward{1 if number(n.srcs[1]) else 0}",
    "div": lambda n: "MulBackward0" if number(n.srcs[0]) else "DivBackward0",
    "conj": lambda n: "ConjBackward0" if n.srcs[0].op.name == "rfft" else "ConjPhysicalBackward0",
    "fft": _fft,
    "fill": _fill,
    "floor_divide": lambda n: "DivBackward2",
    "grid_sample": lambda n: f"GridSampler{n.ndim - 2}DBackward0",
    "grid_sample_nearest": lambda n: f"GridSampler{n.ndim - 2}DBackward0",
    "fmod": lambda n: f"FmodBackward{0 if number(n.srcs[1]) else 1}",
    "interpolate": _interpolate,
    "linear": _linear,
    "lerp": lambda n: f"LerpBackward{0 if number(n.srcs[2]) else 1}",
    "masked_fill": lambda n: f"MaskedFillBackward{0 if number(n.srcs[-1]) else 1}",
    "matmul": _matmul,
    "max_unpool": lambda n: f"MaxUnpool{n.ndim - 2}DBackward0",
    "max": _extreme,
    "max_pool": _spatial("MaxPool{}DWithIndices"),
    "mean": _reduction,
    "median": lambda n: "MedianBackward0",
    "min": _extreme,
    "nll_loss": lambda n: "NllLossBackward0" if n.srcs[0].ndim <= 2 else "NllLoss2DBackward0",
    "cross_entropy": _cross_entropy,
    "cross_entropy_soft": lambda n: "DivBackward1" if n.attrs[0] == "mean" else "NegBackward0",
    "kl_divergence": lambda n: "SubBackward0",
    "kl_divergence_log": lambda n: "MulBackward0",
    "pad_mirror": _mirror,
    "mirror_at": _mirror,
    "permute": _permute,
    "pick": _picked,
    "pow": _pow,
    "prod": _reduction,
    "scaled_dot_product_attention": _attention,
    "relayout": _relayout,
    "remainder": lambda n: f"RemainderBackward{0 if number(n.srcs[1]) else 1}",
    "reshape": _reshape,
    "restride": _restride,
    "scatter": lambda n: f"ScatterBackward{1 if number(n.srcs[-1]) else 0}",
    "squeeze": lambda n: "SqueezeBackward1",
    "add_scaled": lambda n: "SubBackward0" if n.attrs[0] else "AddBackward0",
    "sub": lambda n: "RsubBackward1" if number(n.srcs[0]) else "SubBackward0",
    "sum": _reduction,
    "sum_to": lambda n: "SumBackward1",
    "trunc_divide": lambda n: "DivBackward2",
}
_WHOLE = {
    "restride_scatter": "torch::autograd::CopySlices",
    "restride_put": "torch::autograd::CopySlices",
    "unbits": "torch::autograd::CopySlices",
    "window_put": "torch::autograd::CopySlices",
    "copy": "torch::autograd::CopyBackwards",
}


def title(n: Node, kind: Any = None) -> str:
    """PyTorch's name of the backward step that undoes `n`; `kind` "multi" is one of several views made at once."""
    while n.op in KEEPING or n.op is REBIND or (n.op is SNAP and not n.srcs[0].op.view):  # another value or version, the same history
        n = n.srcs[0]
    if n.op is SNAP:  # a part that shares memory and is a result of its own
        return "UnsafeSplitBackward0"
    name = n.op.name
    if name.endswith("Backward"):  # a custom Function names itself
        return name
    if name in _WHOLE:
        return _WHOLE[name]
    if kind is not None and kind.startswith("multi"):
        if name in ("select", "slice", "window"):
            return "UnbindBackward0" if name == "select" else "SplitBackward0"
    by_node = _BY_NODE.get(name)
    if by_node is not None:
        return by_node(n)
    return (_NAMES.get(name) or "".join(part.capitalize() for part in name.strip("_").split("_"))) + "Backward0"


def step_noted(t: Any, n: Node) -> str | None:
    """The name noted on tensor `t`, of node `n`, by the function that gave it (`steps.note`)."""
    found = t.__dict__.get("_step")
    return found[1] if found is not None and found[0] == n.serial else None


def output(t: Any) -> str:
    """Which output of which function a view made with others at once is: "Output 1 of Split", for PyTorch's messages."""
    noted = t.__dict__.get("_output")
    if noted is not None:
        return noted  # type: ignore[no-any-return]
    (whole, steps, _), (shape, strides, offset) = t._f.cell.geometry, t.geometry
    for d, size in enumerate(whole):
        start = offset // steps[d] % size if steps[d] and size else 0
        if (*whole[:d], *whole[d + 1 :]) == tuple(shape) and (*steps[:d], *steps[d + 1 :]) == tuple(strides):
            return f"Output {start} of Unbind"
        if len(shape) == len(whole) and shape[d] != size:
            return f"Output {start // max(shape[d], 1)} of Split"
    return "Output 0 of " + ("Split" if len(shape) == len(whole) else "Unbind")


def operands(n: Node) -> tuple[Node, ...]:
    """The operands PyTorch's step has: losses are one step."""
    if n.op is REBIND:
        return n.srcs[:1]
    if n.op.name == "unbits":  # a write through a view of another type: the storage as it was, and what was written
        whole, value = n.srcs[0].srcs
        return whole.srcs[0], value
    if n.op.name in ("sum", "mean") and n.srcs[0].op.name in _LOSSES and _whole(n):
        return n.srcs[0].srcs
    if n.op.name == "reshape":  # what an extreme value was picked by is one step
        inner = n.srcs[0]
        while inner.op in IDENTITIES:
            inner = inner.srcs[IDENTITIES[inner.op]]
        return inner.srcs if inner.op.name == "pick" else n.srcs
    return n.srcs
