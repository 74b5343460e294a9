"""Adagrad (Duchi et al., 2011)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from ..facade.core import Tensor
from .checks import check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer, filled_like
from .rules import decay_form, decay_numbers, loss_gradient, sqrt
from .state import scalar_tensor

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of their squares: s <- s + g^2;  p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps).

    The sum starts at `initial_accumulator_value`; the state exists from the start, as in PyTorch.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative(lr_decay, "lr_decay value")
        check_not_negative(weight_decay, "weight_decay value")
        check_not_negative(initial_accumulator_value, "initial_accumulator_value value")
        check_not_negative(eps, "epsilon value")
        check_implementation(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p].update(step=scalar_tensor(0.0), sum=self.initial(group, p, "sum"))

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def refusal_of_sparse(self, group: Group) -> str | None:
        return "weight_decay option is not compatible with sparse gradients" if group["weight_decay"] != 0 else None

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("sum",)

    def initial(self, group: Group, p: Tensor, name: str) -> Tensor:
        return filled_like(p, self.defaults["initial_accumulator_value"])

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        return {
            "lr": float(group["lr"]) / (1 + (clock["step"] - 1) * float(group["lr_decay"])),
            "eps": float(group["eps"]),
        } | decay_numbers(group)

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        total = state["sum"] + g * g
        return p - g / (sqrt(total) + numbers["eps"]) * numbers["lr"], {"sum": total}
