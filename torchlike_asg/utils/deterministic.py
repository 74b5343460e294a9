"""``torch.utils.deterministic``: whether new memory that a script has not written yet is filled with NaN, or the largest integer, while
`torch.use_deterministic_algorithms` is on. Else it holds zeros here, so that results never depend on it.
"""

import sys
import types

from .. import config


class _Deterministic(types.ModuleType):
    @property
    def fill_uninitialized_memory(self) -> bool:
        """Whether `torch.empty` and its like, and what `resize_` adds, are filled then. On by default."""
        return config.fill_uninitialized

    @fill_uninitialized_memory.setter
    def fill_uninitialized_memory(self, mode: bool) -> None:
        if mode.__class__ is not bool:
            raise RuntimeError(f"expected a bool, but got {type(mode).__name__}")
        config.fill_uninitialized = mode


sys.modules[__name__].__class__ = _Deterministic
