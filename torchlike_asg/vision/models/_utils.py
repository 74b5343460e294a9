"""What detectors and segmenters take from a classifier: the results of some of its layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ... import nn


class IntermediateLayerGetter(nn.ModuleDict):
    """The children of `model` up to the last one asked for, run one after the other: a dict of the results in `return_layers`.

    `return_layers` maps names of direct children to the names of their results. The children must be used in the order they were
    registered in, once each.

    Raises:
        ValueError: a name is no child's.
    """

    def __init__(self, model: nn.Module, return_layers: Mapping[str, str]) -> None:
        wanted = {str(name): str(result) for name, result in return_layers.items()}
        children = dict(model.named_children())
        if not set(wanted) <= set(children):
            raise ValueError("return_layers are not present in model")
        last = max((i for i, name in enumerate(children) if name in wanted), default=len(children) - 1)
        super().__init__(dict(list(children.items())[: last + 1]))
        self.return_layers = wanted

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        results: OrderedDict[str, Any] = OrderedDict()
        for name, layer in self.items():
            x = layer(x)
            if name in self.return_layers:
                results[self.return_layers[name]] = x
        return results
