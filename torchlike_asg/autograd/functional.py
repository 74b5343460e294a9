"""autograd.functional: products with Jacobians and Hessians, and the matrices themselves, of functions of one tensor or of a tuple.

Results carry no history unless `create_graph`. `strict` refuses outputs that do not depend on an input, where otherwise zeros are returned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..facade.backward import grad_mode
from ..facade.core import Tensor
from ..facade.functions.creation import ones_like
from ..pytree import tree_map_only
from .recorded import RecordedGradients, jacobian_of, jvp_of

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


_INPUT = "the input to the user-provided function is"


# ---------------------------------------------------------------- arguments
def _tuple(x: Any, what: str, name: str) -> tuple[bool, tuple[Tensor, ...]]:
    """(whether it was a tuple, the tensors)."""
    many = isinstance(x, tuple)
    found = x if many else (x,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            if many:
                raise TypeError(
                    f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the value at index {i} "
                    f"has type {type(t)}."
                )
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the given {what} has type {type(t)}."
            )
    return many, found


def _vector(v: Any, like: tuple[Tensor, ...], many: bool, what: str, name: str) -> tuple[Tensor, ...]:
    """The given vector, or a one where there is only one element."""
    if v is None:
        if len(like) != 1 or like[0].shape.numel() != 1:
            raise RuntimeError(f"The vector v can only be None if {what} a single Tensor with a single element.")
        return (ones_like(like[0]),)
    _, given = _tuple(v, "v", name)
    if len(given) != len(like):
        wanted = f"v is a tuple of invalid length: should be {len(like)} but got {len(given)}." if many else None
        raise RuntimeError(wanted or "The given v should contain a single Tensor.")
    for i, (a, b) in enumerate(zip(given, like, strict=True)):
        if tuple(a.shape) != tuple(b.shape):
            entry = f"Entry {i} in " if many else ""
            raise RuntimeError(f"{entry}v has invalid size: should be {b.shape} but got {a.shape}.")
    return given


class _Outputs:
    """Calls the user's function, and remembers whether it returned a tuple."""

    def __init__(self, func: Callable[..., Any], name: str) -> None:
        self.func, self.name, self.many = func, name, False

    def __call__(self, *args: Any) -> tuple[Tensor, ...]:
        self.many, outs = _tuple(self.func(*args), "outputs of the user-provided function", self.name)
        return outs


def _single(func: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, checked to return one element, in whatever shape."""

    def scalar(*args: Any) -> Tensor:
        many, (out, *_) = _tuple(func(*args), "outputs of the user-provided function", name)
        if many:
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        if out.shape.numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
        return out

    return scalar


def _attached(given: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """The inputs; with `create_graph` results have a history, be it only that of inputs that want no gradient outside."""
    if not create_graph:
        return given
    return tuple(t if t.requires_grad else t.detach().requires_grad_() for t in given)  # type: ignore[attr-defined]


def _delivered(x: Any, create_graph: bool) -> Any:
    return x if create_graph else tree_map_only(Tensor, lambda t: t.detach(), x)


def _unpacked(parts: Any, many: bool) -> Any:
    return tuple(parts) if many else parts[0]


def _refuse_unused(r: RecordedGradients, what: str, columns: bool = True) -> None:
    """Refuse results that depend on no input, or inputs none depends on. `what`: "output" or, of gradients, "jacobian"."""
    independent, outs, ins = r.independent(), range(r.counts()[0]), range(r.counts()[1])
    for i in outs:
        if all((i, j) in independent for j in ins):
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a differentiable "
                "manner from the input when running in strict mode."
                if what == "output"
                else "While computing the hessian, found that the jacobian of the user-provided function with respect to input "
                f"{i} is independent of the input. This is not allowed in strict mode: a linear function, say, has no such hessian."
            )
    kind = "output" if what == "output" else "hessian"
    for j in ins if columns else ():
        if all((i, j) in independent for i in outs):
            raise RuntimeError(f"The {kind} of the user-provided function is independent of input {j}. This is not allowed in strict mode.")


def _refuse(r: RecordedGradients, what: str) -> None:
    """Refuse results any of which does not depend on some input."""
    _refuse_unused(r, what, columns=False)
    for i, j in sorted(r.independent()):
        raise RuntimeError(f"Output {i} of the user-provided function is independent of input {j}. This is not allowed in strict mode.")


# ---------------------------------------------------------------- products
def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(outputs, the product of `v` with the Jacobian), nested as outputs and as inputs."""
    many, given = _tuple(inputs, "inputs", "vjp")
    given = _attached(given, create_graph)
    f = _Outputs(func, "vjp")
    with grad_mode(True):
        r = RecordedGradients(f, given)
        if strict:
            _refuse_unused(r, "output")
        outs = r.value()
        found = r.along(_vector(v, outs, f.many, "the user-provided function returns", "vjp"))
    return _delivered((_unpacked(outs, f.many), _unpacked(found, many)), create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(outputs, the product of the Jacobian with `v`), both nested as outputs."""
    many, given = _tuple(inputs, "inputs", "jvp")
    given = _attached(given, create_graph)
    direction = _vector(v, given, many, _INPUT, "jvp")
    f = _Outputs(func, "jvp")
    with grad_mode(True):
        if strict:
            _refuse_unused(RecordedGradients(f, given), "output")
        outs, found = jvp_of(f, given, direction)
    return _delivered((_unpacked(outs, f.many), _unpacked(found, f.many)), create_graph)


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(the scalar result, the product of `v` with its Hessian)."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> Any:
    """(the scalar result, the product of its Hessian with `v`); `vhp` is equal, since Hessians are symmetric."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool) -> Any:
    many, given = _tuple(inputs, "inputs", name)
    given = _attached(given, create_graph)
    direction = _vector(v, given, many, _INPUT, name)
    f = _single(func, name)
    with grad_mode(True):
        if strict:
            _refuse_unused(RecordedGradients(lambda *a: (f(*a),), given), "output")
        out = f(*given)
        gradient = lambda *args: tuple(RecordedGradients(lambda *a: (f(*a),), args).along((ones_like(out),)))  # noqa: E731
        r = RecordedGradients(gradient, given)
        if strict:
            _refuse_unused(r, "jacobian")
        found = r.along(direction)
    return _delivered((out, _unpacked(found, many)), create_graph)


# ---------------------------------------------------------------- matrices
def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for each output (if a tuple) for each input (if a tuple) a tensor of shape ``output.shape + input.shape``."""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    if strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together (yet).'
        )
    if strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
        )
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. Please either set "
            "`strict=False` or `vectorize=False`."
        )
    many, given = _tuple(inputs, "inputs", "jacobian")
    given = _attached(given, create_graph)
    f = _Outputs(func, "jacobian")
    with grad_mode(True):
        if strict:
            _refuse(RecordedGradients(f, given), "output")
        table = jacobian_of(f, given, strategy == "forward-mode")
    for row in table if strict and create_graph else ():
        for i, part in enumerate(row):
            if not part.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {i}. This is not allowed in strict mode when "
                    "create_graph=True."
                )
    return _delivered(_unpacked([_unpacked(row, many) for row in table], f.many), create_graph)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function of one element: for each pair of inputs (if a tuple) a tensor of shape ``input.shape + input.shape``."""
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    if outer_jacobian_strategy == "forward-mode" and not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
        )
    if outer_jacobian_strategy == "forward-mode" and create_graph:
        raise NotImplementedError(
            'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported together (yet).'
        )
    if strict and vectorize:
        raise RuntimeError("`strict=True` and `vectorize=True` are not supported together: set one of them to False.")
    many, given = _tuple(inputs, "inputs", "hessian")
    given = _attached(given, create_graph)
    f = _single(func, "hessian")

    def gradient(*args: Any) -> tuple[Tensor, ...]:
        r = RecordedGradients(lambda *a: (f(*a),), args)
        if strict:
            _refuse_unused(r, "output")
        return tuple(r.along((ones_like(r.value()[0]),)))

    with grad_mode(True):
        if strict:
            _refuse(RecordedGradients(gradient, given), "jacobian")
        table = jacobian_of(gradient, given, outer_jacobian_strategy == "forward-mode")
    return _delivered(_unpacked([_unpacked(row, many) for row in table], many), create_graph)
