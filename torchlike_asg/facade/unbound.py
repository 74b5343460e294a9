"""Functions that are attributes of a class: ``class Net: activation = torch.tanh``.

PyTorch's are built in, which an instance gives as they are: ``self.activation(x)`` is ``torch.tanh(x)``. Python's bind the instance. A call
that fails for it is found here, and the class is told that its attribute is a static method: later calls are as fast as any.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import Any

from .core import Tensor

__all__ = ["BUILT_IN_LAYERS", "unbind"]

#: functions of `nn.functional` that PyTorch has built in; the others bind there, too
BUILT_IN_LAYERS = frozenset(
    """adaptive_avg_pool1d avg_pool1d avg_pool2d avg_pool3d bilinear channel_shuffle conv1d conv2d conv3d conv_tbc conv_transpose1d
    conv_transpose2d conv_transpose3d cosine_similarity gelu hardshrink linear logsigmoid native_channel_shuffle one_hot
    pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu scaled_dot_product_attention softplus softshrink""".split()
)


def unbind(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the first of the arguments is there because its class has `fn` as an attribute, which does not bind from now on."""
    if not args or isinstance(args[0], Tensor) or len(args) + len(kwargs) < 2:
        return False
    found = False
    for cls in type(args[0]).__mro__:
        for name, value in list(vars(cls).items()):
            if value.__class__ is FunctionType and inspect.unwrap(value) is fn:
                type.__setattr__(cls, name, staticmethod(value))
                found = True
    return found
