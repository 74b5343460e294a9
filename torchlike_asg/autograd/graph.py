"""Looking at the history: `Node` objects behind ``tensor.grad_fn``, and hooks on several gradients at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..absent import asked
from ..asg.gradients import history, leading_to
from ..asg.trace import current
from ..facade.core import Tensor, node_of
from ..facade.families import family_of
from ..facade.grad_fn import AccumulateGrad, GradFn
from ..facade.history_names import output, place
from ..facade.hooks import RemovableHandle, own_node
from ..facade.saved_hooks import Region, enter, leave
from ..facade.steps import noted_place

Node = GradFn

__all__ = [
    "AccumulateGrad",
    "GradFn",
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class GradientEdge(NamedTuple):
    """An output of a step of the history."""

    node: GradFn
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The step that made `tensor`, or the end of a history that accumulates its gradient."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    step = tensor.grad_fn  # type: ignore[attr-defined]
    if step is None:
        step = tensor.view_as(tensor).grad_fn.next_functions[0][0]  # type: ignore[attr-defined]
    if tensor._f is not None and (tensor._kind or "").startswith("multi"):
        return GradientEdge(step, int(output(tensor).split()[1]))
    n = node_of(tensor)
    if n in (carried := current().carried):  # made in an earlier trace, which knows by what
        n = carried[n].node
    found = noted_place(tensor, n)
    return GradientEdge(step, place(n) if found is None else found)


class _MultiHandle:
    """Several hooks removed as one."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        """Take the hooks away; a second time changes nothing."""
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _MultiHandle:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: str = "all") -> _MultiHandle:
    """``fn(gradients)`` once the gradients of all `tensors` that a backward pass reaches are there; with `mode` "any", ``fn(gradient)`` of
    the first.

    A tensor that a pass does not reach has None among them.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    state = _Pass()

    def hook(i: int) -> Callable[[Tensor], None]:
        def keep(gradient: Tensor) -> None:
            if state.begins(tensors) or mode == "all":
                if mode == "any":
                    fn(gradient)
                elif state.add(i, gradient):
                    fn(state.found)

        return keep

    return _MultiHandle([t.register_hook(hook(i)) for i, t in enumerate(tensors)])  # type: ignore[attr-defined]


class _Pass:
    """Which of several tensors the backward pass that runs will reach, and the gradients there are."""

    def __init__(self) -> None:
        self.running: Any = None
        self.found: list[Any] = []
        self.missing = 0

    def begins(self, tensors: Sequence[Tensor]) -> bool:
        """Whether this is the first hook of a pass."""
        running = current().running
        if running is self.running:
            return False
        self.running = running
        roots, _, wanted = running
        order = history(roots)
        reached = set(order) if wanted is None else leading_to(order, wanted, frozenset())[0]
        self.missing = sum([own_node(t) in reached for t in tensors])
        self.found = [None] * len(tensors)
        return True

    def add(self, i: int, gradient: Tensor) -> bool:
        """Note a gradient; True if it is the last one."""
        self.found[i] = gradient
        self.missing -= 1
        return self.missing == 0


@contextlib.contextmanager
def save_on_cpu(pin_memory: bool = False, device_type: str = "cuda") -> Iterator[None]:
    """Everything is on the CPU, or the compiler decides what is kept: a block as any other, refused where `saved_tensors_hooks` is."""
    if _disabled:
        raise RuntimeError(_disabled[-1])
    yield


_disabled: list[str] = []


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """A block in which `saved_tensors_hooks` raises RuntimeError with this message, as it does itself inside a block of those."""
    if current().saving:
        raise RuntimeError(error_message)
    _disabled.append(error_message)
    try:
        yield
    finally:
        _disabled.pop()


class saved_tensors_hooks(contextlib.ContextDecorator):
    """A block in which what operations keep for their gradient is replaced by ``pack_hook(tensor)``; a backward pass reads
    ``unpack_hook(packed)`` instead.

    `pack_hook` is called for all operations of the block when it ends, or a backward pass begins in it. Leaves it is given as they are, of
    what was computed the value without its history.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _disabled:
            raise RuntimeError(_disabled[-1])
        enter(Region(self.pack_hook, self.unpack_hook))

    def __exit__(self, *_: Any) -> None:
        leave()


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """A block in which what an operation keeps for its gradient may be overwritten in place: gradients read the recorded values."""
    tr = current()
    before, tr.forgiving = tr.forgiving, True
    try:
        yield
    finally:
        tr.forgiving = before


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Count a write to the storage of one or several tensors that autograd did not see."""
    for t in [tensor] if isinstance(tensor, Tensor) else tensor:
        f = family_of(t)
        current().stale.update(f.counter.roots)
        f.counter.version += 1


__getattr__ = asked(__name__)
