"""Stochastic gradient descent with momentum (Sutskever et al., 2013) and weight decay."""

from __future__ import annotations

from typing import Any

from ..asg.node import Node
from .checks import check_implementation, check_one_element
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, decay_numbers, loss_gradient

__all__ = ["SGD"]


class SGD(Optimizer):
    """p <- p - lr * d, with d the gradient (plus `weight_decay` * p), or its running sum where `momentum` is not zero.

    The first step's buffer is the gradient itself; `dampening` applies from the second on. `nesterov` looks one step ahead.
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_one_element(lr)
        if lr < 0.0:  # not: if not lr >= 0, which refuses NaN
            raise ValueError(f"Invalid learning rate: {lr}")
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if weight_decay < 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_implementation(differentiable, foreach, fused)
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "foreach": foreach,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def form(self, group: Group) -> tuple[Any, ...]:
        return bool(group["momentum"] != 0), decay_form(group), bool(group["nesterov"]), bool(group["maximize"])

    def refusal_of_sparse(self, group: Group) -> str | None:
        return "add(sparse, dense) is not supported. Use add(dense, sparse) instead." if group["weight_decay"] != 0 else None

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def clock(self, group: Group) -> dict[str, float]:
        return {}

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        numbers = {"lr": float(group["lr"])} | decay_numbers(group)
        momentum = float(group["momentum"])
        if momentum:
            started = clock["step"] > 1
            numbers["momentum"] = momentum
            numbers["take"] = 1.0 - float(group["dampening"]) if started else 1.0
        return numbers

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        changed = {}
        if "momentum_buffer" in state:
            buffer = changed["momentum_buffer"] = state["momentum_buffer"] * numbers["momentum"] + g * numbers["take"]
            g = g + buffer * numbers["momentum"] if group["nesterov"] else buffer
        return p - g * numbers["lr"], changed
