"""Transforms of data run beside what the training loop has recorded, not inside it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ...asg.trace import Trace, current, using
from ...facade.core import Tensor
from ...facade.flush import flush
from ...facade.held import value_of
from ...facade.hosted import data

__all__ = ["isolated"]

F = TypeVar("F", bound=Callable[..., Any])
_local = threading.local()


def isolated(kernel: F) -> F:
    """Compute ``kernel(image, ...)`` at once, in a trace of its own, if `image` is data; record it if it requires a gradient.

    A sample is prepared while a loss of the previous batch may still be pending. Recording its few operations in the same trace would
    give the batch another graph whenever a sample is flipped or cropped elsewhere; apart, the same few plans serve all samples.
    """

    @functools.wraps(kernel)
    def run(image: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(image, Tensor) or image.requires_grad:
            return kernel(image, *args, **kwargs)
        apart = getattr(_local, "trace", None)
        if apart is None:
            apart = _local.trace = Trace()
            apart.grad = False
        if current() is apart:
            return kernel(image, *args, **kwargs)
        values = np.asarray(value_of(image))
        with using(apart):
            try:
                result = kernel(data(values, image.dtype, image.device), *args, **kwargs)
                computed, dtype = np.array(value_of(result), order="C"), result.dtype
            finally:
                result = None
                flush(closing=True)
        return data(computed, dtype, image.device)

    return run  # type: ignore[return-value]
