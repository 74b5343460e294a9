"""`grad` and `backward` as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import events
from ..facade.backward import backward as _backward
from ..facade.backward import grad_mode, run
from ..facade.core import Tensor, node_of
from ..facade.functions.creation import zeros_like
from ..facade.sparse_gradients import gradient


def _list(x: Any) -> list[Any]:
    """Tensors of one or several tensors and `graph.GradientEdge`s."""
    from .graph import GradientEdge

    several = [x] if isinstance(x, (Tensor, GradientEdge)) or x is None else list(x)
    return [_tensor_at(t) if isinstance(t, GradientEdge) else t for t in several]


def _tensor_at(edge: Any) -> Tensor:
    """The output that an edge stands for."""
    t: Tensor = object.__new__(Tensor)
    t._n, t._f = edge.node._node, None
    return t


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """Gradients of the sum of `outputs` (weighted by `grad_outputs`) with respect to `inputs`, without touching any `.grad`.

    `create_graph` makes the gradients differentiable themselves. An input that was not used raises, unless `allow_unused` (gives
    None) or `materialize_grads` (gives zeros).
    """
    if not only_inputs:
        raise ValueError("only_inputs=False is not supported: call backward() to accumulate into .grad")
    if is_grads_batched:
        return _batched(outputs, inputs, grad_outputs, allow_unused, create_graph)
    if allow_unused is None:
        allow_unused = materialize_grads
    outs, ins = _list(outputs), _list(inputs)
    given = _list(grad_outputs) if grad_outputs is not None else [None] * len(outs)
    if not ins:
        raise ValueError("grad requires non-empty inputs.")
    for t in ins:
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor inputs, but got {type(t).__name__}")
        if not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    nodes = [node_of(t) for t in ins]
    result = run(outs, given, create_graph if retain_graph is None else retain_graph, create_graph)
    found = []
    with grad_mode(create_graph):
        for t, n in zip(ins, nodes, strict=True):
            g = result.gradients.get(n)
            if g is None and not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior."  # noqa: E501
                )
            found.append(gradient(g) if g is not None else zeros_like(t) if materialize_grads else None)
    return tuple(found)


def _batched(outputs: Any, inputs: Any, grad_outputs: Any, allow_unused: bool | None, create_graph: bool) -> tuple[Any, ...]:
    """One sweep per row of the batched gradients, stacked."""
    from .. import stack  # type: ignore[attr-defined]

    rows = [
        grad(outputs, inputs, [g[i] for g in _list(grad_outputs)], True, create_graph, allow_unused=allow_unused)
        for i in range(len(_list(grad_outputs)[0]))
    ]
    return tuple(None if column[0] is None else stack(list(column)) for column in zip(*rows, strict=True))


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """Accumulate gradients of `tensors` into the leaves."""
    outs = _list(tensors)
    given = grad_tensors if grad_tensors is not None else grad_variables
    if inputs is not None and len(_list(inputs)) == 0:
        raise RuntimeError("'inputs' argument to backward cannot be empty.")
    if events.steps >= events.due:
        for t in outs:
            events.before_backward(t)
    _backward(
        outs,
        _list(given) if given is not None else [None] * len(outs),
        retain_graph,
        create_graph,
        None if inputs is None else _list(inputs),
    )


__all__ = ["backward", "grad"]
