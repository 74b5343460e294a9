"""Adadelta (Zeiler, 2012)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, loss_gradient, mean_square, sqrt

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Steps in the parameter's own units: d = g * sqrt(u + eps) / sqrt(v + eps);  p <- p - lr * d.

    v and u are the running mean squares, with factor `rho`, of the gradients and of the steps d.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative(eps, "epsilon value")
        check_not_negative(weight_decay, "weight_decay value")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return "square_avg", "acc_delta"

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        rho = float(group["rho"])
        return {"lr": float(group["lr"]), "keep": rho, "share": 1 - rho, "eps": float(group["eps"])} | decay_numbers(group)

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        keep, share, eps = numbers["keep"], numbers["share"], numbers["eps"]
        v = mean_square(state["square_avg"], g, keep, share)
        delta = sqrt(state["acc_delta"] + eps) / sqrt(v + eps) * g
        return p - delta * numbers["lr"], {"square_avg": v, "acc_delta": mean_square(state["acc_delta"], delta, keep, share)}
