"""Settings of warnings that PyTorch gave of code from before its version 0.2, when operands were not broadcast and sums kept their axes.

PyTorch 2.13 remembers them and warns of nothing any more, and so does this package.
"""

from __future__ import annotations

__all__ = ["Warning", "broadcast_warning", "keepdim_warning"]


class Warning:
    """A warning that can be switched on: `enabled` is a bool, False at first; any other type is a RuntimeError."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = False

    def get_enabled(self) -> bool:
        return self._enabled

    def set_enabled(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError(f"set_backcompat_{self._name}_warn expects a bool, but got {type(value).__name__}")
        self._enabled = value

    enabled = property(get_enabled, set_enabled)


broadcast_warning = Warning("broadcast")
keepdim_warning = Warning("keepdim")
