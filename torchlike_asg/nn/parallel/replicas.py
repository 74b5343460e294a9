"""What data-parallel code is made of, for one process with one place to compute: splitting a batch, calling modules, joining results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from ...pytree import tree_flatten, tree_unflatten

__all__ = ["data_parallel", "gather", "parallel_apply", "replicate", "scatter"]


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """A tuple with `inputs` for each device: tensors in containers split along `dim`, other objects repeated."""
    leaves, structure = tree_flatten(inputs)
    parts = [
        [p.to(device) for p, device in zip(torch.chunk(x, len(target_gpus), dim), target_gpus, strict=False)]
        if isinstance(x, torch.Tensor)
        else [x] * len(target_gpus)
        for x in leaves
    ]
    count = min((len(p) for p in parts), default=len(target_gpus))
    return tuple(tree_unflatten([p[i] for p in parts], structure) for i in range(count))


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """Results of several calls as one: tensors joined along `dim` (those without dimensions stacked), on `target_device`."""
    flat = [tree_flatten(o) for o in outputs]
    joined = []
    for row in zip(*[leaves for leaves, _ in flat], strict=True):
        if isinstance(row[0], torch.Tensor):
            row = [x.to(target_device) for x in row]
            joined.append(torch.cat(row, dim) if row[0].dim() else torch.stack(row))
        else:
            joined.append(row[0] if len(row) == 1 else list(row))
    return tree_unflatten(joined, flat[0][1])


def replicate(network: Any, devices: Sequence[Any], detach: bool = False) -> list[Any]:
    """The module once for each device. The replicas are the module itself: there is one place to compute."""
    return [network for _ in devices]


def parallel_apply(
    modules: Sequence[Any], inputs: Sequence[Any], kwargs_tup: Sequence[Any] | None = None, devices: Any = None
) -> list[Any]:
    """Each module called with its inputs, one after another."""
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    named = [{} for _ in modules] if kwargs_tup is None else kwargs_tup
    return [m(*(i if isinstance(i, (list, tuple)) else (i,)), **k) for m, i, k in zip(modules, inputs, named, strict=True)]


def data_parallel(
    module: Any, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0, module_kwargs: Any = None
) -> Any:
    """``module(*inputs, **module_kwargs)``, in this process."""
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))
