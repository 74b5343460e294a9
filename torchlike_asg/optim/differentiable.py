"""Steps that can be differentiated (``differentiable=True``): the same update rules, written in place with their history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..asg.node import Node, const
from ..facade.core import Tensor, node_of, wrap
from ..facade.write import write
from ..ops.promotion import to
from .recorded import _computed, _state
from .rules import Group
from .state import Clock

if TYPE_CHECKING:
    from .optimizer import Optimizer


def run(optimizer: Optimizer) -> None:
    """One step of every parameter with a gradient. Parameters are results, not leaves, and gradients may have a history of their own."""
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None:
                _advance(optimizer, group, p, p.grad)


def _refuse_hidden(optimizer: Optimizer, group: Group, counts: dict[str, Any], lr: bool) -> None:
    """NotImplementedError for what wants a gradient and enters the rule as a number: the gradient would be lost."""
    for name, given in (*group.items(), *counts.items()):
        values = () if name == "params" or (name == "lr" and lr) else given if isinstance(given, (tuple, list)) else (given,)
        if any([isinstance(v, Tensor) and v.requires_grad for v in values]):
            raise NotImplementedError(
                f"{type(optimizer).__name__}(differentiable=True) computes with '{name}' as a number, which has no gradient: give it a "
                "number or detach() it, or write the step out with tensors"
            )


def _advance(optimizer: Optimizer, group: Group, p: Tensor, g: Tensor) -> None:
    state, names = _state(optimizer, p), optimizer.state_names(group, p)
    clock = optimizer.clock(group)
    fresh = any(dict.get(state, name) is None for name in names)
    ahead = Clock({"step": 0.0 if fresh else 1.0})  # for those that keep no count: whether there was a step before
    ahead.update({name: state.number(name, default) for name, default in clock.items()})
    ahead["step"] += 1.0
    d = _computed(p.dtype)
    numbers = {name: const(value, d) for name, value in optimizer.scalars(group, ahead, p.dtype).items()}
    if isinstance(group["lr"], Tensor) and "lr" in numbers:  # it may want a gradient, too
        numbers["lr"] = to(node_of(group["lr"]), d)
    _refuse_hidden(optimizer, group, {name: dict.get(state, name) for name in clock}, "lr" in numbers)
    for name in names:
        if dict.get(state, name) is None:
            state[name] = optimizer.initial(group, p, name)
    before = {name: state[name] for name in names}
    changed: dict[str, Node] = {}

    def value(current: Node) -> Node:
        nodes = {name: to(node_of(t), d) for name, t in before.items()}
        new, found = optimizer.update(group, to(current, d), to(node_of(g), d), nodes, numbers)
        changed.update(found)
        return to(new, p.dtype)

    others: list[Any] = [g, *before.values()]
    write(p, value, others, overlaps=False)
    for name, n in changed.items():
        state[name] = wrap(to(n, before[name].dtype))
    for name in clock:
        dict.__setitem__(state, name, ahead)
