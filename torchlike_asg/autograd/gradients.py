"""`grad` and `backward` as functions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .. import events
from ..facade import texts
from ..facade.accumulation import hooked, tensor_of
from ..facade.asked import asked_nodes, check_inputs, given_to, record_again
from ..facade.backward import backward as _backward
from ..facade.backward import flag, grad_mode, pieced, run
from ..facade.core import Tensor, node_of
from ..facade.functions.creation import zeros_like
from ..facade.grad_fn import Freed
from ..facade.pieces import through as _through
from ..facade.sparse_gradients import gradient


def _list(x: Any) -> list[Any]:
    """Tensors of one or several tensors and `graph.GradientEdge`s."""
    from .graph import GradientEdge

    several = [x] if isinstance(x, (Tensor, GradientEdge)) or x is None else list(x)
    return [_tensor_at(t) if isinstance(t, GradientEdge) else t for t in several]


def _tensor_at(edge: Any) -> Tensor:
    """The output that an edge stands for."""
    if isinstance(edge.node, Freed):
        raise RuntimeError(texts.TWICE)
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
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other parts of the "
            "graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if is_grads_batched:
        return _batched(outputs, inputs, grad_outputs, allow_unused, create_graph)
    if materialize_grads and allow_unused is False:
        raise ValueError("Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False.")
    if allow_unused is None:
        allow_unused = materialize_grads
    outs, ins = _list(outputs), _list(inputs)
    given = _list(grad_outputs) if grad_outputs is not None else [None] * len(outs)
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    for t in ins:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
        if not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    create_graph, allow_unused = flag(create_graph), flag(allow_unused)
    retain = create_graph if retain_graph is None else flag(retain_graph)
    found: list[Any] = []
    if pieced(outs) and (through := _through(outs, given, retain, create_graph, ins)) is not None:
        with grad_mode(False):
            for i, (t, value) in enumerate(zip(ins, through.inputs, strict=True)):
                g = None if value is None else tensor_of(value)
                if g is not None and t._f is not None and t._f.hooks and t.is_leaf:  # type: ignore[attr-defined]
                    g = hooked(t._f, g)
                found.append(g if g is not None or not materialize_grads else zeros_like(t))
                _refuse_unused(g, i, allow_unused)
        return tuple(found)
    record_again(outs, ins)
    nodes = [asked_nodes(t) for t in ins]
    passed = {node_of(g): g for g in given if isinstance(g, Tensor)}  # a gradient that goes through unchanged is the tensor that was given
    result = run(outs, given, retain, create_graph, frozenset([n for had in nodes for n in had]))
    with grad_mode(create_graph):
        for i, (t, had) in enumerate(zip(ins, nodes, strict=True)):
            g = given_to(result, had)
            if g is not None and t._f is not None and t._f.hooks and t.is_leaf:  # type: ignore[attr-defined]
                found.append(hooked(t._f, gradient(g)))
                continue
            _refuse_unused(g, i, allow_unused)
            if g in passed:
                found.append(passed[g])
            else:
                found.append(gradient(g) if g is not None else zeros_like(t) if materialize_grads else None)
    return tuple(found)


def _refuse_unused(g: Any, i: int, allow_unused: bool) -> None:
    if g is None and not allow_unused:
        raise RuntimeError(
            f"The differentiated Tensor at index {i} appears to not have been used in the graph. Set allow_unused=True if this is the desired behavior."  # noqa: E501
        )


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
    if grad_variables is not None:
        warnings.warn("`grad_variables` is deprecated: use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        if grad_tensors is not None:
            raise RuntimeError("`grad_tensors` and `grad_variables` (deprecated) were both passed to `backward()`: use the first alone")
        grad_tensors = grad_variables
    given = grad_tensors
    if inputs is not None:
        check_inputs(_list(inputs))
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
