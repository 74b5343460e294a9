"""Discrete Fourier transforms with sizes, dimensions and normalisations as in torch.fft; short-time transforms."""

from __future__ import annotations

import math
import operator
from typing import Any

from ... import dtypes, notices
from ...asg.geometry import contiguous
from ...asg.node import Node
from ...ops import complex as parts
from ...ops import fft as ops
from ...ops.movement import expand, relayout, slice_, unview
from ...ops.padding import pad_constant
from ...ops.promotion import title, to
from ..core import Tensor, node_of, wrap
from ..register import function
from ..steps import keeping, note
from .complex import view_as_real
from .creation import ones
from .padding import pad
from .views import dims_of, wrap_dim


# ---------------------------------------------------------------- arguments
def _floating(x: Node) -> Node:
    if x.dtype in (dtypes.float16, dtypes.bfloat16):
        raise RuntimeError(f"Unsupported dtype {title(x.dtype)}")
    return to(x, dtypes.get_default_dtype()) if x.dtype.category < dtypes.FLOAT else x


def _complex(x: Node) -> Node:
    x = _floating(x)
    return x if x.dtype.is_complex else to(x, x.dtype.to_complex())


def _real(name: str, x: Node) -> Node:
    if x.dtype.is_complex:
        raise RuntimeError(f"{name} expects a real input tensor, but got {title(x.dtype)}")
    return _floating(x)


def _resized(x: Node, dim: int, n: int) -> Node:
    """`n` elements along a dimension: cut, or filled up with zeros."""
    have = x.shape[dim]
    if n < have:
        return slice_(x, dim, 0, n, 1)
    if n == have:
        return x
    return pad_constant(x, tuple([(0, n - have if i == dim else 0) for i in range(len(x.shape))]), 0.0)


def _scale(count: int, norm: str | None, forward: bool) -> float:
    """The factor of a normalisation: "backward" (None) divides the inverse, "forward" the transform, "ortho" both by the root."""
    if norm not in (None, "backward", "forward", "ortho"):
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if (norm == "forward") == forward else 1.0


def _count(n: int) -> int:
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _sizes(x: Node, s: Any, dim: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(dimensions, sizes) of a transform along several dimensions; a size of -1 stands for the dimension's own."""
    rank = len(x.shape)
    if s is not None:
        s = (operator.index(s),) if isinstance(s, int) or getattr(s, "shape", None) == () else tuple(s)
    if dim is not None:
        try:
            dims = dims_of(dim, rank)
        except RuntimeError:
            raise RuntimeError("FFT dims must be unique") from None
        if s is not None and len(s) != len(dims):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif s is not None:
        if len(s) > rank:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {rank} dimensions.")
        dims = tuple(range(rank - len(s), rank))
    else:
        dims = tuple(range(rank))
    own = [x.shape[d] for d in dims]
    return dims, tuple(own if s is None else [_count(d if n == -1 else n) for n, d in zip(s, own, strict=True)])


# ---------------------------------------------------------------- transforms of nodes
def complex_transform(x: Node, dims: tuple[int, ...], sizes: tuple[int, ...], norm: str | None, forward: bool) -> Node:
    """`ops.fft` after resizing."""
    x = _complex(x)
    for d, n in zip(dims, sizes, strict=True):
        x = _resized(x, d, _count(n))
    if not dims:
        return x
    return ops.fft(x, dims, forward, _scale(math.prod(sizes), norm, forward))


def from_real(name: str, x: Node, dims: tuple[int, ...], sizes: tuple[int, ...], norm: str | None, forward: bool) -> Node:
    """Half a spectrum: along the last of `dims` from real numbers, then along the others. Backwards it is the conjugate."""
    x = _real(name, x)
    for d, n in zip(dims, sizes, strict=True):
        x = _resized(x, d, _count(n))
    half = ops.rfft(x, dims[-1], _scale(math.prod(sizes), norm, forward))
    half = half if forward else parts.conj(half)
    if len(dims) == 1:
        return half
    found = ops.fft(half, dims[:-1], forward, 1.0)
    strides = ops.strides_of(tuple(found.shape), x, dims[:-1], dims[-1:])
    return found if strides == found.strides else relayout(found, strides)


def to_real(x: Node, dims: tuple[int, ...], sizes: tuple[int, ...], norm: str | None, forward: bool) -> Node:
    """Real numbers from half a spectrum: along all of `dims` but the last, and then along that."""
    x = _complex(x)
    for d, n in zip(dims[:-1], sizes[:-1], strict=True):
        x = _resized(x, d, _count(n))
    x = _resized(x, dims[-1], _count(sizes[-1]) // 2 + 1)
    if len(dims) > 1:
        x = ops.fft(x, dims[:-1], forward, 1.0)
    return ops.irfft(parts.conj(x) if forward else x, dims[-1], sizes[-1], _scale(math.prod(sizes), norm, forward))


# ---------------------------------------------------------------- torch.fft's functions
def along_one(kind: str, name: str, x: Tensor, n: int | None, dim: int, norm: str | None, forward: bool) -> Tensor:
    """A transform along one dimension; `kind` is "complex", "from real" or "to real"."""
    v = node_of(x)
    d = wrap_dim(dim, len(v.shape))
    if not v.shape:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if kind == "to real":
        size = 2 * (v.shape[d] - 1) if n is None else n
        return wrap(to_real(v, (d,), (size,), norm, forward))
    sizes = (v.shape[d] if n is None else n,)
    if kind != "complex":
        return _of_real(x, wrap(from_real(name, v, (d,), sizes, norm, forward)), (d,), sizes)
    found = _of_real(x, wrap(complex_transform(v, (d,), sizes, norm, forward)), (d,), sizes)
    if not v.dtype.is_complex:
        note(found, "FftR2CBackward0" if forward else "ConjBackward0")
    return found


def _of_real(x: Tensor, found: Tensor, dims: Any, sizes: Any) -> Tensor:
    """The result of a transform, which PyTorch saves real numbers for, if it had not to fill them up with zeros."""
    if x.dtype.is_complex or any(n > x.shape[d] for d, n in zip(dims, sizes, strict=True)):
        return found
    return keeping(found, (x,))  # type: ignore[no-any-return]


def along_several(kind: str, name: str, x: Tensor, s: Any, dim: Any, norm: str | None, forward: bool) -> Tensor:
    """A transform along several dimensions; `kind` as in `along_one`."""
    v = node_of(x)
    dims, sizes = _sizes(v, s, dim)
    if kind == "complex":
        return wrap(complex_transform(v, dims, sizes, norm, forward))
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")
    if kind == "from real":
        return _of_real(x, wrap(from_real(name, v, dims, sizes, norm, forward)), dims, sizes)
    given = None if s is None else ((s,) if isinstance(s, int) else tuple(s))[-1]
    last = 2 * (v.shape[dims[-1]] - 1) if given is None or given == -1 else given
    return wrap(to_real(v, dims, (*sizes[:-1], last), norm, forward))


# ---------------------------------------------------------------- short-time transforms
def _window(name: str, window: Tensor | None, length: int, size: int, like: Node) -> Node | None:
    """The window as long as the transform, zeros at both sides; None for ones everywhere."""
    if window is None:
        if length == size:
            return None
        window = ones(length, dtype=like.dtype.to_real(), device=like.device)
    w = node_of(window)
    if len(w.shape) != 1 or w.shape[0] != length:
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={length}, but got window with size {list(w.shape)}"
        )
    left = (size - length) // 2
    return w if length == size else pad_constant(w, ((left, size - length - left),), 0.0)


@function()
def stft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: Any = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:
    """The short-time Fourier transform of signals (time) or (batch, time): (..., frequencies, frames), complex.

    Frames of `n_fft` samples begin every `hop_length` (a quarter of it), are weighted with `window` and transformed; with `center` the
    signal is padded so that frame t is centred at ``t * hop_length``. Without `return_complex` pairs of real numbers (deprecated).
    """
    hop, length = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    signal = input
    if window is None:
        notices.once(notices.NO_WINDOW)
    if return_complex is None:
        if not input.dtype.is_complex and (window is None or not window.dtype.is_complex):
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will further require that return_complex=True "
                "in a future PyTorch release."
            )
        return_complex = True
    if len(signal.shape) not in (1, 2):
        raise RuntimeError(f"stft(...): expected a 1D or 2D tensor, but got {len(signal.shape)}D tensor")
    single = len(signal.shape) == 1
    if single:
        signal = signal.unsqueeze(0)  # type: ignore[attr-defined]
    if center:
        if align_to_window:
            raise RuntimeError("stft: align_to_window should only be set when center = false.")
        signal = pad(signal.unsqueeze(1), (n_fft // 2, n_fft // 2), pad_mode).squeeze(1)  # type: ignore[attr-defined]
    time = signal.shape[-1]
    if not 0 < n_fft <= time:
        raise RuntimeError(f"stft: expected 0 < n_fft < {time}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"stft: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"stft: expected 0 < win_length <= n_fft, but got win_length={length}")
    frames = node_of(signal.unfold(1, n_fft, hop))  # type: ignore[attr-defined]
    w = _window("stft", window, length, n_fft, frames)
    if w is not None:
        frames = frames * w  # type: ignore[operator]
    half = not frames.dtype.is_complex if onesided is None else onesided
    if half and frames.dtype.is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    norm = "ortho" if normalized else None
    found = from_real("stft", frames, (2,), (n_fft,), norm, True) if half else complex_transform(frames, (2,), (n_fft,), norm, True)
    if not return_complex:
        notices.once(notices.STFT_REAL)
    result = wrap(found).transpose(1, 2)  # type: ignore[attr-defined]
    result = result.squeeze(0) if single else result
    return result if return_complex else view_as_real(result)  # type: ignore[no-any-return]


def _overlapped(frames: Node, total: int, hop: int) -> Node:
    """Frames added where they overlap: the transpose of cutting them out."""
    shape = (*frames.shape[:-2], total)
    return unview(frames, "unfold", (len(shape) - 1, frames.shape[-1], hop), (shape, contiguous(shape), 0))


@function()
def istft(
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Tensor:
    """The signal of a short-time Fourier transform (..., frequencies, frames): the least-squares estimate of Griffin and Lim (1984)."""
    hop, width = n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length
    if not input.dtype.is_complex:
        raise RuntimeError("istft requires a complex-valued input tensor matching the output from stft with return_complex=True.")
    if len(input.shape) not in (2, 3):
        raise RuntimeError(f"istft: expected a tensor with 2 or 3 dimensions, but got {len(input.shape)}")
    single = len(input.shape) == 2
    spectrum = input.unsqueeze(0) if single else input  # type: ignore[attr-defined]
    rows, frames = spectrum.shape[1:]
    half = rows != n_fft if onesided is None else onesided
    if rows != (n_fft // 2 + 1 if half else n_fft):
        raise RuntimeError(f"istft: expected the frequency dimension (3rd to the last) of the input tensor to match n_fft, but got {rows}")
    if window is None:
        notices.once(notices.NO_WINDOW)
    norm = "ortho" if normalized else None
    z = node_of(spectrum.transpose(1, 2))
    if return_complex:
        pieces = complex_transform(z, (2,), (n_fft,), norm, False)
    else:  # of both halves of a spectrum, too, only the first is read
        pieces = to_real(node_of(spectrum[:, : n_fft // 2 + 1].transpose(1, 2)), (2,), (n_fft,), norm, False)
    w = _window("istft", window, width, n_fft, pieces)
    if w is not None:
        pieces = pieces * w  # type: ignore[operator]
    total = n_fft + hop * (frames - 1)

    weight = node_of(ones(n_fft, dtype=input.dtype.to_real(), device=input.device)) if w is None else w * w  # type: ignore[operator]
    first = n_fft // 2 if center else 0
    last = total - first if length is None else min(first + length, total)
    # tensors, since the read below may end the trace: it keeps what they show
    signal = wrap(_overlapped(pieces, total, hop))[:, first:last]
    envelope = wrap(_overlapped(expand(weight, frames, n_fft), total, hop))[first:last]
    if not bool((envelope.detach().abs() > 1e-11).all()):  # type: ignore[attr-defined]
        raise RuntimeError("window overlap add min: 1")
    signal = signal / envelope
    if length is not None and last - first < length:
        signal = pad(signal, (0, length - (last - first)))
    return signal.squeeze(0) if single else signal  # type: ignore[attr-defined, no-any-return]
