"""Context managers that are decorators too, under the name PyTorch keeps them."""

from ..autograd.grad_mode import _Mode as _DecoratorContextManager

__all__ = ["_DecoratorContextManager"]
