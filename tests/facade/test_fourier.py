"""Fourier transforms, compared with PyTorch: values, types, gradients, sizes, normalisations, errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402
from .test_complex import agree, array  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 5)).astype(np.float32)
Z = (RNG.standard_normal((3, 4, 5)) + 1j * RNG.standard_normal((3, 4, 5))).astype(np.complex64)
FROM_REAL, TO_REAL, COMPLEX = ("rfft", "ihfft"), ("irfft", "hfft"), ("fft", "ifft")


def operand(name):
    return X if name.startswith(FROM_REAL) else Z


@pytest.mark.parametrize("name", [*COMPLEX, *FROM_REAL, *TO_REAL])
def test_along_one_dimension(name):
    x = operand(name)
    agree(lambda T, v: getattr(T.fft, name)(v), x)
    for n, dim, norm in ((6, 1, "ortho"), (3, 0, "forward"), (2, -1, "backward"), (7, -1, None)):
        agree(lambda T, v, n=n, dim=dim, norm=norm: getattr(T.fft, name)(v, n=n, dim=dim, norm=norm), x)
    if name not in FROM_REAL:
        agree(lambda T, v: getattr(T.fft, name)(v), X)


@pytest.mark.parametrize("name", [n + e for n in (*COMPLEX, *FROM_REAL, *TO_REAL) for e in ("2", "n")])
def test_along_several_dimensions(name):
    x = operand(name)
    agree(lambda T, v: getattr(T.fft, name)(v), x)
    for options in ({"s": (2, 6), "norm": "ortho"}, {"dim": (0, 1), "norm": "forward"}, {"s": (-1, 4), "dim": (2, 0)}):
        agree(lambda T, v, options=options: getattr(T.fft, name)(v, **options), x)


def test_integers_doubles_and_scalars():
    same(lambda T: array_of(T.fft.fft(T.tensor([1, 2, 3]))))
    same(lambda T: array_of(T.fft.rfft(T.tensor([True, False, True]))))
    same(lambda T: array_of(T.fft.fft(T.ones(4, dtype=T.float64))))
    same(lambda T: array_of(T.fft.irfft(T.ones(3, dtype=T.complex128))))


def array_of(t):
    return str(t.dtype), array(t).view(np.float64 if "128" in str(t.dtype) or "64" in str(t.dtype)[-2:] else np.float32).tolist()


def test_there_and_back():
    x = ours.from_numpy(X.copy()).requires_grad_()
    back = ours.fft.irfftn(ours.fft.rfftn(x), s=x.shape)
    np.testing.assert_allclose(back.detach().numpy(), X, atol=1e-6)
    back.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.ones_like(X), atol=1e-6)


def test_frequencies_and_shifts():
    for n in (4, 5):
        same(lambda T, n=n: [T.fft.fftfreq(n), T.fft.rfftfreq(n, 0.5), T.fft.fftfreq(n, d=0.1, dtype=T.float64)])
    same(lambda T: [T.fft.fftshift(T.arange(20).view(4, 5)), T.fft.ifftshift(T.arange(20).view(4, 5), dim=1)])


@pytest.mark.parametrize(
    "options",
    [{}, {"hop_length": 3}, {"win_length": 5, "hop_length": 2}, {"center": False}, {"normalized": True}, {"onesided": False}],
    ids=str,
)
def test_short_time_transform(options):
    signal = RNG.standard_normal((2, 40)).astype(np.float32)
    window = np.hanning(options.get("win_length", 8) + 2)[1:-1].astype(np.float32)

    def run(T, x):
        return T.stft(x, 8, window=T.from_numpy(window), return_complex=True, **options)

    agree(run, signal)
    agree(run, signal[0])

    def back(T, x):
        return T.istft(run(T, x), 8, window=T.from_numpy(window), length=30, **options)

    agree(back, signal)


@pytest.mark.filterwarnings("ignore:stft with return_complex=False")
def test_short_time_transform_as_pairs():
    x = RNG.standard_normal(32).astype(np.float32)
    got, want = (array(lib.stft(lib.from_numpy(x), 8, window=lib.ones(8), return_complex=False)) for lib in (ours, torch))
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett", "kaiser"])
def test_windows(name):
    for size in (0, 1, 2, 7, 8):
        same(lambda T, size=size: getattr(T, f"{name}_window")(size), 1e-5)
        same(lambda T, size=size: getattr(T, f"{name}_window")(size, periodic=False, dtype=T.float64), 1e-5)
    same_error(lambda T: getattr(T, f"{name}_window")(-1))


def test_errors():
    same_error(lambda T: T.fft.fft(T.ones(4), n=0))
    same_error(lambda T: T.fft.fft(T.ones(4), norm="other"))
    same_error(lambda T: T.fft.rfft(T.ones(4, dtype=T.complex64)))
    same_error(lambda T: T.fft.fftn(T.ones(4, 4), dim=(0, 0)))
    same_error(lambda T: T.fft.fftn(T.ones(4), s=(2, 2)))
    same_error(lambda T: T.fft.fftn(T.ones(4, 4), s=(2,), dim=(0, 1)))
    same_error(lambda T: T.fft.fft(T.ones(4), dim=1))
    same_error(lambda T: T.istft(T.ones(5, 4), 8))


def test_what_is_missing_says_so():
    with pytest.raises(ours.Unsupported, match=r"torch\.fft\.dct"):
        _ = ours.fft.dct


def test_istft_of_pending_data_without_a_history():
    """The check of the window's envelope reads a value, which ends the trace: the frames recorded before had been lost."""
    y = np.random.default_rng(0).standard_normal((2, 64)).astype(np.float32)

    def run(T):
        window = T.hann_window(16)
        spectrum = T.stft(T.from_numpy(y), 16, 4, window=window, return_complex=True)
        return [T.istft(spectrum, 16, 4, window=window), T.istft(spectrum * 2, 16, 4, window=window, length=70)]

    same(run)


@pytest.mark.parametrize("options", [{}, {"onesided": False}, {"center": False}], ids=str)
def test_the_inverse_of_a_whole_spectrum_reads_its_first_half(options):
    spectrum = np.random.default_rng(3).normal(size=(10, 4, 2)) @ [1, 1j]
    same(lambda T: T.istft(T.tensor(spectrum), n_fft=10, window=T.ones(10, dtype=T.float64), **options))
