"""RMSprop (Tieleman and Hinton, lecture 6.5, 2012), centered as in Graves (2013)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, loss_gradient, mean_square, moving, sqrt

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Gradients divided by the root of their running mean square: v <- a v + (1 - a) g^2;  p <- p - lr * g / (sqrt(v) + eps).

    `centered` subtracts the square of the running mean gradient from v, which makes it a variance. With `momentum` the quotient goes
    into a running sum first.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps, "epsilon value")
        check_not_negative(momentum, "momentum value")
        check_not_negative(weight_decay, "weight_decay value")
        check_not_negative(alpha, "alpha value")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # which the first version lacked
            group.setdefault("momentum", 0)

    def form(self, group: Group) -> tuple[Any, ...]:
        return bool(group["momentum"] > 0), bool(group["centered"]), decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("square_avg", *(("momentum_buffer",) if group["momentum"] > 0 else ()), *(("grad_avg",) if group["centered"] else ()))

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        alpha = float(group["alpha"])
        numbers = {"lr": float(group["lr"]), "keep": alpha, "share": 1 - alpha, "eps": float(group["eps"])} | decay_numbers(group)
        if group["momentum"] > 0:
            numbers["momentum"] = float(group["momentum"])
        return numbers

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        v = mean_square(state["square_avg"], g, numbers["keep"], numbers["share"])
        changed = {"square_avg": v}
        if group["centered"]:
            mean = changed["grad_avg"] = moving(state["grad_avg"], g, numbers["share"])
            v = v - mean * mean
        quotient = g / (sqrt(v) + numbers["eps"])
        if "momentum" in numbers:
            quotient = changed["momentum_buffer"] = state["momentum_buffer"] * numbers["momentum"] + quotient
        return p - quotient * numbers["lr"], changed
