"""Adam (Kingma and Ba, 2015), with AMSGrad (Reddi et al., 2018)."""

from __future__ import annotations

import math
from typing import Any

from ..asg.node import Node
from ..facade.core import Tensor
from .checks import check_betas, check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, loss_gradient, maximum, mean_square, moving, shrunk, sqrt

__all__ = ["Adam"]


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square, both corrected for starting at zero.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps).
    `weight_decay` adds to the gradient (L2), or shrinks the parameter directly with `decoupled_weight_decay`. `amsgrad` uses the
    largest v seen so far.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_lr(lr)
        check_not_negative(eps, "epsilon value")
        check_betas(betas)
        check_not_negative(weight_decay, "weight_decay value")
        if not any(isinstance(betas[0], kind) and isinstance(betas[1], kind) for kind in (float, Tensor)):
            raise ValueError("betas must be either both floats or both Tensors")
        check_implementation(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": tuple(betas),
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return bool(group["amsgrad"]), bool(group["maximize"]), decay_form(group)

    def refusal_of_sparse(self, group: Group) -> str | None:
        return "Adam does not support sparse gradients, please consider SparseAdam instead"

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        b1, b2 = map(float, group["betas"])
        lr, step = float(group["lr"]), clock["step"]
        return {
            "step_size": lr / (1 - b1**step),
            "correction": math.sqrt(1 - b2**step),
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
        changed = {"exp_avg": m, "exp_avg_sq": v}
        if group["amsgrad"]:
            v = changed["max_exp_avg_sq"] = maximum(state["max_exp_avg_sq"], v)
        return p - m / (sqrt(v) / numbers["correction"] + numbers["eps"]) * numbers["step_size"], changed
