"""A tensor's part in differentiation: requires_grad, grad, backward, hooks, what it is a view of."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ... import events, notices
from ...asg.trace import current
from ...ops.promotion import title
from .. import texts
from ..asked import check_inputs
from ..backward import again as backward_again
from ..backward import backward as _backward
from ..core import Tensor, face
from ..families import alias, family_of
from ..hooks import add_hook, add_post_hook, keep_on, own_node, rejoin
from ..inference import is_inference
from ..leaves import require_grad
from ..register import method
from ..resize import set_data
from ..saved_values import Ended


@method()
def backward(self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
    """Accumulate the gradient of this tensor into its leaves' `.grad`."""
    if events.steps >= events.due:
        events.before_backward(self)
    if gradient is None and inputs is None and not create_graph and backward_again(self._n, retain_graph):
        return
    wanted = None if inputs is None else [inputs] if isinstance(inputs, Tensor) else list(inputs)
    _backward([self], [gradient], retain_graph, create_graph, None if wanted is None else check_inputs(wanted))


@method()
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Make this leaf want a gradient (or no longer)."""
    if requires_grad and not (self.dtype.is_floating_point or self.dtype.is_complex):
        raise RuntimeError(texts.ONLY_FLOATING.replace(" and complex", ""))
    return require_grad(self, requires_grad)


def _get_grad(self: Tensor) -> Any:
    f = self._f
    g = None if f is None else f.grad if self._kind is None else self.__dict__.get("_grad")
    if g is None and self.requires_grad and not self.retains_grad:  # type: ignore[attr-defined]
        if (f is not None and (self._kind or "").endswith("stale")) or not self.is_leaf:
            notices.once(notices.GRAD_OF_RESULT)
    return g


def type_of_gradient(t: Tensor) -> Any:
    """The type that a leaf's gradient has, None for any: its own, unless another was asked for (`grad_dtype`)."""
    f = t._f
    asked = f.hooks.grad_dtype if f is not None and t._kind is None and f.hooks is not None else ()
    return asked[0] if asked else t.dtype


def _set_grad(self: Tensor, g: Any) -> None:
    if g is not None:
        if not isinstance(g, Tensor):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}")
        if g is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if tuple(g.shape) != tuple(self.shape):
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(g.shape)}' to a tensor of size '{list(self.shape)}'. "
                "Please ensure that the gradient and the tensor are the same size"
            )
        if (wanted := type_of_gradient(self)) is not None and g.dtype is not wanted:
            raise RuntimeError(
                f"attempting to assign a gradient with dtype '{title(g.dtype).lower()}' to a tensor with grad_dtype '{title(wanted)}'. "
                "The gradient must match the tensor's grad_dtype (defaults to the tensor's dtype)."
            )
    elif self._f is None:
        return
    if self._f is None or self._kind is None:
        family_of(self).grad = g
    else:  # a view, whose base has a gradient of its own
        self.__dict__["_grad"] = g


Tensor.grad = property(_get_grad, _set_grad, lambda self: _set_grad(self, None), "The accumulated gradient of a leaf, or None.")  # type: ignore[attr-defined]
Tensor.data = property(
    lambda self: _data(self), lambda self, source: set_data(self, source), doc="The same memory without history or version counting."
)  # type: ignore[attr-defined]


def _data(t: Tensor) -> Tensor:
    return alias(t, share_counter=False)


@method()
def retain_grad(self: Tensor) -> None:
    """Keep this non-leaf tensor's gradient in `.grad`, too."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.is_leaf:
        return
    family_of(self)
    rejoin(self)
    n = own_node(self)
    retained = current().retained
    if retained.get(n).__class__ is not Ended:  # whose error every backward pass through it is to raise
        retained[n] = ref(self)
    self.__dict__["_retains_grad"] = True
    keep_on(self, n)


def _retains_grad(t: Tensor) -> bool:
    return bool(t.__dict__.get("_retains_grad", False))


Tensor.retains_grad = property(_retains_grad, doc="Whether a non-leaf tensor keeps its gradient, see `retain_grad`.")  # type: ignore[attr-defined]


@method()
def register_hook(self: Tensor, hook: Any) -> Any:
    """Call ``hook(grad)`` whenever this tensor's gradient is computed; what it returns (if anything) replaces the gradient."""
    return add_hook(self, hook)


@method()
def register_post_accumulate_grad_hook(self: Tensor, hook: Any) -> Any:
    """Call ``hook(tensor)`` after a gradient was accumulated into this leaf."""
    return add_post_hook(self, hook)


def _version(t: Tensor) -> int:
    if is_inference(t) and (t._f is None or t._f.inferred is True):
        raise RuntimeError(texts.INFERENCE_VERSION)
    return t._f.counter.version if t._f is not None else 0


Tensor._version = property(_version)  # type: ignore[attr-defined]
Tensor._base = property(lambda self: _base_of(self))  # type: ignore[attr-defined]


def _base_of(t: Tensor) -> Tensor | None:
    if t._f is None or t._kind is None:
        return None
    found = next((b for r in t._f.faces if (b := r()) is not None and b._kind is None), None)
    return found if found is not None else face(t._f, None, 0, None, t._f.cell.geometry)  # type: ignore[no-any-return]


@method()
def _is_view(self: Tensor) -> bool:
    return (self._f is not None and self._kind is not None) or "_within" in self.__dict__
