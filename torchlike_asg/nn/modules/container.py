"""Modules that hold modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Self

from .module import Module
from .parameter_container import ParameterDict, ParameterList, pairs_of

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _ModuleSequence(Module):
    """Submodules in order, by position. Names are positions, except for a Sequential made from an OrderedDict."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __dir__(self) -> list[str]:
        return [key for key in super().__dir__() if not key.isdigit()]

    def _name_at(self, index: Any) -> str:
        position = operator.index(index)
        if not -len(self) <= position < len(self):
            raise IndexError(f"index {position} is out of range")
        return list(self._modules)[position]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._slice(index)
        return self._modules[self._name_at(index)]

    def _slice(self, index: slice) -> Any:
        raise NotImplementedError

    def __setitem__(self, index: Any, module: Any) -> None:
        setattr(self, self._name_at(index), module)

    def __delitem__(self, index: Any) -> None:
        names = list(self._modules)[index] if isinstance(index, slice) else [self._name_at(index)]
        self._renumber([module for name, module in self._modules.items() if name not in names])

    def _renumber(self, modules: Iterable[Any]) -> None:
        self._modules = OrderedDict((str(position), module) for position, module in enumerate(modules))

    def append(self, module: Any) -> Self:
        """Adds `module` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Any]) -> Self:
        """Adds each of `modules` at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend should be called with an iterable, but got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Any) -> Self:
        """Puts `module` before position `index`."""
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def pop(self, key: Any) -> Any:
        """Takes out and returns the module (or, for a slice, the modules) at `key`."""
        module = self[key]
        del self[key]
        return module


class Sequential(_ModuleSequence):
    """Calls modules one after another, each with what the one before returned.

    ``Sequential(a, b)``, or ``Sequential(OrderedDict(first=a, second=b))`` to name them. It is indexed, sliced and iterated like a list.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    def _slice(self, index: slice) -> Self:
        return type(self)(OrderedDict(list(self._modules.items())[index]))

    def __add__(self, other: Any) -> Sequential:
        return Sequential(*self, *_only_sequential(other))

    def __iadd__(self, other: Any) -> Self:
        return self.extend(_only_sequential(other))

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*list(self) * self._repetitions(other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Self:
        return self.extend(list(self) * (self._repetitions(other) - 1))

    def _repetitions(self, times: Any) -> int:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return times


def _only_sequential(other: Any) -> Sequential:
    if not isinstance(other, Sequential):
        raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
    return other


class ModuleList(_ModuleSequence):
    """A list whose modules are registered. It has no `forward`: index it or iterate over it."""

    def __init__(self, modules: Iterable[Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self += modules

    def _slice(self, index: slice) -> Self:
        return type(self)(list(self)[index])

    def __add__(self, other: Iterable[Any]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, modules: Iterable[Any]) -> Self:
        return self.extend(modules)

    def __repr__(self) -> str:
        """Runs of equal modules are shown once, with their number."""
        runs: list[tuple[int, int, str]] = []
        for position, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], position, text)
            else:
                runs.append((position, position, text))
        if not runs:
            return f"{self._get_name()}()"
        lines = []
        for first, last, text in runs:
            title = f"({first}): " if first == last else f"({first}-{last}): {last - first + 1} x "
            lines.append(title + text.replace("\n", "\n  "))  # blank lines included, unlike other modules' children
        return f"{self._get_name()}(" + "".join(f"\n  {line}" for line in lines) + "\n)"


class ModuleDict(Module):
    """A dict whose modules are registered; keys are strings without dots (else a KeyError), in the order of insertion. No `forward`."""

    def __init__(self, modules: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Any) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Takes out all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Takes out and returns the module named `key`."""
        return self._modules.pop(key)

    def keys(self) -> KeysView[str]:
        """The names, in order."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, Any]:
        """Pairs of name and module, in order."""
        return self._modules.items()

    def values(self) -> ValuesView[Any]:
        """The modules, in order."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Adds all modules of a mapping or of an iterable of (key, module)."""
        for key, module in pairs_of(modules, "ModuleDict"):
            self[key] = module
