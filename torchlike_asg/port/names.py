"""PyTorch's names and what became of each: supported, shimmed (there, and does less or something else), missing.

What is supported is found by looking it up in this package, so it cannot be out of date. What only a person can know is in two tables:
`SHIMS` says what a shim does, `INSTEAD` what to use in place of a missing name. `torch_names.txt` lists the names of PyTorch's own
namespaces, so that a missing name can be told from a misspelt one, and a tensor's method from another object's.
"""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import Unsupported

__all__ = ["INSTEAD", "NAMESPACES", "SHIMS", "Status", "canonical", "missing", "status", "supported", "torch_names"]

_PACKAGE = __name__.partition(".")[0]
#: PyTorch's namespaces whose names docs/porting.md lists
NAMESPACES = (
    "torch",
    "torch.Tensor",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.nn.utils.rnn",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.autograd",
    "torch.autograd.functional",
    "torch.utils.data",
    "torch.distributions",
    "torch.linalg",
    "torch.special",
    "torch.fft",
    "torch.func",
)
#: attributes of a tensor that PyTorch's does not have
_OURS = frozenset({"geometry"})
#: name, or beginning of names, that is here and does less than in PyTorch -> what it does
SHIMS = {
    "torch._C": "a few names that packages look up",
    "torch._dynamo": "settings are remembered and change nothing",
    "torch._inductor": "settings are remembered and change nothing",
    "torch.fx": "its classes can be named and have no instances; tracing raises",
    "torch.fx.symbolic_trace": None,
    "torch.nn.attention": "sdpa_kernel is checked and changes nothing; flex_attention computes all scores",
    **{f"torch.float8_{kind}": "can be named; no tensor has this type" for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")},
    **{f"torch.uint{bits}": "can be named; no tensor has this type" for bits in (16, 32, 64)},
    "torch.accelerator": "reports the accelerators that this package has",
    "torch.backends": "settings are remembered and change nothing",
    "torch.cond": "looks at the condition and calls one function",
    "torch.while_loop": "looks at the condition before every call",
    "torch.cpu": "streams and events are accepted and do nothing",
    "torch.lobpcg": "all eigenvalues are computed, not only those asked for",
    "torch.quasirandom": "up to 101 dimensions",
    "torch.futures": "nothing runs in the background: what is waited for has to be set",
    "torch.jit.fork": "calls the function at once",
    "torch.nn.parallel.data_parallel": "calls the module, in this process",
    "torch.utils.benchmark": "Python statements; what they record is computed in every run",
    "torch.xpu": "there is no XPU: is_available() is False",
    "torch.compile": "functions come back, modules in an OptimizedModule: everything is recorded and compiled anyway",
    "torch.cuda": "there is no CUDA: is_available() is False, counts are 0, synchronisation does nothing, moving a tensor there raises",
    "torch.distributed": "one process: is_available() is False, get_rank() is 0; starting a process group raises",
    "torch.distributed.init_process_group": None,
    "torch.hub": "downloads state dicts; loading a repository's code raises",
    "torch.hub.load": None,
    "torch.jit": "script and trace return their argument (warned of once)",
    "torch.library": "custom_op and its gradient: the function itself, recorded",
    "torch.mps": "there is no Metal device of PyTorch's kind",
    "torch.multiprocessing": "Python's multiprocessing; tensors travel as copies",
    "torch.nn.DataParallel": "calls the module, in this process",
    "torch.nn.SyncBatchNorm": "BatchNorm of this process",
    "torch.nn.parallel.DataParallel": "calls the module, in this process",
    "torch.nn.parallel.DistributedDataParallel": None,
    "torch.onnx": "exporting raises",
    "torch.onnx.export": None,
    "torch.real": "a copy of the real part; assigning to z.real writes into z",
    "torch.imag": "a copy of the imaginary part; assigning to z.imag writes into z",
    "torch.sparse": "COO tensors: building, coalescing, products, sums, softmax, slices, gradients of embeddings; else to_dense()",
    "torch.set_float32_matmul_precision": "remembered: float32 products are computed in float32",
    "torch.set_num_interop_threads": "remembered",
    "torch.use_deterministic_algorithms": "remembered: every operation is deterministic",
    "torch.Tensor.is_cuda": "False",
    "torch.Tensor.cuda": None,
    "torch.utils.checkpoint": "calls the function: activations are planned for the whole graph",
    "torchvision.set_image_backend": "there is one, Pillow",
}
#: missing name, or beginning of names (or one whose call raises: None above) -> what to use instead
INSTEAD = {
    "torch.fx.symbolic_trace": "torchlike_asg.asg.explain to see the graph",
    "torch.Tensor.cuda": "x.to(device) with a device that torch.cuda.is_available() guards",
    "torch.Tensor.share_memory_": "NumPy arrays in multiprocessing.shared_memory",
    "torch.distributed.init_process_group": "one process, guarded by torch.distributed.is_available()",
    "torch.export": "torchlike_asg.asg.export for the graph, state_dict for the weights",
    "torch.hub.load": "the package that the model is in, and torch.hub.load_state_dict_from_url",
    "torch.nn.parallel.DistributedDataParallel": "the module itself",
    "torch.onnx.export": "PyTorch, from the saved state_dict",
    "torch.Tensor.chalf": "x.cfloat()",
    "torch.Tensor.record_stream": "a guard: if torch.cuda.is_available()",
    "torch.distributed.algorithms": "one process: the loop itself",
    "torch.distributed.checkpoint": "torch.save and torch.load",
    "torch.distributed.fsdp": "the module itself",
    "torch.eig": "torch.linalg.eig",
    "torch.lstsq": "torch.linalg.lstsq, with its arguments in the other order",
    "torch.matrix_rank": "torch.linalg.matrix_rank",
    "torch.solve": "torch.linalg.solve, with its arguments in the other order",
    "torch.symeig": "torch.linalg.eigh",
    "torch.masked.MaskedTensor": "a tensor and its mask, with torch.masked's functions",
    "torch.masked.as_masked_tensor": "a tensor and its mask, with torch.masked's functions",
    "torch.masked.masked_tensor": "a tensor and its mask, with torch.masked's functions",
    "torch.monitor": "torchlike_asg.events",
    "torch.nested": "padded tensors, or torch.nn.utils.rnn.pack_sequence",
    "torch.package": "torch.save of the state_dict",
    "torch.nn.functional.scaled_mm": "torch.mm of scaled tensors",
    "torch.sspaddmm": "torch.sparse.mm",
    "torch.ops": "the public functions",
    "torch.quantization": "floating point",
    "torch.ao": "floating point",
    "torch.quantize_per_tensor": "floating point",
    "torch.utils.cpp_extension": "torch.autograd.Function",
    "torch.utils.data.datapipes": "a Dataset or an IterableDataset",
    "torchaudio": "another reader of sound files: only torch and torchvision are here",
    "torchtext": "Python's own text functions: only torch and torchvision are here",
}


@dataclass(frozen=True)
class Status:
    """`state`: "supported", "shimmed", "missing", or "unknown" (no name of PyTorch's either); `note`: what to know or to use instead."""

    state: str
    note: str = ""


@cache
def torch_names() -> dict[str, frozenset[str]]:
    """Namespace -> PyTorch's public names in it."""
    text = (Path(__file__).parent / "torch_names.txt").read_text(encoding="utf-8")
    rows = (line.partition(": ") for line in text.splitlines() if line and not line.startswith("#"))
    return {space: frozenset(names.split()) for space, _, names in rows}


def canonical(name: str) -> str:
    """PyTorch's spelling of a name: ``torchlike_asg.vision.ops`` is ``torchvision.ops``."""
    for ours, theirs in ((f"{_PACKAGE}.vision", "torchvision"), (_PACKAGE, "torch")):
        if name == ours or name.startswith(f"{ours}."):
            return theirs + name[len(ours) :]
    return name


@cache
def status(name: str) -> Status:
    """What became of a dotted name of PyTorch's or torchvision's, such as ``torch.nn.Linear`` or ``torch.Tensor.view``."""
    shim = _longest(SHIMS, name)
    found, error = _lookup(name)
    if found is None:
        if _of_sparse_tensors(name):
            return Status("shimmed", "of sparse COO tensors and CSR matrices")
        instead = _longest(INSTEAD, name)
        note = f"use {INSTEAD[instead]}" if instead is not None else _reason(error)
        return Status("missing" if instead is not None or _is_torchs(name) else "unknown", note)
    if shim is None:
        return Status("supported")
    note = SHIMS[shim]
    if note is None:
        return Status("missing", f"use {INSTEAD[shim]}")
    return Status("shimmed", note)


def _of_sparse_tensors(name: str) -> bool:
    """Whether it is a method that sparse tensors alone have."""
    space, _, last = name.rpartition(".")
    if space != "torch.Tensor":
        return False
    from ..sparse.coo import SparseTensor
    from ..sparse.csr import CSR

    return any(not refuses(getattr(kind, last, refuses)) and last in dir(kind) for kind in (SparseTensor, CSR))


def _longest(table: dict[str, Any], name: str) -> str | None:
    """The longest key that is the name or a beginning of it."""
    parts = name.split(".")
    return next((key for n in range(len(parts), 0, -1) if (key := ".".join(parts[:n])) in table), None)


def _lookup(name: str) -> tuple[list[Any] | None, str]:
    """([the object], "") of a name, or (None, why it is not there)."""
    root, *rest = name.split(".")
    module = {"torch": _PACKAGE, "torchvision": f"{_PACKAGE}.vision"}.get(root)
    if module is None:
        return None, ""
    found: Any = importlib.import_module(module)
    for part in rest:
        try:
            found = getattr(found, part)
        except Unsupported as error:
            return None, str(error)
        except AttributeError:
            if not isinstance(found, types.ModuleType):
                return None, ""
            try:
                found = importlib.import_module(f"{found.__name__}.{part}")
            except ImportError:
                return None, ""
        if refuses(found):
            return None, _refusal(found)
    return [found], ""


def refuses(value: object) -> bool:
    """Whether a function or property is there only to say what to use instead."""
    return getattr(value.fget if isinstance(value, property) else value, "refuses", False) is True


def _refusal(value: Any) -> str:
    """The message of a function or property that refuses."""
    try:
        value.fget(None) if isinstance(value, property) else value(None)
    except Unsupported as error:
        return str(error)
    except Exception:
        pass
    return ""


def _reason(message: str) -> str:
    """The advice in the message of an error, which follows the name."""
    advice = message.partition(": ")[2]
    return "" if "porting.md" in advice.lower() else advice


def _is_torchs(name: str) -> bool:
    """Whether PyTorch has the name: known of the namespaces in the list, believed of the others."""
    space, _, last = name.rpartition(".")
    names = torch_names().get(space)
    return last in names if names is not None else True


def supported(space: str) -> list[str]:
    """The public names of one of our namespaces that are supported or shimmed, without modules and what it merely imported."""
    found, _ = _lookup(space)
    if found is None:
        return []
    if space == "torch.Tensor":
        public = [name for name in dir(found[0]) if name not in _OURS and not refuses(getattr(found[0], name))]
    else:
        listed = getattr(found[0], "__all__", None) or vars(found[0])
        public = [name for name in listed if name[0] != "_" and _belongs(getattr(found[0], name))]
    return sorted(name for name in public if name[0] != "_" and status(f"{space}.{name}").state != "missing")


def _belongs(value: object) -> bool:
    if isinstance(value, types.ModuleType | str | list | tuple) or refuses(value):
        return False
    return getattr(value, "__module__", _PACKAGE).startswith(_PACKAGE) or isinstance(value, int | float)


def missing(space: str) -> list[str]:
    """PyTorch's names of a namespace that are not here."""
    return sorted(name for name in torch_names().get(space, ()) if status(f"{space}.{name}").state == "missing")
