"""Registering hooks in the dicts of a module."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ...facade.hooks import RemovableHandle

__all__ = ["MarkedHandle", "RemovableHandle", "register"]


class MarkedHandle(RemovableHandle):
    """The handle of a hook whose id may also stand in dicts that say how the hook is called."""

    def __init__(self, hooks: Any, marks: list[Any]) -> None:
        super().__init__(hooks)
        self._marks = marks

    def remove(self) -> None:
        super().remove()
        for mark in self._marks:
            mark.pop(self.id, None)


def register(
    hooks: OrderedDict[int, Any],
    hook: Any,
    *marks: tuple[OrderedDict[int, bool], bool],
    prepend: bool = False,
    handle_class: type[MarkedHandle] = MarkedHandle,
) -> RemovableHandle:
    """Adds `hook` to `hooks` under a new id, and that id to each dict of `marks` that comes with a true flag."""
    wanted = [mark for mark, flag in marks if flag]
    handle = handle_class(hooks, wanted)
    hooks[handle.id] = hook
    for mark in wanted:
        mark[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
