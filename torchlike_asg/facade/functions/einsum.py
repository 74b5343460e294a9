"""`einsum` and `tensordot`."""

from __future__ import annotations

import math
import string
from typing import Any

from ...ops import einsum as ops
from ...ops.linalg import matmul
from ...ops.movement import permute as permute_node
from ...ops.movement import reshape as reshape_node
from ...ops.movement import reshaped
from ...ops.promotion import title
from ...ops.reduce import sum_
from ..core import Tensor, nary, node_of, wrap
from ..register import function
from ..steps import step
from .views import diagonal, permute

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_USAGE = "einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list"


def _from_lists(args: tuple[Any, ...]) -> tuple[str, list[Tensor]]:
    """``einsum(a, [0, 1], b, [1, 2], [0, 2])`` as an equation."""

    def spelled(subscripts: Any) -> str:
        text = ""
        for s in subscripts:
            if s is Ellipsis:
                text += "..."
            elif not isinstance(s, int) or not 0 <= s < 52:
                raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
            else:
                text += _LETTERS[s]
        return text

    pairs = len(args) // 2
    equation = ",".join([spelled(args[2 * i + 1]) for i in range(pairs)])
    if len(args) % 2:
        equation += "->" + spelled(args[-1])
    return equation, [args[2 * i] for i in range(pairs)]


@function(method=False)
def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation names: ``einsum("bij,bjk->bik", a, b)``.

    Letters (a-z, A-Z) name dimensions; one that the output lacks is summed over, one repeated in an operand takes the diagonal, ``...``
    stands for any further dimensions, which broadcast. Without ``->`` the output has the letters that occur once, in order, after the
    dimensions of the ellipsis. Subscripts may also be given as lists of integers: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    """
    if len(args) < 2:
        raise ValueError(_USAGE)
    if isinstance(args[0], str):
        equation, operands = args[0], list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
    elif not isinstance(args[0], Tensor):
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {type(args[0]).__name__}")
    else:
        equation, operands = _from_lists(args)
    for i, t in enumerate(operands):
        if not isinstance(t, Tensor):
            raise TypeError(f"einsum(): operand {i} must be Tensor, not {type(t).__name__}")
    return _as_view(equation, operands[0]) if len(operands) == 1 else nary(ops.einsum, operands, equation)


def _as_view(equation: str, input: Tensor) -> Tensor:
    """One operand: a view where nothing is summed."""
    (labels,), output = ops.parse(equation, (len(input.shape),))
    ops.sizes_of((labels,), (input.shape,))
    if set(labels) != set(output):
        return nary(ops.einsum, [input], equation)
    held = list(labels)
    while len(set(held)) < len(held):
        label = next(v for v in held if held.count(v) > 1)
        a = held.index(label)
        b = held.index(label, a + 1)
        input = diagonal(input, 0, a, b)
        held = [*held[:a], *held[a + 1 : b], *held[b + 1 :], label]
    return permute(input, [held.index(v) for v in output])  # type: ignore[no-any-return]


@function(method=False)
@step("ViewBackward0")
def tensordot(a: Tensor, b: Tensor, dims: Any = 2, out: Tensor | None = None) -> Tensor:
    """The product summed over dimensions: the last `dims` of `a` with the first of `b`, or the pairs of two lists."""
    first, second = _contracted(a, b, dims)
    if a.dtype is not b.dtype:
        raise RuntimeError(f"both inputs should have same dtype, but found {title(a.dtype)} and {title(b.dtype)}")
    x, y = node_of(a), node_of(b)
    for i, j in zip(first, second, strict=True):  # a dimension of size one broadcasts
        if x.shape[i] != y.shape[j] and x.shape[i] == 1:
            y = sum_(y, (j,), True)
        elif x.shape[i] != y.shape[j] and y.shape[j] == 1:
            x = sum_(x, (i,), True)
    rows, columns = [i for i in range(len(x.shape)) if i not in first], [j for j in range(len(y.shape)) if j not in second]
    shape = (*[x.shape[i] for i in rows], *[y.shape[j] for j in columns])
    k = math.prod([x.shape[i] for i in first])
    left = reshaped(permute_node(x, *rows, *first), (math.prod([x.shape[i] for i in rows]), k))
    right = reshaped(permute_node(y, *second, *columns), (k, math.prod([y.shape[j] for j in columns])))
    return wrap(reshape_node(matmul(left, right), shape))


def _contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist()  # type: ignore[attr-defined]
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(len(a.shape), len(b.shape)):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        given: Any = (list(range(-dims, 0)), list(range(dims)))
    else:
        given = [list(d) if isinstance(d, (list, tuple)) else [int(d)] for d in dims]
    if len(given[0]) != len(given[1]):
        raise RuntimeError("both dimension lists should have same length")
    for i, j in zip(*given, strict=True):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    return [i % len(a.shape) for i in given[0]], [j % len(b.shape) for j in given[1]]
