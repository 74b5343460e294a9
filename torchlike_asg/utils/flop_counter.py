"""``torch.utils.flop_counter``, for packages that import it: operations are not counted here."""

from __future__ import annotations

from ..errors import Absent

__all__ = ["FlopCounterMode"]
_INSTEAD = "torch.profiler tells of time and bytes; operations are not counted"


class FlopCounterMode(Absent, within="torch.utils.flop_counter", instead=_INSTEAD):
    """Cannot be made."""
