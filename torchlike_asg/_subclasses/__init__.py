"""``torch._subclasses``: PyTorch's tensors without values, of which there are none here."""

from .fake_tensor import FakeTensor, FakeTensorMode

__all__ = ["FakeTensor", "FakeTensorMode"]
