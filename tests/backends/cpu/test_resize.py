"""Interpolation at larger sizes: every mode, both directions, both gradients' directions."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.resize

from .nodes import check_all

assert torchlike_asg
RNG = np.random.default_rng(6)
MODES = [
    ("nearest", False, False),
    ("nearest-exact", False, False),
    ("linear", False, False),
    ("linear", True, False),
    ("bicubic", False, False),
    ("linear", False, True),
    ("bicubic", False, True),
]


@pytest.mark.parametrize("mode, align, antialias", MODES)
@pytest.mark.parametrize(
    "small, large", [((9, 17), (18, 34)), ((9, 17), (9, 40)), ((9, 17), (31, 17)), ((12, 7), (5, 21)), ((4, 4), (4, 4))]
)
def test_interpolate(mode, align, antialias, small, large):
    for d in (np.float32, np.float64):
        for a, b in ((small, large), (large, small)):
            x = RNG.standard_normal((2, 3, *a)).astype(d)
            attrs = (mode, align, (None, None), antialias)
            layouts = [("contiguous", "contiguous"), ("reversed", "gaps")]
            check_all("interpolate", (x,), b, *attrs, layouts=layouts, threads=(2,))
            check_all("interpolate_grad", (x,), b, *attrs, layouts=layouts, threads=(2,))


def test_other_ranks():
    x = RNG.standard_normal((2, 3, 11)).astype(np.float32)
    check_all("interpolate", (x,), (40,), "linear", False, (None,), False)
    x = RNG.standard_normal((1, 2, 3, 5, 7)).astype(np.float32)
    check_all("interpolate", (x,), (6, 3, 9), "linear", True, (None, None, None), False)
    check_all("interpolate_grad", (x,), (6, 3, 9), "linear", True, (None, None, None), False)
