"""L-BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..facade.backward import grad_mode
from ..facade.core import Tensor
from ..facade.held import value_of
from ..facade.hosted import data
from .checks import check_lr
from .line_search import Point, strong_wolfe
from .optimizer import Group, Optimizer

__all__ = ["LBFGS"]

Vector = np.ndarray[Any, Any]


class LBFGS(Optimizer):
    """Quasi-Newton steps from the last `history_size` changes of parameters and gradients; `step(closure)` runs up to `max_iter` of them.

    Where it goes next depends on values at every turn, so the vector arithmetic is done on the host, and only the closure is recorded.
    All parameters form one vector, in one group; `line_search_fn` is None (steps of length `lr`) or "strong_wolfe".
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Minimise. `closure` clears the gradients, computes the loss, calls ``backward`` and returns the loss; gives its first result."""
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        (group,) = self.param_groups
        params = group["params"]
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        def evaluate() -> tuple[Any, float, Vector]:
            with grad_mode(True):
                loss = closure()
            state["func_evals"] += 1
            return loss, float(loss), _gradient(params)

        first, loss, gradient = evaluate()
        if _largest(gradient) <= group["tolerance_grad"]:
            return first
        memory = _Memory(state, group["history_size"], gradient.dtype)
        with grad_mode(False), np.errstate(all="ignore"):
            self._iterate(group, state, memory, evaluate, loss, gradient)
        memory.save(params[0])
        return first

    def _iterate(self, group: Group, state: Any, memory: _Memory, evaluate: Callable[[], Any], loss: float, gradient: Vector) -> None:
        params, max_iter = group["params"], group["max_iter"]
        lr = float(group["lr"]) if isinstance(group["lr"], Tensor) else group["lr"]
        evaluations = 1
        x = _vector(params)
        for iteration in range(1, max_iter + 1):
            state["n_iter"] += 1
            start = state["n_iter"] == 1
            direction = memory.direction(gradient, start)
            before, memory.loss = loss, loss
            step = min(1.0, 1.0 / (float(np.abs(gradient).sum()) or 1.0)) * lr if start else lr
            slope = float(gradient @ direction)
            memory.step = step
            if slope > -group["tolerance_change"]:
                return
            if group["line_search_fn"] is not None:

                def line(t: Any, x: Vector = x, direction: Vector = direction) -> Point:
                    _place(params, x + direction.dtype.type(t) * direction)
                    _, value, found = evaluate()
                    return Point(t, value, found, float(found @ direction))

                limit = group["max_eval"] - evaluations
                point, count = strong_wolfe(line, Point(0.0, loss, gradient, slope), step, _largest(direction), 1e-9, limit)
                step, loss, gradient = float(point.step), point.loss, point.gradient
                memory.step = step
                x = x + direction.dtype.type(step) * direction
                _place(params, x)
            else:
                count = 0
                x = x + direction.dtype.type(step) * direction
                _place(params, x)
                if iteration != max_iter:  # nobody would look at the last one
                    _, loss, gradient = evaluate()
                    count = 1
            evaluations += count
            if iteration == max_iter or evaluations >= group["max_eval"] or _largest(gradient) <= group["tolerance_grad"]:
                return
            if _largest(direction) * step <= group["tolerance_change"] or abs(loss - before) < group["tolerance_change"]:
                return


class _Memory:
    """What the inverse Hessian is estimated from, kept in the state of the first parameter under PyTorch's names."""

    def __init__(self, state: Any, size: int, dtype: Any) -> None:
        self._state, self._size, self._dtype = state, size, dtype
        self.changes = [value_of(t) for t in state.get("old_dirs") or ()]  # of the gradient: y
        self.steps = [value_of(t) for t in state.get("old_stps") or ()]  # of the parameters: s
        self.inverses = [float(t) for t in state.get("ro") or ()]  # 1 / (y s)
        self.scale: float = state["H_diag"] if isinstance(state.get("H_diag"), int) else float(state.get("H_diag", 1.0))
        self.last = None if state.get("d") is None else value_of(state["d"])
        self.before = None if state.get("prev_flat_grad") is None else value_of(state["prev_flat_grad"])
        self.step = float(state.get("t", 1.0))
        self.loss = float(state.get("prev_loss", 0.0))
        self.factors: list[float | None] | None = state.get("al")  # of the last direction, oldest change first: s q / (y s)

    def direction(self, gradient: Vector, start: bool) -> Vector:
        """The next direction: minus the gradient at first, then by the two-loop recursion."""
        if start:
            self.changes, self.steps, self.inverses, self.scale = [], [], [], 1
            direction = -gradient
        else:
            self._learn(gradient)
            direction = self._product(gradient)
        self.last, self.before = direction, gradient
        return direction

    def _learn(self, gradient: Vector) -> None:
        """Take in the change since the last iteration, if the function curves upwards along it."""
        assert self.last is not None and self.before is not None
        change, step = gradient - self.before, self.last * self._dtype.type(self.step)
        curvature = float(change @ step)
        if curvature <= 1e-10:
            return
        if len(self.changes) == self._size:
            del self.changes[0], self.steps[0], self.inverses[0]
        self.changes.append(change)
        self.steps.append(step)
        self.inverses.append(1.0 / curvature)
        self.scale = curvature / float(change @ change)

    def _product(self, gradient: Vector) -> Vector:
        """Minus the estimated inverse Hessian times the gradient."""
        q = -gradient
        factors: list[float] = []
        for y, s, inverse in zip(reversed(self.changes), reversed(self.steps), reversed(self.inverses), strict=True):
            factors.append(float(s @ q) * inverse)
            q -= y * q.dtype.type(factors[-1])
        if self.factors is None:
            self.factors = [None] * self._size
        self.factors[: len(factors)] = factors[::-1]
        q *= q.dtype.type(self.scale)
        for y, s, inverse, factor in zip(self.changes, self.steps, self.inverses, reversed(factors), strict=True):
            q += s * q.dtype.type(factor - float(y @ q) * inverse)
        return q

    def save(self, p: Tensor) -> None:
        def tensor(value: Any) -> Tensor:
            return data(np.asarray(value, p.dtype.compute), p.dtype, p.device)

        self._state.update(
            d=tensor(self.last),
            t=self.step,
            old_dirs=[tensor(y) for y in self.changes],
            old_stps=[tensor(s) for s in self.steps],
            ro=[tensor(r) for r in self.inverses],
            H_diag=self.scale if isinstance(self.scale, int) else tensor(self.scale),
            prev_flat_grad=tensor(self.before),
            prev_loss=self.loss,
        )
        if self.factors is not None:
            self._state["al"] = [f if f is None or isinstance(f, Tensor) else tensor(f) for f in self.factors]


def _largest(values: Vector) -> float:
    return float(np.abs(values).max())


def _vector(params: list[Tensor]) -> Vector:
    return np.concatenate([value_of(p).reshape(-1) for p in params])


def _gradient(params: list[Tensor]) -> Vector:
    """All gradients as one vector; zeros for parameters without one."""
    found: list[Any] = [(p, p.grad) for p in params]
    return np.concatenate(
        [
            np.zeros(p.shape.numel(), p.dtype.compute) if g is None else value_of(g.to_dense() if g.is_sparse else g).reshape(-1)
            for p, g in found
        ]
    )


def _place(params: list[Tensor], x: Vector) -> None:
    """Write a vector into the parameters."""
    offset = 0
    for p in params:
        piece = x[offset : offset + p.shape.numel()].reshape(tuple(p.shape)).astype(p.dtype.compute)
        p.copy_(data(piece, p.dtype, p.device))  # type: ignore[attr-defined]
        offset += piece.size
