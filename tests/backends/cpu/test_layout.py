"""Where values lie around convolutions: channels last from one to the next, forward and back, and no copies between."""

import numpy as np

import torchlike_asg as ours
from torchlike_asg.asg.declare import INPUT
from torchlike_asg.asg.geometry import contiguous
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends.build import Build
from torchlike_asg.backends.cpu import device
from torchlike_asg.backends.cpu.calls import CPU_LIBRARY
from torchlike_asg.compiler import plan

from .graphs import Graph, calls, op, random
from .test_conv_epilogue import PLAIN

assert device  # importing it registers all generators


def channels_last(shape):
    _, c, h, w = shape
    return (c * h * w, 1, w * c, c)


def build(g, roots):
    order = topo(roots, {})
    arguments = [n for n in order if n.op is INPUT]
    strides = [tuple(s // g.values[n].itemsize for s in g.values[n].strides) for n in arguments]
    return Build(roots, order, arguments, strides, [], CPU_LIBRARY)


def test_elementwise_values_lie_as_the_convolution_before_them():
    g = Graph()
    x, w = g.input(random(2, 5, 9, 8)), g.input(random(5, 5, 3, 3, seed=1))
    first = op("conv", op("tanh", x), w, *PLAIN)
    scaled = op("mul", first, op("reshape", g.input(random(5)), (1, 5, 1, 1)))
    middle = op("relu", op("add", scaled, op("exp", x)))
    last = op("conv", middle, w, *PLAIN)
    back = op("relu_grad", op("conv_transpose", last, w, (9, 8), *PLAIN), middle)
    b = build(g, [op("sum", back, (0, 1, 2, 3), False), op("sum", middle, (0,), False)])
    for n in (first, scaled, middle, last, back):
        assert b.geometry[n][1] == channels_last(n.shape), n
    assert b.geometry[x][1] == contiguous(x.shape)


def test_what_leaves_a_plan_lies_as_it_says():
    shape, g = (2, 5, 9, 8), Graph()
    y = op("conv", g.input(random(*shape)), g.input(random(shape[1], shape[1], 3, 3, seed=1)), *PLAIN)
    kept, left = op("relu", y), op("tanh", y)
    b = build(g, [left, op("sum", kept, (0,), False)])
    assert b.geometry[y][1] == b.geometry[kept][1] == channels_last(shape)
    assert b.geometry[left][1] == contiguous(shape)
    g.same([left, op("sum", kept, (0,), False)], 1e-4, 1e-4)


def test_a_channels_last_image_is_read_where_it_lies():
    g = Graph()
    image = np.ascontiguousarray(random(2, 32, 10, 10).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    x, w = g.input(image), g.input(random(32, 1, 3, 3, seed=1))
    y = op("conv", x, w, (1, 1), (1, 1), (1, 1), 32)
    executable = g.same([op("sum", y, (0, 2, 3), False)], 1e-4, 1e-3)
    assert [c.label for part in executable.programs for c in part.calls if c.label.startswith("copy") and c.bytes > image.nbytes] == []


def _training_step():
    ours.manual_seed(0)
    nn = ours.nn
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, groups=32),
        nn.BatchNorm2d(32),
        nn.ReLU6(),
        nn.Conv2d(32, 16, 1),
    )
    optimizer = ours.optim.SGD(model.parameters(), lr=0.01)
    x = ours.randn(4, 3, 20, 20)

    def step():
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, max(p.numel() for p in model.parameters()) * 4, x.numel() * 4


def test_a_training_step_of_convolutions_turns_no_image_but_the_first():
    """Images are between 25 and 100 KB, weights at most 18: larger copies are of images. Some are given a frame, line by line ("run")."""
    step, weight, image = _training_step()
    for _ in range(4):
        step()
    executable = next(reversed(plan.PLANS.values())).executable
    turned = [c.bytes for part in executable.programs for c in part.calls if c.label in ("copy turn", "copy step") and c.bytes > 2 * weight]
    assert turned == [2 * image, 2 * image], "the given image, for the first convolution and for the gradient of its weight"


def test_a_flattened_image_is_turned_once():
    g = Graph()
    x, w = g.input(random(2, 16, 12, 12)), g.input(random(16, 16, 3, 3, seed=1))
    rows = op("reshape", op("relu", op("conv", x, w, *PLAIN)), (2, 16 * 12 * 12))
    labels = calls(g.same([op("matmul", rows, g.input(random(16 * 12 * 12, 10, seed=2)))], 1e-3, 1e-3))
    after = labels[[label.startswith("conv ") for label in labels].index(True) :]
    assert after.count("copy turn") == 1
    assert not any("relu" in label for label in labels)
