"""Gradient hooks. A leaf's hooks run when its gradient is accumulated; a computed tensor's during the sweep over the graph."""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from weakref import ref

from ..asg.declare import VAR
from ..asg.node import Node
from ..asg.trace import current
from ..ops.movement import restride as RESTRIDE
from .core import Tensor, node_of
from .families import family_of
from .nodes import with_history
from .owners import left_behind, owner
from .past import shown_by

_ids = itertools.count()
#: the views that `keep_on` noted
_asked: list[ref[Tensor]] = []


def _weakly(hooks: Any) -> Callable[[], Any]:
    try:
        return ref(hooks)
    except TypeError:  # a plain dict
        return lambda: hooks


class RemovableHandle:
    """Returned by every register_*hook: ``remove()``, or use it as a context manager.

    `extra_dict`: one or several dictionaries that may say more about the hook under the same id, and lose it with the hook. A handle keeps
    none of them alive: hooks live as long as what they are on.
    """

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.id = next(_ids)
        more = [] if extra_dict is None else list(extra_dict) if isinstance(extra_dict, (list, tuple)) else [extra_dict]
        self._within = [_weakly(hooks) for hooks in (hooks_dict, *more)]

    @property
    def hooks_dict_ref(self) -> Callable[[], Any]:
        """Called, gives the dict the hook is in, or None if it is gone."""
        return self._within[0]  # type: ignore[no-any-return]

    @property
    def extra_dict_ref(self) -> tuple[Callable[[], Any], ...]:
        """The same of the dicts that say more about it."""
        return tuple(self._within[1:])

    def remove(self) -> None:
        """Take the hook away; a second time changes nothing."""
        for within in self._within:
            hooks = within()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> Any:
        return self.id, [within() for within in self._within]

    def __setstate__(self, state: Any) -> None:
        self.id, found = state
        self._within = [_weakly(OrderedDict() if hooks is None else hooks) for hooks in found]

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def attach(hooks: dict[int, Any], fn: Callable[..., Any]) -> RemovableHandle:
    """Put a hook behind those that are there."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = fn
    return handle


def name_of(hook: Any) -> str:
    return getattr(hook, "__name__", type(hook).__name__)  # type: ignore[no-any-return]


def changed_by(hooks: dict[int, Any], inputs: tuple[Any, ...], outputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The gradients of a step's operands after its hooks ``fn(inputs, outputs)``; `inputs` itself if none changed them."""
    for fn in list(hooks.values()):
        out = fn(inputs, outputs)
        if out is not None:
            given = out if isinstance(out, tuple) else (out,)
            for g in given:
                if g is not None and not isinstance(g, Tensor):
                    raise TypeError(f"expected {'Variable' if given is out else 'tuple'}, but hook returned '{type(g).__name__}'")
            if len(given) != len(inputs):
                counts = f"got {len(given)}, but expected {len(inputs)}"
                raise RuntimeError(f"hook '{name_of(fn)}' has returned an incorrect number of values ({counts})")
            inputs = given
    return inputs


class LeafHooks(dict):  # type: ignore[type-arg]
    """Hooks on the gradient of a leaf, and (`post`) hooks after its accumulation."""

    #: the node of a permanent leaf
    leaf: Node | None = None
    #: (the type of the gradient,) where it was asked for; (None,) for whatever comes
    grad_dtype: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return len(self) > 0 or self.grad_dtype != ()

    def __init__(self) -> None:
        super().__init__()
        self.post: dict[int, Any] = {}

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if self.leaf is not None and (self or self.post) and not ending():
            left_behind(self.leaf, self, next((p.t._f for p in self.post.values() if p.__class__ is _Post), None))


class NodeHooks(list):  # type: ignore[type-arg]
    """Hooks of a step: on its gradient, and (`post`) on its operands' gradients; `packed` is what its saved values were packed as."""

    packed: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.post: dict[int, Any] = {}

    def pop(self, key: Any, default: Any = None) -> Any:  # the handle's interface
        self[:] = [h for h in self if h.key != key]


class _Hook:
    def __init__(self, key: int, fn: Callable[[Tensor], Any]) -> None:
        self.key, self.fn = key, fn

    def __call__(self, g: Tensor) -> Any:
        return self.fn(g)


class _Post:
    def __init__(self, t: Tensor, fn: Callable[[Tensor], Any]) -> None:
        self.t, self.fn = t, fn

    def __call__(self, _: Tensor) -> Any:
        out = self.fn(self.t)
        return None if out is self.t else out  # the leaf itself: of an update in place in a lambda expression


def add_hook(t: Tensor, fn: Callable[[Tensor], Any]) -> RemovableHandle:
    if not t.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if t.is_leaf and (t._f is None or t._kind is None):
        return attach(leaf_hooks(family_of(t)), fn)
    earlier = _earlier_hooks(t)
    if earlier is not None:
        return _append(earlier, fn)
    rejoin(t)
    n = own_node(t)
    handle = add_node_hook(n, fn)
    keep_on(t, n)
    return handle


def rejoin(t: Tensor) -> None:
    """Have the histories of earlier traces in which a view has a place be recorded again: what is asked of it is asked once, for all of its
    gradient."""
    if "_shown" in t.__dict__ and (places := shown_by(t)):
        from .pieces import undivided

        undivided(current())
        for past in places:
            past.recorded(current())


def _earlier_hooks(t: Tensor) -> Any:
    """The hooks of a view whose storage other names have written since, while nobody has used it: PyTorch still puts new ones beside them,
    on what the view showed when it had them.
    """
    if t._f is None or t._kind is None or t._n is not None or "_asked" not in t.__dict__:
        return None
    version, hooks = t.__dict__["_asked"]
    return hooks if version != t._f.counter.version else None  # type: ignore[union-attr]


def own_node(t: Tensor) -> Node:
    """The node at which the gradient of `t` is known, and of no other tensor: a write without history leaves it where it was, and a view
    that shows all of its base is not its base."""
    n = node_of(t)
    f = t._f
    if f is not None and t._kind is not None and n is f.h:
        shape, strides, offset = t.geometry
        n = t._n = RESTRIDE(n, tuple(shape), strides, offset, f.cell.strides)
        t._d = 0
    return with_history(n)


def keep_on(t: Tensor, n: Node) -> None:
    """Note on a view what is asked of its node `n`: where its base is a leaf, it outlives the trace, and has another node in the next."""
    if t._f is not None and t._kind is not None:
        if "_asked" not in t.__dict__:
            _asked.append(ref(t))
        hooks = current().hooks.get(n)
        t.__dict__["_asked"] = t._f.counter.version, hooks
        kept = current().retained.get(n)
        for past in shown_by(t):
            if hooks is not None:
                past.snapshot.hooks[past.node] = hooks
            if kept is ref(t):
                past.snapshot.retained[past.node] = kept
        if steps := t.__dict__.get("_viewed"):
            steps[-1].hooks, steps[-1].kept = hooks, kept


def asking() -> set[Any]:
    """The families of the views that `keep_on` noted."""
    _asked[:] = [r for r in _asked if r() is not None]
    return {t._f for r in _asked if (t := r()) is not None and t._f is not None}


def ask_again(t: Tensor, n: Node) -> None:
    """What `keep_on` noted, of the node that a view has now: hooks if it was not written since."""
    version, hooks = t.__dict__["_asked"]
    tr = current()
    if n.rg:
        n = own_node(t)
        if hooks is not None and version == t._f.counter.version:  # type: ignore[union-attr]
            tr.hooks.setdefault(n, hooks)
        if "_retains_grad" in t.__dict__:
            tr.retained.setdefault(n, ref(t))


def leaf_hooks(f: Any) -> LeafHooks:
    """The hooks of a leaf's family."""
    if f.hooks is None:
        f.hooks = LeafHooks()
        if f.leaf is not None:
            if f.leaf.op is VAR:
                f.hooks.leaf = f.leaf
            else:
                current().leaf_owner[f.leaf] = owner(f)
    return f.hooks  # type: ignore[no-any-return]


def add_node_hook(n: Node, fn: Callable[[Tensor], Any]) -> RemovableHandle:
    """Call ``fn(gradient)`` when a backward pass knows the gradient of `n`."""
    return _append(current().hooks.setdefault(n, NodeHooks()), fn)


def _append(hooks: Any, fn: Callable[[Tensor], Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks.append(_Hook(handle.id, fn))
    return handle


def add_post_hook(t: Tensor, fn: Callable[[Tensor], Any]) -> RemovableHandle:
    if not t.is_leaf or not t.requires_grad:
        raise RuntimeError(
            "post accumulate grad hooks cannot be registered on non-leaf tensors"
            if not t.is_leaf
            else "cannot register a hook on a tensor that doesn't require gradient"
        )
    return attach(leaf_hooks(family_of(t)).post, _Post(t, fn))


def add_node_post_hook(n: Node, fn: Callable[[Any, Any], Any]) -> RemovableHandle:
    """Call ``fn(gradients of the operands, (gradient of n,))`` when a backward pass has been through `n`."""
    hooks: Any = current().hooks.setdefault(n, NodeHooks())
    return attach(hooks.post, fn)
