"""Walking a tree of modules: children, modules, parameters and buffers by dotted name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

from ..parameter import Parameter

__all__ = ["TreeMixin"]


class TreeMixin:
    """The part of Module that lists and finds what lies below it. Shared tensors and modules are listed once."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """(name, module) of the direct children."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Any]:
        """The direct children."""
        for _, module in self.named_children():
            yield module

    def named_modules(self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """(dotted name, module) of this module, whose name is `prefix`, and all below it, depth first."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Any]:
        """This module and all below it, in the order of `named_modules`."""
        seen = set()
        pending = [self]
        while pending:
            module = pending.pop()
            if id(module) not in seen:
                if remove_duplicate:
                    seen.add(id(module))
                yield module
                pending += [child for child in reversed(module._modules.values()) if child is not None]

    def _named_members(
        self, get_members_fn: Callable[[Any], Any], prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        holders = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for holder, module in holders:
            for name, member in get_members_fn(module):
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{holder}.{name}" if holder else name, member

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """(dotted name, parameter) of this module and, with `recurse`, of all below it."""
        yield from self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        """The parameters, as an optimizer takes them."""
        seen = set()
        for module in self.modules() if recurse else (self,):
            for parameter in module._parameters.values():
                if parameter is not None and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """(dotted name, buffer) of this module and, with `recurse`, of all below it."""
        yield from self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """The buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Any], Any]) -> Self:
        """Calls `fn` on every module below, children before parents, and on this one last."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- by name

    def get_submodule(self, target: str) -> Any:
        """The module with dotted name `target`; this one for the empty name. Raises AttributeError where there is none."""
        found: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(found, name):
                raise AttributeError(f"{found._get_name()} has no attribute `{name}`")
            found = getattr(found, name)
            if not isinstance(found, TreeMixin):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return found

    def set_submodule(self, target: str, module: Any, strict: bool = False) -> None:
        """Puts `module` at dotted name `target`; with `strict` only in place of one that is there already."""
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        holder_name, _, name = target.rpartition(".")
        if not isinstance(module, TreeMixin):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        holder = self.get_submodule(holder_name)
        if strict and not hasattr(holder, name):
            raise AttributeError(f"{holder._get_name()} has no attribute `{name}`")
        if hasattr(holder, name) and not isinstance(getattr(holder, name), TreeMixin):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(holder, name, module)

    def get_parameter(self, target: str) -> Any:
        """The parameter with dotted name `target`. Raises AttributeError where there is none."""
        holder, name = self._get_member(target)
        parameter = getattr(holder, name)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target: str) -> Any:
        """The buffer with dotted name `target`. Raises AttributeError where there is none."""
        holder, name = self._get_member(target)
        if name not in holder._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return holder._buffers[name]

    def _get_member(self, target: str) -> tuple[Any, str]:
        holder_name, _, name = target.rpartition(".")
        holder = self.get_submodule(holder_name)
        if not hasattr(holder, name):
            raise AttributeError(f"{holder._get_name()} has no attribute `{name}`")
        return holder, name
