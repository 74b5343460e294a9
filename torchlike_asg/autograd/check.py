"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    if constant:
        return [o for o in found if (o.dtype.is_floating_point or o.dtype.is_complex) and not o.requires_grad]
    return [o for o in found if o.requires_grad]


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
    central differences (inputs of float64 or complex128; complex numbers are compared by their real and imaginary parts)."""
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    args = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True.")
    for i in checked:
        if args[i].dtype not in (dtypes.float64, dtypes.complex128):
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


def _parts(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements in a row, a complex one as its real and its imaginary part."""
    return _parts_of(np.ascontiguousarray(x))


def _units(t: Tensor) -> Iterator[Tensor]:
    """For each element's real part, and its imaginary part if there is one, the tensor like `t` that is one there and zero elsewhere."""
    like = array_of(t)
    for j in range(_parts(like).size):
        unit = np.zeros(like.shape, like.dtype)  # in rows, however the tensor lies: it is written through `_parts_of`
        _parts_of(unit)[j] = 1.0
        yield tensor(unit, dtype=t.dtype)


def _parts_of(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`_parts` of a contiguous array, in its memory."""
    return x.reshape(-1).view(x.real.dtype) if x.dtype.kind == "c" else x.reshape(-1)


def _forward_jacobian(func: Callable[..., Any], args: list[Any], k: int, i: int) -> np.ndarray[Any, Any]:
    columns = []
    for direction in _units(args[i]):
        with dual_level():
            dual = make_dual(args[i].detach(), direction)
            found = _outputs(func, [*args[:i], dual, *args[i + 1 :]])[k]
            tangent = unpack_dual(found).tangent
            columns.append(np.zeros_like(_parts(array_of(found))) if tangent is None else _parts(array_of(tangent)))
    return np.array(columns).reshape(_parts(array_of(args[i])).size, -1).T


def _jacobian(func: Callable[..., Any], args: list[Any], k: int, i: int) -> np.ndarray[Any, Any]:
    out = _outputs(func, args)[k]
    rows = []
    for seed in _units(out):
        g = grad(out, args[i], seed, retain_graph=True, allow_unused=True)[0]
        rows.append(np.zeros_like(_parts(array_of(args[i]))) if g is None else _parts(array_of(g)))
    return np.array(rows).reshape(len(rows), _parts(array_of(args[i])).size)


def _differences(
    func: Callable[..., Any], args: list[Any], k: int, i: int, eps: float, out: Tensor, constant: bool = False
) -> np.ndarray[Any, Any]:
    base = np.array(array_of(args[i]), order="C")
    written = args[i].data  # type: ignore[attr-defined]
    columns = []
    try:  # the input itself is moved: a function may read it elsewhere than in its argument
        for j in range(_parts(base).size):
            side = []
            for sign in (eps, -eps):
                moved = base.copy()
                _parts_of(moved)[j] += sign
                written.copy_(tensor(moved, dtype=args[i].dtype))
                side.append(np.array(_parts(array_of(_outputs(func, args, constant)[k]))))
            columns.append((side[0] - side[1]) / (2 * eps))
    finally:
        written.copy_(tensor(base, dtype=args[i].dtype))
    return np.array(columns).reshape(len(columns), _parts(array_of(out)).size).T


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    gen_non_contig_grad_outputs: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    **options: Any,
) -> bool:
    """`gradcheck` of the gradient of ``func(*inputs)``: second derivatives, by reverse mode and, with `check_fwd_over_rev`, forward mode.

    `grad_outputs`: what the outputs are multiplied with, random numbers by default (strided with `gen_non_contig_grad_outputs`).
    """
    args = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    outs = _outputs(func, args)
    if grad_outputs is None:
        random = np.random.default_rng(0)
        grad_outputs = [_drawn(random, o, gen_non_contig_grad_outputs) for o in outs]
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def first(*both: Any) -> Any:
        xs, seeds = list(both[: len(args)]), list(both[len(args) :])
        found = grad(_outputs(func, xs), [xs[i] for i in checked], seeds, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    return gradcheck(first, [*args, *given], check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, **options)


def _drawn(random: np.random.Generator, like: Tensor, strided: bool) -> Tensor:
    """Random numbers of the shape and type of `like`, every second one of its memory if `strided`."""
    values = np.zeros(tuple(like.shape), array_of(like).dtype)
    _parts_of(values)[:] = random.standard_normal(_parts(values).size)
    drawn = tensor(values, dtype=like.dtype)
    if strided and values.ndim:
        drawn = drawn.repeat_interleave(2, -1)[..., ::2]  # type: ignore[attr-defined]
    return drawn.requires_grad_()
