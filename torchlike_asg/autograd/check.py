"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..facade.core import Tensor
from ..facade.functions.creation import tensor
from ..facade.functions.reading import array_of
from .forward_ad import dual_level, make_dual, unpack_dual
from .gradients import grad


class GradcheckError(RuntimeError):
    """The analytical gradient differs from finite differences."""


def _outputs(fn: Callable[..., Any], args: list[Any], constant: bool = False) -> list[Tensor]:
    """The results that have a history, or, with `constant`, the floating-point ones that have none."""
    out = fn(*args)
    found = [o for o in (out if isinstance(out, (tuple, list)) else (out,)) if isinstance(o, Tensor)]
    return [o for o in found if (o.dtype.is_floating_point and not o.requires_grad if constant else o.requires_grad)]


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the Jacobian of ``func(*inputs)`` by backward passes, and by forward mode with ``check_forward_ad``, equals the one by
    central differences (float64 inputs)."""
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.")
    for i in checked:
        if args[i].dtype is not dtypes.float64:
            import warnings

            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point. This check will likely fail if all the inputs are not of double precision.",  # noqa: E501
                stacklevel=2,
            )
    outs = _outputs(func, args)
    if not outs:
        for k, out in enumerate(_outputs(func, args, True)):
            if any(not np.allclose(_differences(func, args, k, i, eps, out, True), 0, 0, atol) for i in checked):
                if raise_exception:
                    raise GradcheckError("Numerical gradient for function expected to be zero")
                return False
    for k, out in enumerate(outs):
        for i in checked:
            numerical = _differences(func, args, k, i, eps, out)
            modes = (check_backward_ad, _jacobian, ""), (check_forward_ad, _forward_jacobian, " computed with forward mode")
            for analytical, mode in [(jacobian(func, args, k, i), mode) for wanted, jacobian, mode in modes if wanted]:
                if not np.allclose(analytical, numerical, rtol, atol, equal_nan=True):
                    if raise_exception:
                        raise GradcheckError(
                            f"Jacobian{mode} mismatch for output {k} with respect to input {i},\nnumerical:{numerical}\n"
                            f"analytical:{analytical}\n"
                        )
                    return False
    return True


def _forward_jacobian(func: Callable[..., Any], args: list[Any], k: int, i: int) -> np.ndarray[Any, Any]:
    columns = []
    for j in range(args[i].shape.numel()):
        direction = np.zeros(args[i].shape.numel())
        direction[j] = 1.0
        with dual_level():
            dual = make_dual(args[i].detach(), tensor(direction.reshape(args[i].shape), dtype=args[i].dtype))
            found = _outputs(func, [*args[:i], dual, *args[i + 1 :]])[k]
            tangent = unpack_dual(found).tangent
            columns.append(np.zeros(found.shape.numel()) if tangent is None else array_of(tangent).reshape(-1))
    return np.array(columns).reshape(args[i].shape.numel(), -1).T


def _jacobian(func: Callable[..., Any], args: list[Any], k: int, i: int) -> np.ndarray[Any, Any]:
    out = _outputs(func, args)[k]
    rows = []
    for j in range(out.shape.numel()):
        seed = np.zeros(out.shape.numel())
        seed[j] = 1.0
        g = grad(out, args[i], tensor(seed.reshape(out.shape), dtype=out.dtype), retain_graph=True, allow_unused=True)[0]
        rows.append(np.zeros(args[i].shape.numel()) if g is None else array_of(g).reshape(-1))
    return np.array(rows).reshape(out.shape.numel(), args[i].shape.numel())


def _differences(
    func: Callable[..., Any], args: list[Any], k: int, i: int, eps: float, out: Tensor, constant: bool = False
) -> np.ndarray[Any, Any]:
    base = array_of(args[i])
    columns = []
    for j in range(base.size):
        side = []
        for sign in (eps, -eps):
            moved = base.reshape(-1).copy()
            moved[j] += sign
            changed = [*args[:i], tensor(moved.reshape(base.shape), dtype=args[i].dtype, requires_grad=True), *args[i + 1 :]]
            side.append(array_of(_outputs(func, changed, constant)[k]).reshape(-1))
        columns.append((side[0] - side[1]) / (2 * eps))
    return np.array(columns).reshape(base.size, out.shape.numel()).T


def gradgradcheck(func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, **options: Any) -> bool:
    """`gradcheck` of the gradient of ``func(*inputs)``: second derivatives."""
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    outs = _outputs(func, args)
    if grad_outputs is None:
        random = np.random.default_rng(0)
        grad_outputs = [tensor(random.standard_normal(tuple(o.shape)), dtype=o.dtype, requires_grad=True) for o in outs]
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def first(*both: Any) -> Any:
        xs, seeds = list(both[: len(args)]), list(both[len(args) :])
        found = grad(_outputs(func, xs), [xs[i] for i in checked], seeds, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(first, [*args, *given], **options)
