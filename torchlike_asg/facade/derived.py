"""Classes derived from Tensor: PyTorch's functions go through ``__torch_function__`` where an argument is an instance of one.

Plain tensors do not pay for this. A class that a script derives gets `Derived` between itself and Tensor, with methods that ask; and the
first such class has the public functions look at their arguments, whoever has imported them.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from .becoming import become, copied
from .core import Tensor
from .families import of_class
from .printing import text

__all__ = ["Derived", "default_torch_function", "torch_functions_off"]

_PACKAGE = __name__.partition(".")[0]
#: modules whose functions are PyTorch's public ones
_PUBLIC = ("", ".nn.functional", ".linalg", ".fft", ".special")
#: functions that take a tensor for something else than an operand
_NOT_ASKED = frozenset(
    """tensor as_tensor asarray from_numpy is_tensor is_storage save load typename compile manual_seed set_default_device set_printoptions
    sparse_coo_tensor""".split()
)
#: methods under which PyTorch's functions see operators
_OPERATORS = {"__truediv__": "div", "__itruediv__": "div_", "__radd__": "add", "__rmul__": "mul", "__invert__": "bitwise_not"} | {
    f"__{name}__": name for name in "add sub mul matmul neg abs pow eq ne lt le gt ge".split()
}
_OPERATORS |= {f"__i{name}__": f"{name}_" for name in ("add", "sub", "mul")}
_SPECIAL = set(
    """__getitem__ __setitem__ __rsub__ __rtruediv__ __rpow__ __rmatmul__ __floordiv__ __rfloordiv__ __mod__ __rmod__ __and__ __or__ __xor__
    __rand__ __ror__ __rxor__ __iand__ __ior__ __ixor__ __lshift__ __rshift__ __ipow__ __ifloordiv__ __imod__ __len__ __bool__
    __float__ __int__ __index__ __complex__ __contains__ __reversed__""".split()
)
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag", "data")
_PLAIN_METHODS = frozenset(("as_subclass", "new", "type_name"))


class _Unknown(TypeError):
    """No ``__torch_function__`` knows the function."""


class _State(threading.local):
    off = False


_state = _State()


@contextmanager
def torch_functions_off() -> Iterator[None]:
    """Inside, derived tensors are treated as plain ones (``torch._C.DisableTorchFunctionSubclass``)."""
    before, _state.off = _state.off, True
    try:
        yield
    finally:
        _state.off = before


def default_torch_function(cls: type, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None) -> Any:
    """``Tensor.__torch_function__``: the function runs as on plain tensors, and tensors that it returns become instances of `cls`."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    with torch_functions_off():
        result = func(*args, **(kwargs or {}))
        return _as(result, cls)


def _as(result: Any, cls: type) -> Any:
    if cls is Tensor:
        return result
    if isinstance(result, Tensor):
        return result if isinstance(result, cls) else of_class(result, cls)
    if isinstance(result, (tuple, list)) and any(isinstance(part, (Tensor, tuple, list)) for part in result):
        parts = [_as(part, cls) for part in result]
        kind: Any = type(result)
        return kind._make(parts) if hasattr(kind, "_make") else kind(parts)
    return result


Tensor.__torch_function__ = classmethod(default_torch_function)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- who is asked
def _own(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, Derived):
            if value._asks:
                yield value
        elif value.__class__ is list or value.__class__ is tuple:
            yield from _own(value)
        elif not isinstance(value, Tensor) and hasattr(type(value), "__torch_function__"):
            yield value


def _ask(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the first ``__torch_function__`` of the arguments that knows the function makes of it: a subclass's before its bases'."""
    asked: list[Any] = []
    for value in _own((*args, *kwargs.values())):
        if any(type(value) is type(other) for other in asked):
            continue
        place = next((i for i, other in enumerate(asked) if issubclass(type(value), type(other))), len(asked))
        asked.insert(place, value)
    types = tuple(type(value) for value in asked)
    for value in asked:
        result = type(value).__torch_function__(func, types, args, kwargs)
        if result is not NotImplemented:
            return result
    home = "torch.Tensor" if getattr(Tensor, func.__name__, None) is func else "torch"
    raise _Unknown(
        f"Multiple dispatch failed for '{home}.{func.__name__}'; all __torch_function__ handlers returned NotImplemented: "
        f"those of {list(types)}"
    )


# ---------------------------------------------------------------- methods
class Derived(Tensor):
    """What stands between Tensor and the classes that scripts derive from it."""

    __slots__ = ()
    _asks = True
    __hash__ = Tensor.__hash__

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        with torch_functions_off():
            return text(self, f"{type(self).__name__}(", tensor_contents)

    __str__ = __repr__

    def __iter__(self) -> Iterator[Any]:
        return iter(Tensor.__iter__(self) if _state.off or not self.shape else self.unbind(0))  # type: ignore[attr-defined]


def _method(name: str, original: Any, seen: Any) -> Any:
    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, *args, **kwargs) if _state.off else _ask(seen, (self, *args), kwargs)

    return method


def _operator(name: str, original: Any, seen: Any, forward: Any) -> Any:
    """A method for an operator; a reflected one of two tensors is asked about as `forward`, with the operands in their order."""
    asking = _method(name, original, seen)

    @functools.wraps(original)
    def operator(self: Any, *args: Any) -> Any:
        try:
            if forward is not None and not _state.off and isinstance(args[0], Tensor):
                return _ask(forward, (args[0], self), {})
            return asking(self, *args)
        except _Unknown:
            return NotImplemented

    return operator


def _property(original: property) -> property:
    def read(self: Any) -> Any:
        assert original.fget is not None
        return original.fget(self) if _state.off else _ask(original.fget, (self,), {})

    return property(read, original.fset, original.fdel, original.__doc__)


def _complete() -> None:
    """Give `Derived` the methods of Tensor, all of which are there by the time the first class is derived."""
    members = {name: inspect.getattr_static(Tensor, name) for name in dir(Tensor)}
    for name, member in members.items():
        if name in _PROPERTIES and isinstance(member, property):
            setattr(Derived, name, _property(member))
        elif (
            inspect.isfunction(member)
            and name not in _PLAIN_METHODS
            and (not name.startswith("_") or name in _SPECIAL or name in _OPERATORS)
        ):
            seen = members.get(_OPERATORS.get(name, name), member)
            if not name.startswith("__") or name in ("__getitem__", "__setitem__"):
                setattr(Derived, name, _method(name, member, seen))
            else:
                straight = f"__{name[3:]}"
                forward = members.get(_OPERATORS.get(straight, straight)) if name.startswith("__r") else None
                setattr(Derived, name, _operator(name, member, seen, forward))


# ---------------------------------------------------------------- functions
#: the functions that ask
_asking: set[Callable[..., Any]] = set()


def _asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an argument, or an element of one, is of a derived class."""
    if not _state.off:
        for value in (*args, *kwargs.values()) if kwargs else args:
            kind = value.__class__
            if isinstance(value, Derived) or ((kind is list or kind is tuple) and any([isinstance(v, Derived) for v in value])):
                return True
    return False


def _part() -> None:
    """Give Tensor methods of its own where they are public functions, too: what is asked can tell one from the other."""
    public = {
        value for suffix in _PUBLIC for value in vars(importlib.import_module(_PACKAGE + suffix)).values() if inspect.isfunction(value)
    }
    for name, member in list(vars(Tensor).items()):
        if inspect.isfunction(member) and member in public:
            setattr(Tensor, name, copied(member))


def _install() -> None:
    """Have the public functions ask. They stay the objects that scripts and layers have imported, and may have tables of."""
    for suffix in _PUBLIC:
        module = importlib.import_module(_PACKAGE + suffix)
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value) and not name.startswith("_") and name not in _NOT_ASKED and value not in _asking:
                _asking.add(value)
                value.__module__, value.__qualname__ = module.__name__, name  # where files that name the function find it
                become(value, _asked, functools.partial(_ask, value))
    plain = sys.modules[_PACKAGE].tensor
    if plain not in _asking:  # takes derived tensors for data
        _asking.add(plain)
        become(plain, lambda *_: not _state.off, lambda args, kwargs: _plainly(plain.__wrapped__, args, kwargs))


def _plainly(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with torch_functions_off():
        return fn(*args, **kwargs)


# ---------------------------------------------------------------- definition
def _derive(cls: Any, **options: Any) -> None:
    super(Tensor, cls).__init_subclass__(**options)
    if getattr(cls.__torch_function__, "__name__", "") == "_disabled_torch_function_impl":
        cls._asks = False
    if cls.__module__.partition(".")[0] == _PACKAGE or not getattr(cls, "_asks", True):
        if not issubclass(cls, Derived):
            cls._asks = False  # Parameter and the like, and what is derived from these: results are plain tensors
        return
    if not _asking:
        _part()
        _complete()
    _install()
    if not issubclass(cls, Derived):
        cls.__bases__ = tuple(Derived if base is Tensor else base for base in cls.__bases__)


Tensor.__init_subclass__ = classmethod(_derive)  # type: ignore[assignment, method-assign]
for _cls in Tensor.__subclasses__():
    if _cls is not Derived:
        _cls._asks = False  # type: ignore[attr-defined]
