"""Adafactor (Shazeer and Stern, 2018), as PyTorch has it."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..asg.declare import get
from ..asg.node import Node
from ..facade.core import Tensor
from ..facade.functions.creation import zeros
from .checks import check_lr
from .optimizer import Group, Nodes, Optimizer
from .rules import decay_form, loss_gradient, maximum, moving, shrunk, sqrt

__all__ = ["Adafactor"]

_mean = get("mean")


class Adafactor(Optimizer):
    """Adaptive steps that keep the second moment of a matrix as one row and one column of means.

    The product of the two, over the mean of the rows, estimates it. With u = g / sqrt(estimate):
    p <- (1 - lr * weight_decay) p - a / max(1, rms(u) / d) * u, where a = max(eps2, rms(p)) * min(lr, 1 / sqrt(t)).
    The means move by the share t^beta2_decay. ``eps`` is (eps1, eps2); eps1 None means the type's epsilon.
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor):
            check_lr(lr)
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 >= beta2_decay:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not 0.0 <= eps[0]:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not 0.0 <= eps[1]:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not 1.0 <= d:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def form(self, group: Group) -> tuple[Any, ...]:
        return decay_form(group), bool(group["maximize"])

    def state_names(self, group: Group, p: Tensor) -> tuple[str, ...]:
        return ("row_var", "col_var") if len(p.shape) > 1 else ("variance",)

    def initial(self, group: Group, p: Tensor, name: str) -> Tensor:
        shape = list(p.shape)
        if name != "variance":
            shape[-1 if name == "row_var" else -2] = 1
        return zeros(shape, dtype=p.dtype, device=p.device)

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        lr, step = float(group["lr"]), clock["step"]
        eps1 = dtypes.finfo(dtype).eps if group["eps"][0] is None else float(group["eps"][0])
        numbers = {
            "share": step ** float(group["beta2_decay"]),
            "rate": min(lr, 1 / math.sqrt(step)),
            "eps1": eps1,
            "eps1_squared": eps1 * eps1,
            "eps2": float(group["eps"][1]),
            "d": float(group["d"]),
        }
        if group["weight_decay"] != 0:
            numbers["shrink"] = 1 - lr * float(group["weight_decay"])
        return numbers

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        g = loss_gradient(group, p, g, numbers)
        alpha = maximum(_root_mean_square(p), numbers["eps2"]) * numbers["rate"]
        p = shrunk(p, numbers)
        squares = g * g
        if "variance" in state:
            estimate = moving(state["variance"], squares, numbers["share"])
            changed = {"variance": estimate}
        else:
            last = len(p.shape) - 1
            rows = moving(state["row_var"], _mean(squares, (last,), True), numbers["share"])
            columns = moving(state["col_var"], _mean(squares, (last - 1,), True), numbers["share"])
            changed = {"row_var": rows, "col_var": columns}
            estimate = rows * columns / maximum(_mean(rows, (last - 1,), True), numbers["eps1"])
        u = g / sqrt(maximum(estimate, numbers["eps1_squared"]))
        return p - u * (alpha / maximum(_root_mean_square(u) / numbers["d"], 1.0)), changed


def _root_mean_square(n: Node) -> Node:
    return sqrt(_mean(n * n, tuple(range(len(n.shape))), False))
