"""Muon: momentum with orthogonalised updates (Jordan et al., 2024)."""

from __future__ import annotations

import math
from typing import Any

from .. import dtypes
from ..asg.declare import get
from ..asg.node import Node
from ..facade.core import Tensor
from ..ops.promotion import to
from .optimizer import Group, Nodes, Optimizer
from .rules import maximum, moving, sqrt

__all__ = ["Muon"]

_matmul, _permute, _sum = get("matmul"), get("permute"), get("sum")


class Muon(Optimizer):
    """For matrices: the running mean of gradients, with its singular values brought near one, is the direction of the step.

    p <- (1 - lr * weight_decay) p - lr * r * O(d), with d the running mean (looking ahead with `nesterov`), O `ns_steps` iterations of
    Newton and Schulz, X <- a X + (b A + c A A) X with A = X X', in bfloat16, and r a ratio by the matrix's shape:
    sqrt(max(1, rows / columns)) for `adjust_lr_fn` "original" (the default), 0.2 sqrt(max(rows, columns)) for "match_rms_adamw".
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:  # type: ignore[attr-defined]
            raise ValueError("Tensor lr must be 1-element")
        if not 0.0 <= lr:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not 0.0 <= momentum:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not 0.0 <= weight_decay:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: Group) -> None:
        super().add_param_group(param_group)
        for p in param_group["params"]:
            if len(p.shape) != 2:
                self.param_groups.pop()
                raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}")

    def form(self, group: Group) -> tuple[Any, ...]:
        return bool(group["nesterov"]), tuple(group["ns_coefficients"]), group["ns_steps"], group["adjust_lr_fn"]

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def clock(self, group: Group) -> dict[str, float]:
        return {}

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        lr, momentum = float(group["lr"]), float(group["momentum"])
        return {
            "lr": lr,
            "shrink": 1 - lr * float(group["weight_decay"]),
            "momentum": momentum,
            "share": 1 - momentum,
            "eps": float(group["eps"]),
        }

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        buffer = moving(state["momentum_buffer"], g, numbers["share"])
        direction = moving(g, buffer, numbers["momentum"]) if group["nesterov"] else buffer
        direction = to(orthogonalised(direction, group["ns_coefficients"], group["ns_steps"], to(numbers["eps"], dtypes.float32)), p.dtype)
        rows, columns = p.shape
        ratio = 0.2 * math.sqrt(max(rows, columns)) if group["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
        return p * numbers["shrink"] - direction * (numbers["lr"] * ratio), {"momentum_buffer": buffer}


def orthogonalised(n: Node, coefficients: tuple[float, float, float], steps: int, eps: Node) -> Node:
    """Newton-Schulz iterations in bfloat16 on a matrix scaled to norm one; they run on the smaller of X X' and X' X."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = map(float, coefficients)
    tall = n.shape[0] > n.shape[1]
    x = _rounded(_permute(n, 1, 0) if tall else n)
    x = _rounded(x / maximum(_rounded(sqrt(_sum(x * x, (0, 1), False))), eps))
    for _ in range(steps):
        gram = _rounded(_matmul(x, _permute(x, 1, 0)))
        x = _rounded(x * a + _matmul(_rounded(gram * b + _matmul(gram, gram) * c), x))
    return _permute(x, 1, 0) if tall else x


def _rounded(n: Node) -> Node:
    """Rounded to bfloat16, in float32: products are summed in float32, as matrix units do."""
    return to(to(n, dtypes.bfloat16), dtypes.float32)
