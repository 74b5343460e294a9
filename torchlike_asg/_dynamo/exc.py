"""``torch._dynamo.exc``: the errors of `torch.compile`."""

from __future__ import annotations

__all__ = ["InvalidBackend", "TorchDynamoException", "Unsupported"]


class TorchDynamoException(RuntimeError):
    """Base class of what PyTorch's compiler raises."""


class Unsupported(TorchDynamoException):
    """What PyTorch cannot trace; here nothing is traced, so it is never raised."""


class InvalidBackend(TorchDynamoException):
    """A backend that PyTorch does not have either."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Invalid backend: {name!r}, see `torch._dynamo.list_backends()` for available backends.")
