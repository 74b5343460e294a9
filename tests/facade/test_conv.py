"""Convolutions and transposed convolutions against PyTorch: values, all gradients, second gradients, forms of padding, errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, refuses

CASES = {
    "plain": ("conv2d", (2, 4, 7, 8), (5, 4, 3, 3), {}),
    "strides": ("conv2d", (2, 4, 7, 8), (6, 2, 3, 2), {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}),
    "depthwise": ("conv2d", (2, 4, 7, 8), (4, 1, 3, 3), {"padding": 1, "groups": 4}),
    "depthwise doubled": ("conv2d", (2, 4, 7, 8), (8, 1, 3, 2), {"padding": (0, 1), "groups": 4, "stride": 2}),
    "one tap": ("conv2d", (2, 4, 7, 8), (5, 4, 1, 1), {}),
    "one tap padded": ("conv2d", (2, 4, 7, 8), (5, 4, 1, 1), {"stride": 2, "padding": 1}),
    "unbatched": ("conv2d", (4, 7, 8), (5, 4, 3, 3), {}),
    "list": ("conv2d", (2, 4, 7, 8), (5, 4, 3, 3), {"stride": [2], "padding": [1, 0]}),
    "valid": ("conv2d", (2, 4, 7, 8), (5, 4, 2, 3), {"padding": "valid"}),
    "same": ("conv2d", (2, 4, 7, 8), (5, 4, 3, 5), {"padding": "same", "dilation": (2, 1)}),
    "same even": ("conv2d", (2, 4, 7, 8), (5, 4, 2, 4), {"padding": "same"}),
    "1d": ("conv1d", (2, 4, 9), (5, 4, 3), {"stride": 2, "padding": 1}),
    "1d unbatched": ("conv1d", (4, 9), (5, 4, 3), {"dilation": 3}),
    "3d": ("conv3d", (2, 4, 5, 6, 7), (6, 2, 3, 2, 1), {"stride": 2, "padding": (1, 0, 2), "groups": 2}),
    "transposed": ("conv_transpose2d", (2, 4, 5, 6), (4, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    "transposed groups": (
        "conv_transpose2d",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 0), "groups": 2, "dilation": (2, 1)},
    ),
    "transposed depthwise": ("conv_transpose2d", (2, 4, 5, 6), (4, 1, 3, 3), {"stride": 3, "output_padding": 2, "groups": 4}),
    "transposed wide": (
        "conv_transpose2d",
        (2, 2, 4, 4),
        (2, 2, 4, 5),
        {"stride": (3, 2), "padding": (1, 2), "output_padding": (2, 3), "groups": 2, "dilation": 4},
    ),
    "transposed 1d": ("conv_transpose1d", (2, 4, 5), (4, 3, 2), {"stride": 3, "output_padding": 1}),
    "transposed 3d": ("conv_transpose3d", (1, 4, 3, 4, 5), (4, 3, 2, 3, 1), {"stride": (2, 1, 3)}),
    "transposed unbatched": ("conv_transpose2d", (4, 5, 6), (4, 3, 3, 3), {}),
}


def outputs(name, weight, arguments):
    return weight[1] * arguments.get("groups", 1) if "transpose" in name else weight[0]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("case", CASES)
def test_against_pytorch(case):
    name, x, w, arguments = CASES[case]
    bias = normal(outputs(name, w, arguments), seed=3)
    agree(name, normal(*x), normal(*w), bias, rtol=1e-4, atol=2e-5, **arguments)
    agree_twice(name, normal(*x), normal(*w), bias, **arguments)
    agree(name, normal(*x), normal(*w), rtol=1e-4, atol=2e-5, **arguments)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(5, 9),
)
def test_any_geometry(groups, channels, outs, kernel, stride, padding, dilation, size):
    x, w = normal(2, groups * channels, size, size + 1), normal(groups * outs, channels, kernel, 2)
    agree("conv2d", x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, rtol=1e-4, atol=2e-5)


def test_bias_gradient_sums_over_batch_and_positions():
    b = ours.zeros(5, requires_grad=True)
    y = ours.nn.functional.conv2d(ours.tensor(normal(3, 4, 6, 7)), ours.tensor(normal(5, 4, 3, 3)), b)
    (y * ours.arange(1.0, 6.0)[:, None, None]).sum().backward()
    np.testing.assert_allclose(b.grad.numpy(), np.arange(1, 6) * 3 * 4 * 5)


def test_conv_and_its_transpose_are_adjoint():
    """<conv(x), y> = <x, conv_transpose(y)>."""
    x, w = ours.tensor(normal(2, 3, 9, 8, dtype=np.float64)), ours.tensor(normal(4, 3, 3, 2, dtype=np.float64))
    y = ours.nn.functional.conv2d(x, w, stride=2, padding=1)
    z = ours.tensor(normal(*y.shape, dtype=np.float64))
    back = ours.nn.functional.conv_transpose2d(z, w, stride=2, padding=1, output_padding=(0, 0))
    missing = [a - b for a, b in zip(x.shape[2:], back.shape[2:], strict=True)]
    back = ours.nn.functional.pad(back, (0, missing[1], 0, missing[0]))
    np.testing.assert_allclose(float((y * z).sum()), float((x[:, :, : back.shape[2]] * back).sum()), rtol=1e-10)


def test_empty():
    agree("conv2d", np.zeros((0, 3, 8, 8), np.float32), normal(4, 3, 3, 3))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int64"])
def test_types(dtype):
    def run(lib):
        x, w = (lib.tensor(np.round(normal(*s) * 4)).to(getattr(lib, dtype)) for s in ((2, 3, 6, 6), (4, 3, 3, 3)))
        return lib.nn.functional.conv2d(x, w, padding=1)

    same(run, rtol=2e-2, atol=1e-1)


def test_top_level_names():
    x, w = normal(2, 3, 6, 6), normal(4, 3, 3, 3)
    same(lambda lib: lib.conv2d(lib.tensor(x), lib.tensor(w), None, 2, 1), rtol=1e-4)
    same(lambda lib: lib.conv_transpose2d(lib.tensor(x), lib.tensor(w.transpose(1, 0, 2, 3).copy()), stride=2), rtol=1e-4, atol=1e-5)
    same(lambda lib: lib.convolution(lib.tensor(x), lib.tensor(w), None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1), rtol=1e-4, atol=1e-5)
    agree("conv_tbc", normal(5, 2, 3), normal(2, 3, 4), normal(4), 1)


def test_errors():
    x, w = normal(2, 3, 8, 8), normal(4, 3, 3, 3)
    refuses("conv2d", normal(2, 3), w)
    refuses("conv2d", normal(2, 5, 8, 8), w)
    refuses("conv2d", normal(2, 6, 8, 8), normal(3, 3, 3, 3), groups=2)
    refuses("conv2d", normal(2, 6, 8, 8), w, groups=0)
    refuses("conv2d", normal(2, 6, 8, 8), normal(1, 3, 3, 3), groups=2)
    refuses("conv2d", normal(2, 3, 2, 2), w)
    refuses("conv2d", x, w, stride=0)
    refuses("conv2d", x, w, padding=-1)
    refuses("conv2d", x, w, dilation=0)
    refuses("conv2d", x, w, bias=normal(5))
    refuses("conv2d", x, w.astype(np.float64))
    refuses("conv2d", x, w, bias=np.ones(4))
    refuses("conv2d", x, w, padding="same", stride=2)
    refuses("conv2d", x, w, padding="full")
    refuses("conv2d", x, w, stride=(1, 1, 1))
    refuses("conv1d", normal(2, 4), normal(4, 3, 3))
    refuses("conv_transpose2d", x, w)
    refuses("conv_transpose2d", normal(2, 4, 8, 8), w, output_padding=1)
    refuses("conv_transpose2d", normal(2, 4, 8, 8), w, normal(4))
    refuses("conv_transpose2d", normal(2, 4, 8, 8), w, output_padding=-1)
