"""Tensor methods of PyTorch's that are left out on purpose: looking one up says why, and `hasattr` sees it as absent."""

from __future__ import annotations

from typing import Any, NoReturn

from ...errors import Unsupported, refuses
from ..core import Tensor
from ..register import method

_DENSE = "this tensor is dense: x.to_sparse() makes a sparse COO tensor of it, x.to_sparse_csr() a CSR matrix"
_QUANTISED = "there are no quantised tensors here"
_REASONS = {
    **dict.fromkeys(("to_sparse_csc", "to_sparse_bsr"), _DENSE),
    **dict.fromkeys(("coalesce", "indices", "values", "crow_indices", "col_indices"), _DENSE),
    **dict.fromkeys(("int_repr", "q_scale", "q_zero_point", "qscheme", "dequantize"), _QUANTISED),
    **dict.fromkeys(("q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis"), _QUANTISED),
    "chalf": "no tensor can have the type complex32; use x.cfloat()",
    **dict.fromkeys(("lstsq", "solve", "eig", "symeig"), "PyTorch removed it; use the function of torch.linalg"),
    **dict.fromkeys(("to_sparse_bsc", "ccol_indices", "row_indices", "smm", "sspaddmm", "sparse_resize_", "to_padded_tensor"), _DENSE),
    "sparse_resize_and_clear_": _DENSE,
    "slice_inverse": "it is a step of PyTorch's own gradients; use torch.slice_scatter",
    "hash_tensor": "compare tensors with torch.equal",
    **dict.fromkeys(("xpu", "ipu", "mtia"), "there is no such device; x.to('wgpu') moves to the GPU"),
    "record_stream": "a device has one queue and no streams; guard it by torch.cuda.is_available()",
    "reinforce": "PyTorch removed it; use torch.distributions.Categorical(probs=probs).log_prob(action)",
    "pin_memory": "it speeds up copies to CUDA devices, of which there are none; leave it out, or guard it by torch.cuda.is_available()",
    "index": "it binds dimension objects, which are not here; index a tensor with x[...] or x.index_select(dim, index)",
    "to_mkldnn": "a tensor has one layout here",
}


def _absent(name: str, reason: str) -> Any:
    @refuses
    def refuse(self: Tensor) -> NoReturn:
        raise Unsupported(f"Tensor.{name} is not implemented: {reason}")

    return property(refuse, doc=f"Raises Unsupported: {reason}.")


for _name, _reason in _REASONS.items():
    setattr(Tensor, _name, _absent(_name, _reason))


@method()
@refuses
def share_memory_(self: Tensor) -> NoReturn:
    """Not supported: tensors are not shared between processes."""
    raise Unsupported("share_memory_() is not supported: pass NumPy arrays in multiprocessing.shared_memory between processes instead")
