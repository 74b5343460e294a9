"""Registering hooks in the dicts of a module."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from ...facade.hooks import RemovableHandle

__all__ = ["RemovableHandle", "register"]


def register(
    hooks: OrderedDict[int, Any], hook: Any, *marks: tuple[OrderedDict[int, bool], bool], prepend: bool = False, watch: Any = None
) -> RemovableHandle:
    """Adds `hook` to `hooks` under a new id, and that id to each dict of `marks` that comes with a true flag. ``watch.pop`` is called when
    it is removed."""
    wanted = [mark for mark, flag in marks if flag]
    handle = RemovableHandle(hooks, extra_dict=[*wanted, *([] if watch is None else [watch])])
    hooks[handle.id] = hook
    for mark in wanted:
        mark[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
