"""``repr(tensor)``: the layout PyTorch prints, number for number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.trace import current
from .core import Tensor
from .held import value_of
from .register import method

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Options:
    """What `set_printoptions` sets. ``sci_mode`` None: decided by the values."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {"default": Options(), "short": Options(precision=2, edgeitems=2), "full": Options(threshold=math.inf)}
_options = [Options()]


def options() -> Options:
    """The options in force."""
    return _options[0]


def restore(options: Options) -> None:
    """Have these options in force again."""
    _options[0] = options


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors are printed: digits after the point, number of elements from which the middle is left out, elements kept at each
    edge, line width, and whether numbers are in scientific notation (None: where the values call for it).

    `profile` ("default", "short", "full") sets the first four at once; another name sets nothing, as in PyTorch. Only what is given
    changes, except `sci_mode`, which is always set.
    """
    options = _options[0]
    if profile is not None:
        options = _PROFILES.get(profile, options)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options[0] = replace(options, sci_mode=sci_mode, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]


# ---------------------------------------------------------------- numbers
class _Numbers:
    """How the numbers of one tensor are written: all with the same width and in the same notation."""

    def __init__(self, values: Array, options: Options) -> None:
        self.floating = values.dtype.kind == "f"
        self.digits = options.precision
        self.scientific, self.integral, self.width = False, True, 1
        if not self.floating:
            self.width = max([len(str(v)) for v in values.reshape(-1).tolist()], default=1)
            return
        plain = values.reshape(-1).astype(np.float64)
        plain = plain[np.isfinite(plain) & (plain != 0)]
        if plain.size == 0:
            return
        sizes = np.abs(plain)
        low, high = sizes.min(), sizes.max()
        self.integral = bool((plain == np.ceil(plain)).all())
        self.scientific = bool(high / low > 1000 or high > 1e8 or low < 1e-4) if options.sci_mode is None else options.sci_mode
        self.width = max(len(self._number(v)) for v in plain.tolist())

    def _number(self, v: float) -> str:
        if not self.floating:
            return str(v)
        if self.scientific:
            return f"{v:.{self.digits}e}"
        if self.integral:
            return f"{v:.0f}." if math.isfinite(v) else f"{v:.0f}"
        return f"{v:.{self.digits}f}"

    def __call__(self, v: Any) -> str:
        return self._number(v).rjust(self.width)


class _Complex:
    """Real and imaginary parts, each in its own common notation."""

    def __init__(self, values: Array, options: Options) -> None:
        self.real, self.imaginary = _Numbers(values.real, options), _Numbers(values.imag, options)
        self.width = self.real.width + self.imaginary.width + 1

    def __call__(self, v: complex) -> str:
        imaginary = self.imaginary(v.imag).lstrip() + "j"
        return self.real(v.real) + (imaginary if imaginary[0] in "+-" else f"+{imaginary}")


# ---------------------------------------------------------------- brackets
def _edges(values: Array, edge: int) -> Array:
    """The elements that are shown of a long tensor."""
    for axis, n in enumerate(values.shape):
        if n > 2 * edge:
            values = np.take(values, [*range(edge), *range(n - edge, n)], axis)
    return values


def _body(values: Array, indent: int, write: Any, options: Options, short: bool) -> str:
    if values.ndim == 0:
        return str(write(values.item()))
    n, edge = values.shape[0], options.edgeitems
    cut = short and n > 2 * edge
    rows = [*range(edge), *range(n - edge, n)] if cut else range(n)
    if values.ndim > 1:
        parts = [_body(values[i], indent + 1, write, options, short) for i in rows]
        if cut:
            parts.insert(edge, "...")
        return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(parts) + "]"
    parts = [write(values[i].item()) for i in rows]
    if cut:
        parts.insert(edge, " ...")
    per_line = max(1, (options.linewidth - indent) // (write.width + 2))
    lines = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def contents(t: Tensor, indent: int) -> str:
    """The numbers of a tensor in brackets; lines after the first are indented."""
    options = _options[0]
    values = value_of(t)
    short = values.size > options.threshold
    shown = _edges(values, options.edgeitems) if short else values
    write: Any = (_Complex if values.dtype.kind == "c" else _Numbers)(shown, options)
    return _body(values, indent, write, options, short)


# ---------------------------------------------------------------- the whole
#: the text of a tensor inside of function transforms, and None for one that takes no part in them; autograd/shown.py sets it
inside_transforms: Callable[[Tensor, Callable[[Tensor, list[str]], str]], str | None] = lambda t, plain: None  # noqa: E731


def text(t: Tensor, prefix: str = "tensor(", body: str | None = None) -> str:
    """``tensor(numbers, device=..., dtype=..., grad_fn=...)``, or as inside of function transforms."""
    if current().level and body is None:
        found = inside_transforms(t, lambda v, more: _text(v, prefix, None, more))
        if found is not None:
            return found
    return _text(t, prefix, body)


def _step(t: Tensor) -> str | None:
    """The name of the step that made `t`; of a view whose base was overwritten, so that it cannot be differentiated, "Invalid"."""
    try:
        step = t.grad_fn  # type: ignore[attr-defined]
    except RuntimeError:
        return "Invalid"
    return None if step is None else step.name().rpartition("::")[2]  # type: ignore[no-any-return]


def _text(t: Tensor, prefix: str, body: str | None, more: list[str] | None = None) -> str:
    function = None if more is not None else _step(t)  # first: looking at the values may end the trace it is in
    suffixes = [] if t.device.type == "cpu" else [f"device='{t.device}'"]
    usual = dtypes.get_default_dtype()
    if t.device.type == "meta":
        suffixes.append(f"size={tuple(t.shape)}")
        if t.dtype is not usual:
            suffixes.append(f"dtype={t.dtype}")
        body = "..." if body is None else body
    elif t.shape.numel() == 0:
        if len(t.shape) != 1:
            suffixes.append(f"size={tuple(t.shape)}")
        if t.dtype is not usual:
            suffixes.append(f"dtype={t.dtype}")
        body = "[]" if body is None else body
    else:
        if t.dtype not in (usual, usual.to_complex(), dtypes.int64, dtypes.bool_):
            suffixes.append(f"dtype={t.dtype}")
        body = contents(t, len(prefix)) if body is None else body
    if more is not None:
        suffixes += more
    elif function is not None:
        suffixes.append(f"grad_fn=<{function}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    return with_suffixes(prefix + body, suffixes, len(prefix))


def with_suffixes(start: str, suffixes: list[str], indent: int) -> str:
    """Append ``, suffix`` for each, on a new line where the line would grow too long."""
    width = len(start) - start.rfind("\n") + 1
    for s in suffixes:
        if width + len(s) + 2 > _options[0].linewidth:
            start += ",\n" + " " * indent + s
            width = indent + len(s)
        else:
            start += ", " + s
            width += len(s) + 2
    return start + ")"


@method()
def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    return text(self, body=tensor_contents)


Tensor.__str__ = __repr__  # type: ignore[method-assign, assignment]
