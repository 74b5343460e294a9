"""``torch.ops`` and ``torch._ops``: operators by the names PyTorch's dispatcher knows them by.

``torch.ops.aten.add.Tensor(x, y)`` calls the public function `torch.add`; operations made by `torch.library.custom_op` are found under
their own namespace. Any name can be looked up, since packages use the objects as keys of tables; only calling tells whether it is there.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .errors import Unsupported

__all__ = ["Namespace", "OpOverload", "OpOverloadPacket", "aten", "define", "install"]
_PACKAGE = __name__.rpartition(".")[0]


class OpOverload:
    """One form of an operator, such as ``aten.add.Tensor``: the name says what its operands are, which a call finds out by itself."""

    def __init__(self, packet: OpOverloadPacket, overload: str) -> None:
        self.overloadpacket, self._overloadname = packet, overload
        self.__name__ = f"{packet.__name__}.{overload}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.overloadpacket(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self.overloadpacket}.{self._overloadname}"

    def __repr__(self) -> str:
        packet = self.overloadpacket
        return f"<OpOverload(op='{packet._namespace}.{packet.__name__}', overload='{self._overloadname}')>"


class OpOverloadPacket:
    """An operator with all its overloads. Calling it calls the function of that name."""

    def __init__(self, namespace: str, name: str, function: Callable[..., Any] | None = None) -> None:
        self._namespace, self.__name__, self._function = namespace, name, function

    def __getattr__(self, overload: str) -> OpOverload:
        if overload.startswith("__"):
            raise AttributeError(overload)
        found = self.__dict__[overload] = OpOverload(self, overload)
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:
            self._function = _public(self._namespace, self.__name__)
        return self._function(*args, **kwargs)

    def __str__(self) -> str:
        return f"{self._namespace}.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self._namespace}.{self.__name__}')>"


class Namespace:
    """The operators whose names begin with ``name::``."""

    def __init__(self, name: str, open_ended: bool = False) -> None:
        self._name, self._open = name, open_ended

    def __getattr__(self, name: str) -> OpOverloadPacket:
        if name.startswith("__") or not self._open:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")
        found = self.__dict__[name] = OpOverloadPacket(self._name, name)
        return found

    def define(self, name: str, function: Callable[..., Any]) -> None:
        """Make ``torch.ops.<namespace>.<name>`` call a function."""
        self.__dict__[name] = OpOverloadPacket(self._name, name, function)

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self._name}'>"


def _public(namespace: str, name: str) -> Callable[..., Any]:
    """The public function that does what PyTorch's operator does."""
    package = importlib.import_module(_PACKAGE)
    for home in (package, package.Tensor, importlib.import_module(f"{_PACKAGE}.nn.functional")):
        found = getattr(home, name, None)
        if callable(found) and not name.startswith("_"):
            return found  # type: ignore[no-any-return]
    raise Unsupported(f"torch.ops.{namespace}.{name} is internal to PyTorch: use the public functions")


#: PyTorch's own operators
aten = Namespace("aten", open_ended=True)


def install() -> None:
    """Put `aten` beside the package's own operations."""
    vars(importlib.import_module(f"{_PACKAGE}.ops"))["aten"] = aten


def define(qualified: str, function: Callable[..., Any]) -> None:
    """Give ``namespace::name`` a place under ``torch.ops``, unless the package's operations have that name already."""
    namespace, _, name = qualified.partition("::")
    ops = vars(importlib.import_module(f"{_PACKAGE}.ops"))
    home = ops.setdefault(namespace, Namespace(namespace))
    if isinstance(home, Namespace) and name:
        home.define(name.partition(".")[0], function)
