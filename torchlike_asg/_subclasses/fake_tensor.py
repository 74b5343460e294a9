"""``torch._subclasses.fake_tensor`` as far as packages ask whether a tensor is one: none is, as every tensor can be computed."""

from __future__ import annotations

from typing import Any

from ..errors import Absent

__all__ = ["FakeTensor", "FakeTensorMode", "is_fake"]
_INSTEAD = "tensors are computed when they are read; recording alone computes nothing"


class FakeTensor(Absent, within="torch._subclasses", instead=_INSTEAD):
    """PyTorch's tensor that has a shape and a type only: no tensor here is an instance."""


class FakeTensorMode(Absent, within="torch._subclasses", instead=_INSTEAD):
    """Cannot be entered; see `FakeTensor`."""


def is_fake(x: Any) -> bool:
    """False."""
    return False
