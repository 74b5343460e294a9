"""What differs from PyTorch on purpose, beyond names that are missing: a table for docs/porting.md.

`tests/port/test_differences.py` has a piece of code for every entry, which it runs here and under PyTorch, so that the table stays true.
"""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

#: what it is about -> (what PyTorch does, what happens here)
DIFFERENCES: dict[str, tuple[str, str]] = {
    "`torch.utils.checkpoint`": (
        "the function runs again in the backward pass",
        "it runs once: activations are planned for the whole graph; `use_reentrant=True` takes `autograd.grad`, too",
    ),
    "`torch.compile`": (
        "traces Python; a backend of one's own is given the graph",
        "functions come back, modules in an `OptimizedModule`; the script itself runs, and no backend is called",
    ),
    "`torch.jit.script`, `torch.jit.trace`": ("a ScriptModule", "the module itself, with a warning"),
    "`torch.fx`, `torch.export`, `torch.onnx`": (
        "graphs to rewrite and hand over",
        "Unsupported: `torchlike_asg.asg` has the graph",
    ),
    "`torch.distributed`": (
        "`is_available()` is True",
        "False; `get_rank()` without a group is an error in both, `init_process_group` raises",
    ),
    "`share_memory_`": ("several processes write one tensor", "Unsupported: what processes are sent is a copy"),
    "`torch.load(weights_only=False)`": (
        "runs what the file says",
        "runs nothing: classes that were imported or allowed are rebuilt, others refused",
    ),
    "`torch.load` of a `defaultdict`": ("refused with `weights_only=True`", "read: its factory is one of Python's own containers"),
    "Conjugated views in files": ("the file has a mark, the tensor its conjugate", "the numbers themselves are written; marks are refused"),
    "Classes derived from Tensor": (
        "`__torch_dispatch__` sees the operations that a function is made of",
        "it is not called; `__torch_function__` is, and results have the class",
    ),
    "Modes": ("`TorchDispatchMode`, `TorchFunctionMode` see every call", "entering one is Unsupported"),
    "Nested tensors": ("a prototype", "Unsupported: padded tensors, or packed sequences"),
    "`uint16`, `uint32`, `uint64`, `float8_*`": ("tensors have these types", "the types can be named, tensors with them are Unsupported"),
    "Quantised tensors": ("`quantize_per_tensor`, `torch.ao`", "Unsupported"),
    "Class of sparse tensors": ("`torch.Tensor` itself", "a class derived from it"),
    "Names of classes": ("`<class 'torch.Tensor'>`", "the module of this package in which the class is"),
    "The meta device": ("in-place operations take operands on the CPU", "operands on two devices are refused always"),
    "Indices out of range": (
        "the call raises",
        "the call, if they are data; where they are used, if they are computed or belong to a training step like one before",
    ),
    "Writes through `.data` before `backward()`": (
        "the gradient of what was saved is taken at the new values",
        "at those that the result was computed of",
    ),
    "`torch.profiler`": (
        "events named after ATen's operations",
        "events of what runs: steps of plans, compiling, regions",
    ),
    "`torch.backends`": ("settings choose libraries", "remembered and without effect; `mkl`, `mkldnn`, `openmp` are not available"),
    "`torch.set_flush_denormal`": ("True where the processor can", "False: denormal numbers stay"),
    "`torch.empty`": ("whatever the memory held", "zeros"),
    "`torch.utils.model_zoo.load_url`": ("`weights_only=False` by default", "True by default"),
    "`torch.__version__`": ("`2.13.0+cpu`", "this package's version; under `install_as_torch()` that follows `2.13.0+asg.`"),
    "`as_strided_scatter`'s gradient": (
        "that of the input is zero where it was kept",
        "the derivative: zero where it was overwritten",
    ),
}
