"""Resilient backpropagation (Riedmiller and Braun, 1993), the variant without weight backtracking."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from ..facade.core import Tensor
from .checks import check_implementation, check_lr
from .optimizer import Group, Nodes, Optimizer, filled_like
from .rules import greater, less, loss_gradient, maximum, minimum, sign, where

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Each element has a step size of its own, within `step_sizes`; only the sign of the gradient counts.

    Where the sign stayed, the size grows by ``etas[1]``; where it changed, it shrinks by ``etas[0]`` and the element waits for one step.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return (bool(group["maximize"]),)

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return "prev", "step_size"

    def initial(self, group: Group, p: Tensor, name: str) -> Tensor:
        return filled_like(p, float(group["lr"]) if name == "step_size" else 0.0)

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        return {
            "shrink": float(group["etas"][0]),
            "grow": float(group["etas"][1]),
            "smallest": float(group["step_sizes"][0]),
            "largest": float(group["step_sizes"][1]),
        }

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        agreement = g * state["prev"]
        turned = less(agreement, 0.0)
        factor = where(turned, numbers["shrink"], where(greater(agreement, 0.0), numbers["grow"], 1.0))
        size = minimum(maximum(state["step_size"] * factor, numbers["smallest"]), numbers["largest"])
        g = where(turned, 0.0, g)
        return p - sign(g) * size, {"prev": g, "step_size": size}
