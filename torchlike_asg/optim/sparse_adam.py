"""Adam for tables of which a step touches few rows: "lazy" Adam, for gradients of embeddings."""

from __future__ import annotations

import math
from typing import Any

from ..asg.declare import IDENTITIES, get
from ..asg.node import Node, const
from ..ops.embedding import embedding_grad
from .checks import check_betas, check_one_element, check_positive
from .optimizer import Group, Nodes, Optimizer
from .rules import greater, mean_square, moving, sqrt, where

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam on the rows (along the first dimension) that have a gradient; parameters and states of all other rows stay as they are.

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps).

    The rows are those whose indices were looked up, by ``Embedding(..., sparse=True)``. Dense gradients are refused.
    """

    elementwise = False

    whole_steps = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        check_one_element(lr)
        check_positive(lr, "learning rate")
        check_positive(eps, "epsilon value")
        check_betas(betas)
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "maximize": maximize})
        sparse = [[i, j] for i, group in enumerate(self.param_groups) for j, p in enumerate(group["params"]) if p.is_sparse]
        if sparse:
            raise ValueError(f"Sparse params at indices {sparse}: SparseAdam requires dense parameter tensors")

    def form(self, group: Group) -> tuple[Any, ...]:
        return (bool(group["maximize"]),)

    def refusal_of_sparse(self, group: Group) -> str | None:
        return None

    def state_names(self, group: Group, p: Any) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        b1, b2 = map(float, group["betas"])
        step = clock["step"]
        return {
            "step_size": float(group["lr"]) * math.sqrt(1 - b2**step) / (1 - b1**step),
            "share1": 1 - b1,
            "keep2": b2,
            "share2": 1 - b2,
            "eps": float(group["eps"]),
        }

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        touched = greater(times_looked_up(g), const(0, g.dtype))
        if group["maximize"]:
            g = -g
        old_m, old_v = state["exp_avg"], state["exp_avg_sq"]
        m = where(touched, moving(old_m, g, numbers["share1"]), old_m)
        v = where(touched, mean_square(old_v, g, numbers["keep2"], numbers["share2"]), old_v)
        moved = p - m / (sqrt(v) + numbers["eps"]) * numbers["step_size"]
        return where(touched, moved, p), {"exp_avg": m, "exp_avg_sq": v}


def times_looked_up(g: Node) -> Node:
    """How often each row of a sparse gradient occurs, broadcasting against the gradient."""
    n = g
    while True:
        if n.op in IDENTITIES or n.op.name in ("cast", "reshape"):
            n = n.srcs[0]
        elif n.op.name == "restride" and n.srcs[0].op.name == "unview" and n.srcs[0].srcs[0].shape == n.shape:
            n = n.srcs[0].srcs[0]  # of a table that is a view of its memory, as it lies there and back
        else:
            break
    if n.op is not embedding_grad:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
    places = n.srcs[1]
    ones = get("full")(const(1.0, g.dtype), (*places.shape, 1))
    counts = embedding_grad(ones, places, *n.attrs)
    lead = [d for d in range(len(g.shape) + 1) if math.prod(g.shape[:d]) == n.attrs[0]][-1]
    return get("reshape")(counts, (*g.shape[:lead], *[1] * (len(g.shape) - lead)))
