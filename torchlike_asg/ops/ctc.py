"""Connectionist temporal classification (Graves et al., 2006): the negative log likelihood of label sequences over all alignments.

Operands: log-probabilities (T, N, C), targets (N, S) or concatenated (sum of lengths), input lengths (N), target lengths (N).
The recursions run over time in log space, vectorised over the batch and the 2 S + 1 states (labels with blanks around them).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from ..dtypes import float32, float64
from .formula import refuse

PARAMS = ("blank", "zero_infinity")


def _rule(x: Node, *_: Any) -> Meta:
    if x.dtype not in (float32, float64):
        raise refuse("ctc_loss_cpu", x.dtype)
    return (x.shape[1],), x.dtype


def _logaddexp(a: Array, b: Array, c: Array) -> Array:
    """log(exp a + exp b + exp c), with -inf for three times -inf."""
    top = np.maximum(np.maximum(a, b), c)
    safe = np.where(np.isneginf(top), 0, top)
    return np.log(np.exp(a - safe) + np.exp(b - safe) + np.exp(c - safe)) + safe  # type: ignore[no-any-return]


def _states(targets: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """The labels of all states (N, 2 S + 1), and which states may be entered from two states before."""
    n, longest = len(lengths), int(lengths.max(initial=0))
    labels = np.full((n, 2 * longest + 1), blank, np.int64)
    starts = np.cumsum(lengths) - lengths
    for i, k in enumerate(lengths):
        labels[i, 1 : 2 * k : 2] = targets[i, :k] if targets.ndim == 2 else targets[starts[i] : starts[i] + k]
    skips = np.zeros_like(labels, bool)
    skips[:, 2:] = labels[:, 2:] != labels[:, :-2]  # never a blank, unless a target is one
    return labels, skips


def _shifted(a: Array, by: int) -> Array:
    out = np.full_like(a, -np.inf)
    if by > 0:
        out[:, by:] = a[:, :-by]
    else:
        out[:, :by] = a[:, -by:]
    return out


def _forward(scores: Array, skips: Array, lengths: Array) -> Array:
    """log alpha (T, N, states), scores (T, N, states)."""
    alpha = np.full_like(scores, -np.inf)
    if len(scores):
        alpha[0, :, 0] = scores[0, :, 0]
        if scores.shape[2] > 1:
            alpha[0, :, 1] = np.where(lengths > 0, scores[0, :, 1], -np.inf)
    for t in range(1, len(scores)):
        a = alpha[t - 1]
        alpha[t] = _logaddexp(a, _shifted(a, 1), np.where(skips, _shifted(a, 2), -np.inf)) + scores[t]
    return alpha


def _backward(scores: Array, skips: Array, times: Array, lengths: Array) -> Array:
    """log beta, including the score of its own time."""
    beta = np.full_like(scores, -np.inf)
    rows = np.arange(scores.shape[1])
    into = np.zeros_like(skips)
    into[:, :-2] = skips[:, 2:]
    for t in range(len(scores) - 1, -1, -1):
        if t + 1 < len(scores):
            b = beta[t + 1]
            beta[t] = _logaddexp(b, _shifted(b, -1), np.where(into, _shifted(b, -2), -np.inf)) + scores[t]
        ends = times - 1 == t  # a sequence ends here: in its last label or the blank after it
        beta[t, ends] = -np.inf
        beta[t, rows[ends], 2 * lengths[ends]] = scores[t, rows[ends], 2 * lengths[ends]]
        some = ends & (lengths > 0)
        beta[t, rows[some], 2 * lengths[some] - 1] = scores[t, rows[some], 2 * lengths[some] - 1]
        beta[t, times <= t] = -np.inf
    return beta


def _likelihood(alpha: Array, times: Array, lengths: Array) -> Array:
    """Negative log likelihoods (N)."""
    n = len(times)
    if not len(alpha):
        return np.where(lengths == 0, 0, np.inf).astype(alpha.dtype)
    rows, last = np.arange(n), np.maximum(times - 1, 0)
    a = alpha[last, rows, 2 * lengths]
    b = np.where(lengths > 0, alpha[last, rows, np.maximum(2 * lengths - 1, 0)], -np.inf)
    return np.where(times > 0, -_logaddexp(a, b, np.full_like(a, -np.inf)), np.where(lengths == 0, 0, np.inf)).astype(alpha.dtype)


def _scores(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, np.broadcast_to(labels, (len(x), *labels.shape)), 2)


def check_lengths(times: Array, lengths: Array, targets: tuple[int, ...], rows: int, batch: int) -> None:
    """RuntimeError for lengths that an input of `rows` times, or targets of that shape, do not have."""
    longest = int(lengths.max(initial=0))
    total = int(lengths.sum())
    why = ""
    for name, least, most, limit in (
        ("input_lengths", int(times.min(initial=0)), int(times.max(initial=0)), rows),
        ("target_lengths", int(lengths.min(initial=0)), 0, 0),
    ):
        if least < 0:
            why = why or f"Expected {name} to have value at least 0, but got value {least}"
        elif most > limit:
            why = why or f"Expected {name} to have value at most {limit}, but got value {most}"
    if not why and len(targets) == 1 and targets[0] != total:
        why = f"Expected tensor to have size {total} at dimension 0, but got size {targets[0]} for argument #2 'targets'"
    if not why and len(targets) == 2 and targets[0] != batch:
        why = f"Expected tensor to have size {batch} at dimension 0, but got size {targets[0]} for argument #2 'targets'"
    if not why and len(targets) == 2 and targets[1] < longest:
        why = f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets[1]} for argument #2 'targets'"
    if why:
        raise RuntimeError(f"{why} (while checking arguments for ctc_loss_allocate_outputs)")


def _check(x: Array, targets: Array, times: Array, lengths: Array) -> None:
    """`check_lengths`, and RuntimeError for labels that are no classes."""
    check_lengths(times, lengths, targets.shape, len(x), x.shape[1])
    listed = targets[np.arange(targets.shape[1]) < lengths[:, None]] if targets.ndim == 2 else targets
    bad = listed[(listed < 0) | (listed >= x.shape[2])]
    if bad.size:  # PyTorch would read whatever lies there
        raise RuntimeError(f"ctc_loss: label {bad[0]} in targets is out of range for {x.shape[2]} classes")


def _ref(x: Array, targets: Array, times: Array, lengths: Array, blank: int, zero_infinity: bool) -> Array:
    _check(x, targets, times, lengths)
    labels, skips = _states(targets, lengths, blank)
    with np.errstate(all="ignore"):
        loss = _likelihood(_forward(_scores(x, labels), skips, lengths), times, lengths)
    return np.where(np.isposinf(loss), 0, loss).astype(x.dtype) if zero_infinity else loss


def _ref_grad(g: Array, x: Array, targets: Array, times: Array, lengths: Array, blank: int, zero_infinity: bool) -> Array:
    labels, skips = _states(targets, lengths, blank)
    scores = _scores(x, labels)
    with np.errstate(all="ignore"):
        alpha = _forward(scores, skips, lengths)
        loss = _likelihood(alpha, times, lengths)
        both = alpha + _backward(scores, skips, times, lengths)
        total = np.full_like(x, -np.inf)  # log of the sum over the states that show a label
        for s in range(labels.shape[1]):
            at = (slice(None), np.arange(len(times)), labels[:, s])
            total[at] = np.logaddexp(total[at], both[:, :, s])
        grad = (np.exp(x) - np.exp(total + loss[:, None] - x)) * g[:, None]
    grad[np.arange(len(x))[:, None] >= times] = 0
    if zero_infinity:
        grad[:, np.isposinf(loss)] = 0
    return grad.astype(x.dtype)


def _vjp(n: Node, g: Node) -> Grads:
    return (ctc_loss_grad(g, *n.srcs, *n.attrs),)


def _no_second(n: Node, g: Node) -> Grads:
    raise RuntimeError("the derivative for '_ctc_loss_backward' is not implemented")


def _sample() -> tuple[Any, ...]:
    x = np.random.default_rng(11).standard_normal((6, 3, 4))
    x -= np.log(np.exp(x).sum(2, keepdims=True))
    return x, np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]]), np.array([6, 5, 4]), np.array([3, 2, 1])


#: As PyTorch's, the gradient is that of normalised log-probabilities: it contains exp(x), which a following log_softmax gradient would
#: remove anyway, so finite differences of the operation alone do not show it.
ctc_loss_grad = Op(
    "ctc_loss_grad",
    "gradient",
    lambda g, x, *_: (x.shape, x.dtype),
    _ref_grad,
    vjp=_no_second,
    saves=lambda n: n.srcs,
    params=PARAMS,
    samples=lambda: [Sample((np.array([1.0, 0.5, -2.0]), *_sample()), (0, False), False)],
)
ctc_loss = Op(
    "ctc_loss",
    "loss",
    _rule,
    _ref,
    vjp=_vjp,
    saves=lambda n: (*n.srcs, n),
    params=PARAMS,
    samples=lambda: [Sample(_sample(), (0, False), False)],
)
