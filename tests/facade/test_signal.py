"""torch.signal.windows: values, types and errors as PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

from .compare import same, same_error  # noqa: E402

WINDOWS = {
    "bartlett": {},
    "blackman": {},
    "cosine": {},
    "exponential": {"tau": 2.5},
    "gaussian": {"std": 1.7},
    "general_cosine": {"a": [0.46, 0.23, 0.31]},
    "general_hamming": {"alpha": 0.6},
    "hamming": {},
    "hann": {},
    "kaiser": {"beta": 5.0},
    "nuttall": {},
}


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("name", WINDOWS)
def test_values(name, sym):
    def run(lib):
        f = getattr(lib.signal.windows, name)
        return [f(m, sym=sym, **WINDOWS[name]) for m in (0, 1, 2, 7, 10)] + [f(6, sym=sym, dtype=lib.float64, **WINDOWS[name])]

    same(run)


def test_errors():
    same_error(lambda lib: lib.signal.windows.general_cosine(-1, a=[1.0]))
    same_error(lambda lib: lib.signal.windows.gaussian(4, dtype=lib.int64))
    same_error(lambda lib: lib.signal.windows.gaussian(4, std=0.0))
    same_error(lambda lib: lib.signal.windows.exponential(4, center=1.0))
