"""Questions about tensors and types, settings of the whole process, and functions applied element by element in Python."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ... import config, devices, notices
from ...asg.declare import node
from ...devices import device
from ...dtypes import INTEGER, dtype, required
from ...formats import strided
from ...ops.promotion import result_type as common_type
from ...ops.promotion import title
from .. import printing
from ..core import Tensor
from ..flush import flush
from ..held import value_of
from ..inference import is_inference as made_in_inference
from ..legacy import LEGACY  # noqa: F401  (registers the legacy constructors)
from ..register import FUNCTIONS, function, method
from .creation import from_array
from .factory_arguments import device_of

Tensor.layout = property(lambda self: strided, doc="How the elements are stored: always `torch.strided`.")  # type: ignore[attr-defined]
FUNCTIONS["set_printoptions"] = printing.set_printoptions


def _public(f: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of the torch namespace that takes no tensors, or any object."""
    FUNCTIONS[f.__name__] = f
    return f


# ---------------------------------------------------------------- questions
@_public
def is_tensor(obj: Any, /) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)


@function(method=False)
def is_floating_point(input: Tensor) -> bool:
    """Whether the element type is a floating one."""
    return input.dtype.is_floating_point


@function(method=False)
def is_complex(input: Tensor) -> bool:
    """Whether the element type is complex."""
    return input.dtype.is_complex


@function(method=False)
def is_signed(input: Tensor) -> bool:
    """Whether the element type has negative values."""
    return input.dtype.is_signed


@function()
def is_nonzero(input: Tensor) -> bool:
    """Whether a one-element tensor is nonzero."""
    return bool(input)


@function()
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return tuple(input.shape) == tuple(other.shape)


@function()
def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made in `inference_mode`: it has no version, is not saved for a backward pass, and is not written elsewhere."""
    return made_in_inference(input)


@_public
def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether type promotion may convert one type to the other: never to a weaker kind of number."""
    return required(from_, "can_cast", "from_", 1).category <= required(to, "can_cast", "to", 2).category


@_public
def result_type(*operands: Any, **named: Any) -> dtype:
    """The type that arithmetic between two tensors or numbers is done in; PyTorch's overloads name them tensor, other, scalar1, ..."""
    given = (*operands, *named.values())
    if len(given) != 2 or named.keys() - {"tensor", "other", "scalar", "scalar1", "scalar2", "tensor1", "tensor2"}:
        raise TypeError(f"result_type() takes two tensors or numbers, not {len(given)} and {', '.join(named) or 'no keywords'}")
    return common_type([SimpleNamespace(op=None, dtype=t.dtype, shape=t.shape) if isinstance(t, Tensor) else node(t) for t in given])


@_public
def typename(obj: Any, /) -> str:
    """The name of an object's type, as PyTorch writes it."""
    if isinstance(obj, Tensor):
        return str(obj.type())  # type: ignore[attr-defined]
    if obj is Tensor:
        return "torch.Tensor"
    kind = obj if isinstance(obj, type) else type(obj)
    module = "" if kind.__module__ in ("builtins", "__builtin__", None) else kind.__module__ + "."
    return module.replace("torchlike_asg.", "torch.", 1) + kind.__qualname__


# ---------------------------------------------------------------- element by element, in Python
def _refuse_history(t: Tensor, name: str) -> None:
    if t.requires_grad:
        raise RuntimeError(f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead.")


def _replace(self: Tensor, name: str, others: dict[str, Any], callable: Callable[..., Any]) -> Tensor:
    """Replace every element by what a Python function makes of it and of those of `others`, which are broadcast."""
    for t in (self, *others.values()):
        _refuse_history(t, name)
    for argument, t in others.items():
        if t.dtype is not self.dtype:
            raise TypeError(
                f"{name}: expected torch.{title(self.dtype)}Tensor for argument '{argument}' (got torch.{title(t.dtype)}Tensor)"
            )
    columns = [value_of(t.expand(self.shape)).reshape(-1).tolist() for t in (self, *others.values())]  # type: ignore[attr-defined]
    made = [callable(*row) for row in zip(*columns, strict=True)]
    for value in made:
        if isinstance(value, (str, bytes)) or value is None:  # of which NumPy would read numbers
            wanted = "'{}' object cannot be interpreted as an integer" if self.dtype.category <= INTEGER else "must be real number, not {}"
            raise TypeError(wanted.format(type(value).__name__))
    out = np.array(made, self.dtype.compute).reshape(tuple(self.shape))
    self.data.copy_(from_array(out, self.dtype))  # type: ignore[attr-defined]  # which PyTorch's version does not count
    return self


@method()
def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replace every element by what a Python function makes of it. Slow; looks at the values."""
    return _replace(self, "apply_", {}, callable)


@method()
def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replace every element by what a Python function makes of it and of `tensor`'s element (broadcast). Slow; looks at the values."""
    return _replace(self, "map_", {"other": tensor}, callable)


@method()
def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[[Any, Any, Any], Any]) -> Tensor:
    """Replace every element by what a Python function makes of it and of the elements of two others. Slow; looks at the values."""
    return _replace(self, "map2_", {"x": x, "y": y}, callable)


# ---------------------------------------------------------------- settings
@_public
def set_default_device(device: Any) -> None:
    """Where factory functions put new tensors (None: the CPU)."""
    devices.default[0] = device_of("cpu" if device is None else device)


@_public
def get_default_device() -> device:
    """Where factory functions put new tensors."""
    return devices.default[0]


def _positive(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RuntimeError(f"{name} expects an int, but got {type(value).__name__}")
    if not -(1 << 31) <= value < 1 << 31:
        raise ValueError("Overflow when unpacking long")
    if value <= 0:
        raise RuntimeError(f"{name} expects a positive integer")
    return value


@_public
def set_num_threads(n: int, /) -> None:
    """How many threads one operation may use on the CPU."""
    config.threads = _positive("set_num_threads", n)


@_public
def get_num_threads() -> int:
    """How many threads one operation may use on the CPU."""
    return config.threads


_interop = [1]


@_public
def set_num_interop_threads(n: int, /) -> None:
    """Accepted and remembered; operations run one after another here."""
    _interop[0] = _positive("set_num_interop_threads", n)


@_public
def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was given."""
    return _interop[0]


_precision = ["highest"]


@_public
def set_float32_matmul_precision(precision: str) -> None:
    """Accepted and remembered ("highest", "high", "medium"); float32 products are always computed in float32."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    _precision[0] = precision


@_public
def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given."""
    return _precision[0]


_deterministic = {"mode": 0, "warn": False}  # 0 default, 1 warn, 2 error; whether to warn is remembered in all of them


def _set_deterministic(mode: int, warn_only: bool) -> None:
    from ...compiler import plan

    _deterministic["mode"], _deterministic["warn"] = mode, warn_only
    if config.deterministic != (mode > 0):
        config.deterministic = mode > 0
        flush()
        plan.clear()  # plans for a GPU are made for one or the other


@_public
def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Whether scatters on a GPU, whose order is else that of its threads, have a fixed one, and new memory that nothing was written to
    holds NaN or the largest integer (`utils.deterministic.fill_uninitialized_memory`). All else is the same from run to run anyway."""
    for argument, value in (("mode", mode), ("warn_only", warn_only)):
        if value.__class__ is not bool:
            raise TypeError(f"_set_deterministic_algorithms(): argument '{argument}' must be bool, not {type(value).__name__}")
    _set_deterministic((1 if warn_only else 2) if mode else 0, warn_only)


@_public
def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was called."""
    return _deterministic["mode"] > 0


@_public
def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was called with ``warn_only``."""
    return bool(_deterministic["warn"])


_MODES = ("default", "warn", "error")


@_public
def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by number (0, 1, 2) or name ("default", "warn", "error")."""
    if isinstance(debug_mode, str):
        if debug_mode not in _MODES:
            raise RuntimeError(f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}")
        debug_mode = _MODES.index(debug_mode)
    if not isinstance(debug_mode, int):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    _set_deterministic(debug_mode, debug_mode == 1)


@_public
def get_deterministic_debug_mode() -> int:
    """The mode by number."""
    return _deterministic["mode"]


@_public
def set_warn_always(b: bool, /) -> None:
    """Accepted and remembered; Python's own warning filters decide how often a warning is shown."""
    notices.always[0] = bool(b)


@_public
def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was given."""
    return notices.always[0]


@_public
def set_flush_denormal(mode: bool) -> bool:
    """Whether the processor now treats denormal numbers as zero: it never does here, so False (PyTorch says the same where it cannot)."""
    return False


# ---------------------------------------------------------------- what PyTorch says of itself
@_public
def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """A function comes back as it is, a module in an `OptimizedModule`: everything is recorded and compiled anyway. Also a decorator.

    Raises PyTorch's errors for modes and backends that there are not; nothing else is looked at.
    """
    above = importlib.import_module(f"{__name__.partition('.')[0]}._dynamo.eval_frame")  # modules are of a layer above
    above.check(backend, mode, options)
    if model is None:
        return lambda f: f if disable else above.compiled(f)
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return model if disable else above.compiled(model)
