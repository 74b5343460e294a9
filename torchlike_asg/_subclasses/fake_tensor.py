"""``torch._subclasses.fake_tensor`` as far as packages ask whether a tensor is one: none is, as every tensor can be computed."""

from __future__ import annotations

from typing import Any

from ..errors import Unsupported

__all__ = ["FakeTensor", "FakeTensorMode", "is_fake"]


class FakeTensor:
    """PyTorch's tensor that has a shape and a type only: no tensor here is an instance."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported("torch._subclasses.FakeTensor: tensors are computed when they are read; recording alone computes nothing")


class FakeTensorMode:
    """Cannot be entered; see `FakeTensor`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported("torch._subclasses.FakeTensorMode: tensors are computed when they are read; recording alone computes nothing")


def is_fake(x: Any) -> bool:
    """False."""
    return False
