"""``torch._tensor_str``: where packages look up how tensors are printed. `torch.set_printoptions` sets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .facade import printing
from .facade.core import Tensor

__all__ = ["PRINT_OPTS", "printoptions"]


class _Current:
    """The options in force: ``precision``, ``threshold``, ``edgeitems``, ``linewidth``, ``sci_mode``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(printing.options(), name)


PRINT_OPTS = _Current()


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """A block in which `set_printoptions` is as given; afterwards it is as it was."""
    before = printing.options()
    printing.set_printoptions(**{"sci_mode": before.sci_mode, **options})
    try:
        yield
    finally:
        printing.restore(before)


def _tensor_str(self: Tensor, indent: int) -> str:
    """The numbers of a tensor in brackets; lines after the first are indented."""
    return printing.contents(self, indent)
