"""Adamax: Adam with the infinity norm (Kingma and Ba, 2015, section 7)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_betas, check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import absolute, decay_form, decay_numbers, loss_gradient, maximum, moving

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """m <- b1 m + (1 - b1) g;  u <- max(b2 u, |g| + eps);  p <- p - lr / (1 - b1^t) * m / u."""

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(eps, "epsilon value")
        check_betas(betas)
        check_not_negative(weight_decay, "weight_decay value")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return "exp_avg", "exp_inf"

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        b1, b2 = map(float, group["betas"])
        return {
            "step_size": float(group["lr"]) / (1 - b1 ** clock["step"]),
            "share1": 1 - b1,
            "keep2": b2,
            "eps": float(group["eps"]),
        } | decay_numbers(group)

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        m = moving(state["exp_avg"], g, numbers["share1"])
        u = maximum(state["exp_inf"] * numbers["keep2"], absolute(g) + numbers["eps"])
        return p - m / u * numbers["step_size"], {"exp_avg": m, "exp_inf": u}
