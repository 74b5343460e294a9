"""RAdam: rectified Adam (Liu et al., 2020)."""

from __future__ import annotations

import math
from typing import Any

from ..asg.node import Node
from .checks import check_betas, check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, greater, loss_gradient, mean_square, moving, shrunk, sqrt, where

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Adam that begins as plain momentum and adapts the step only once the variance of the adaptive rate is tractable.

    With n = 2 / (1 - b2) - 1 and r = n - 2 t b2^t / (1 - b2^t): where r > 5, p <- p - lr * m' * sqrt(1 - b2^t) / (sqrt(v) + eps) * R with
    R^2 = (r - 4)(r - 2) n / ((n - 4)(n - 2) r); before, p <- p - lr * m'. Here m' = m / (1 - b1^t).
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        b1, b2 = map(float, group["betas"])
        lr, step = float(group["lr"]), clock["step"]
        correction = 1 - b2**step
        longest = 2 / (1 - b2) - 1
        length = longest - 2 * step * b2**step / correction
        adaptive = length > 5.0
        rectified = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) if adaptive else 1.0
        return {
            "step_size": lr / (1 - b1**step),
            "adaptive": float(adaptive),
            "rate": rectified * math.sqrt(correction),
            "share1": 1 - b1,
            "keep2": b2,
            "share2": 1 - b2,
            "eps": float(group["eps"]),
        } | decay_numbers(group)

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        p = shrunk(p, numbers)
        m = moving(state["exp_avg"], g, numbers["share1"])
        v = mean_square(state["exp_avg_sq"], g, numbers["keep2"], numbers["share2"])
        step = m * numbers["step_size"]
        # chosen at run time, so that the step at which adaptation begins records nothing new
        step = where(greater(numbers["adaptive"], 0.5), step / (sqrt(v) + numbers["eps"]) * numbers["rate"], step)
        return p - step, {"exp_avg": m, "exp_avg_sq": v}
