"""Pieces of update rules that several optimizers share. Everything here takes and gives graph nodes."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..asg.declare import get
from ..asg.node import Node

__all__ = [
    "Group",
    "Nodes",
    "absolute",
    "decay_form",
    "decay_numbers",
    "greater",
    "less",
    "loss_gradient",
    "maximum",
    "mean_square",
    "minimum",
    "moving",
    "shrunk",
    "sign",
    "sqrt",
    "where",
]

#: a parameter group, and nodes by name: the states of a parameter, or the numbers of a step
Group: TypeAlias = dict[str, Any]
Nodes: TypeAlias = dict[str, Node]

absolute, sign, sqrt = get("abs"), get("sign"), get("sqrt")
greater, less, maximum, minimum, where = get("gt"), get("lt"), get("maximum"), get("minimum"), get("where")


def decay_form(group: Group) -> str:
    """How weights decay, as part of an update's form: not at all, by an L2 penalty, or decoupled from the gradient."""
    if not group["weight_decay"] != 0:
        return "none"
    return "decoupled" if group.get("decoupled_weight_decay") else "penalty"


def decay_numbers(group: Group) -> dict[str, float]:
    """The number that goes with `decay_form`, for `loss_gradient` and `shrunk`."""
    decay = float(group["weight_decay"])
    if not decay:
        return {}
    if group.get("decoupled_weight_decay"):
        return {"shrink": 1 - float(group["lr"]) * decay}
    if group["weight_decay"] is True:  # the factor of a sum of floats, in PyTorch
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    return {"weight_decay": decay}


def loss_gradient(group: Group, p: Node, g: Node, numbers: Nodes) -> Node:
    """The gradient of what is minimised: turned round with `maximize`, plus that of the L2 penalty, if there is one."""
    if group["maximize"]:
        g = -g
    return g + p * numbers["weight_decay"] if "weight_decay" in numbers else g


def shrunk(p: Node, numbers: Nodes) -> Node:
    """The parameter after decoupled weight decay, if there is one."""
    return p * numbers["shrink"] if "shrink" in numbers else p


def moving(average: Node, value: Node, share: Node) -> Node:
    """A running mean, moved towards `value` by `share` of the distance."""
    return average + (value - average) * share


def mean_square(average: Node, value: Node, keep: Node, share: Node) -> Node:
    """The running mean of squares ``keep * average + share * value^2``."""
    return average * keep + value * value * share
