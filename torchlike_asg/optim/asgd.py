"""Averaged stochastic gradient descent (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_implementation, check_lr, check_not_negative
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, less, loss_gradient, moving, where

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """p <- (1 - lambd * eta) p - eta * g, and an average of the parameters in the state `ax`, which starts at step `t0`.

    After each step eta <- lr / (1 + lambd * lr * t)^alpha and mu <- 1 / max(1, t - t0);  ax <- ax + mu (p - ax).
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative(weight_decay, "weight_decay value")
        check_implementation(differentiable)
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
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
        return ("ax",)

    def clock(self, group: Group) -> dict[str, float]:
        return {"step": 0.0, "eta": float(group["lr"]), "mu": 1.0}

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        lr, lambd, step = float(group["lr"]), float(group["lambd"]), clock["step"]
        numbers = {"eta": clock["eta"], "shrink": 1 - lambd * clock["eta"], "mu": clock["mu"]} | decay_numbers(group)
        clock["eta"] = lr / (1 + lambd * lr * step) ** float(group["alpha"])
        clock["mu"] = 1 / max(1.0, step - float(group["t0"]))
        return numbers

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        p = p * numbers["shrink"] - g * numbers["eta"]
        return p, {"ax": where(less(numbers["mu"], 1.0), moving(state["ax"], p, numbers["mu"]), p)}
