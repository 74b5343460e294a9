"""``functorch.experimental``: `chunk_vmap`, and functions that are in `torch.func` now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd.vectorize import example_count
from ..func import functionalize, hessian, jacfwd, jvp, replace_all_batch_norm_modules_, vmap

__all__ = ["chunk_vmap", "functionalize", "hessian", "jacfwd", "jvp", "replace_all_batch_norm_modules_"]


def chunk_vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", chunks: int = 2
) -> Callable[..., Any]:
    """`torch.func.vmap` in so many parts of the examples, one after the other, which takes less memory.

    Raises:
        RuntimeError: no parts (when the function is called).
    """

    def mapped(*args: Any, **kwargs: Any) -> Any:
        if chunks < 1:
            raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
        size = max(-(-example_count(func, in_dims, args) // chunks), 1)
        return vmap(func, in_dims, out_dims, randomness, chunk_size=size)(*args, **kwargs)

    return mapped
