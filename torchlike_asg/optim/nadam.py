"""NAdam: Adam with Nesterov momentum (Dozat, 2016)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_betas, check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, loss_gradient, mean_square, moving, shrunk, sqrt

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam whose step mixes the gradient with the momentum of the next step.

    p <- p - lr ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m) / (sqrt(v / (1 - b2^t)) + eps), with the schedule
    mu_t = b1 (1 - 0.96^(t * momentum_decay) / 2) and M_t the product of mu_1 to mu_t (`mu_product` in the state).
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative(momentum_decay, "momentum_decay value")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return "exp_avg", "exp_avg_sq"

    def clock(self, group: Group) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        b1, b2 = map(float, group["betas"])
        lr, step = float(group["lr"]), clock["step"]
        mu, following = [b1 * (1.0 - 0.5 * 0.96 ** (t * float(group["momentum_decay"]))) for t in (step, step + 1)]
        product = clock["mu_product"] = clock["mu_product"] * mu
        return {
            "of_gradient": lr * (1.0 - mu) / (1.0 - product),
            "of_momentum": lr * following / (1.0 - product * following),
            "correction": 1 - b2**step,
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
        denominator = sqrt(v / numbers["correction"]) + numbers["eps"]
        return p - g / denominator * numbers["of_gradient"] - m / denominator * numbers["of_momentum"], {"exp_avg": m, "exp_avg_sq": v}
