"""``torch.jit``: scripting and tracing give the function or module itself, since everything is recorded and compiled anyway."""

from __future__ import annotations

import builtins
import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from ..absent import asked
from ..errors import Absent, Unsupported
from ..futures import Future as _Future
from ..nn.modules.module import Module

__all__ = [
    "Final",
    "Attribute",
    "CompilationUnit",
    "Error",
    "RecursiveScriptModule",
    "ScriptFunction",
    "ScriptModule",
    "TopLevelTracedModule",
    "TracedModule",
    "TracerWarning",
    "TracingCheckError",
    "annotate",
    "export",
    "fork",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "load",
    "optimized_execution",
    "save",
    "run_frozen_optimizations",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "unused",
    "wait",
]

T = TypeVar("T")
_told = [False]


def _say_once() -> None:
    if not _told[0]:
        _told[0] = True
        warnings.warn(
            "torch.jit.script and torch.jit.trace return their argument unchanged: graphs are recorded and compiled without them.",
            stacklevel=3,
        )


def script(obj: T, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None) -> T:
    """The function, class or module itself."""
    _say_once()
    return obj


def trace(func: T, example_inputs: Any = None, **options: Any) -> T:
    """The function or module itself; unlike a PyTorch trace it goes on following Python's control flow."""
    _say_once()
    return func


def trace_module(mod: T, inputs: Any = None, **options: Any) -> T:
    """The module itself."""
    _say_once()
    return mod


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Without effect: there is one way to run."""
    yield


def script_if_tracing(fn: T) -> T:
    """The function itself: there is no tracing."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Decorator with or without arguments: the function itself."""
    return drop if callable(drop) else (lambda fn: fn)


def _overload(fn: T) -> T:
    """The function itself: of several declarations under one name, the last is the function."""
    return fn


_overload_method = _overload


def unused(fn: T) -> T:
    """The function itself."""
    return fn


def export(fn: T) -> T:
    """The function itself."""
    return fn


def interface(obj: T) -> T:
    """The class itself."""
    return obj


def annotate(the_type: Any, the_value: T) -> T:
    """The value; the type is for PyTorch's compiler."""
    return the_value


def is_scripting() -> bool:
    """False: Python runs."""
    return False


def is_tracing() -> bool:
    """False: Python runs."""
    return False


def freeze(mod: T, *args: Any, **kwargs: Any) -> T:
    """The module itself."""
    return mod


def optimize_for_inference(mod: T, *args: Any, **kwargs: Any) -> T:
    """The module itself."""
    return mod


def _unsupported(name: str, advice: str) -> Callable[..., Any]:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Unsupported(f"torch.jit.{name} is not supported: {advice}")

    refuse.__name__, refuse.__doc__ = name, f"Not supported: {advice}."
    return refuse


save = _unsupported("save", "save module.state_dict() with torch.save")
load = _unsupported("load", "build the module in Python and load its state_dict")


def fork(func: Callable[..., T], *args: Any, **kwargs: Any) -> _Future:
    """``func(*args, **kwargs)``, computed at once, for `wait`: nothing runs in the background."""
    result: _Future = _Future()
    result.set_result(func(*args, **kwargs))
    return result


def wait(future: _Future) -> T:
    """The value of what `fork` began."""
    return future.wait()


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own `isinstance`."""
    return builtins.isinstance(obj, target_type)


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Accepted: nothing is specialised on sizes. Returns the strategy before, which is none."""
    return []


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted: kernels are fused by this package's own compiler."""


def onednn_fusion_enabled() -> bool:
    """False."""
    return False


class strict_fusion:
    """Accepted: a ``with`` block in which nothing else happens."""

    def __enter__(self) -> None:
        """Nothing begins."""

    def __exit__(self, *error: object) -> None:
        """Nothing ends."""


class TracerWarning(Warning):
    """What PyTorch's tracer warns of, for filters of warnings: nothing is traced."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Nothing warns."""


class Error(RuntimeError):
    """PyTorch's error of scripted code: none is raised."""


class TracingCheckError(Exception):
    """PyTorch's error of a trace that differs when it is made again: none is raised."""


class Attribute(NamedTuple):
    """A value and the type that PyTorch's compiler would take it for; an attribute of a module that is not scripted."""

    value: Any
    type: Any


class CompilationUnit(Absent, within="torch.jit", instead="Python functions are recorded as they are"):
    """PyTorch's functions compiled from text."""


def script_method(fn: T) -> T:
    """The method itself."""
    return fn


def run_frozen_optimizations(mod: Any, optimize_numerics: bool = True, preserved_methods: Any = None) -> None:
    """Nothing to do: what does not change is computed once by this package's own compiler."""


class ScriptModule(Module):
    """A module whose methods with `script_method` are scripted in PyTorch, by subclassing; here an ordinary module."""


class RecursiveScriptModule(ScriptModule):
    """The type of modules that are scripted with their parts, for isinstance: no module is one."""


class TracedModule(ScriptModule):
    """The type of traced modules, for isinstance; nothing is an instance."""


class TopLevelTracedModule(TracedModule):
    """The type of what `trace` gives in PyTorch, for isinstance; nothing is an instance."""


class ScriptFunction:
    """The type of scripted functions, for isinstance; nothing is an instance."""


__getattr__ = asked(__name__)
