"""What `torch.compile` gives: the function itself, or a module around the module.

Everything is recorded and compiled anyway. The module around it is there for what scripts see of it: ``model._orig_mod``, and names of
parameters that begin with ``_orig_mod.`` in files that a compiled model writes and reads.
"""

from __future__ import annotations

from typing import Any

from ..nn.modules.module import Module
from .exc import InvalidBackend

__all__ = ["OptimizedModule", "check", "list_backends"]

_BACKENDS = ("cudagraphs", "inductor", "openxla", "tvm")
_DEBUGGING = ("aot_eager", "aot_eager_decomp_partition", "aot_eager_default_partitioner", "aot_ts", "eager", "eager_debug",
              "eager_noexcept", "pre_dispatch_eager", "ts")  # fmt: skip
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def list_backends(exclude_tags: tuple[str, ...] | None = ("debug", "experimental")) -> list[str]:
    """The names that ``torch.compile(backend=...)`` takes; all of them mean this package's compiler."""
    return sorted((*_BACKENDS, *(() if exclude_tags and "debug" in exclude_tags else _DEBUGGING)))


def check(backend: Any, mode: str | None, options: Any) -> None:
    """Raise PyTorch's errors for a backend or a mode that there is not, and for both a mode and options."""
    if mode is not None and options is not None:
        raise RuntimeError("Either mode or options can be specified, but both can't be specified at the same time.")
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if isinstance(backend, str) and backend not in _BACKENDS + _DEBUGGING:
        raise InvalidBackend(backend)


class OptimizedModule(Module):
    """A compiled module: calls, attributes and the training mode are those of the module it was made of, in `_orig_mod`.

    It is no instance of that module's class, its `state_dict` has ``_orig_mod.`` before every name, and what is called on the module
    itself (``model.generate(...)``) runs there, as in PyTorch.
    """

    _orig_mod: Module

    def __init__(self, mod: Module) -> None:
        super().__init__()
        self._orig_mod = mod

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs) if self._hooked else self._orig_mod(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self._orig_mod(*args, **kwargs)

    @property  # type: ignore[override]
    def training(self) -> bool:
        """Whether the module is in training mode."""
        return self._orig_mod.training

    @training.setter
    def training(self, mode: bool) -> None:
        self._orig_mod.training = mode

    def __len__(self) -> int:
        if hasattr(type(self._orig_mod), "__len__"):
            return len(self._orig_mod)  # type: ignore[arg-type]
        raise TypeError(f"{type(self._orig_mod).__name__} does not support len()")

    def __bool__(self) -> bool:
        return not hasattr(type(self._orig_mod), "__len__") or len(self) > 0

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":  # not yet: a copy is being made
            raise AttributeError(name)
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or hasattr(Module, name) or name == "training" or "_orig_mod" not in self.__dict__:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})


def compiled(model: Any) -> Any:
    """What `torch.compile` gives for a function or a module."""
    return OptimizedModule(model) if isinstance(model, Module) and not isinstance(model, OptimizedModule) else model
