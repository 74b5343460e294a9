"""Numbers that change from step to step are data of the step: plans are bounded, values and gradients are PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import torchlike_asg as asg
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg.asg.declare import declared
from torchlike_asg.asg.node import COUNTS

VALUES = (0.31, 0.12, 0.45, 0.27, 0.38, 0.19)
_X = np.random.default_rng(0).standard_normal((6, 8)).astype(np.float32)
_Y = np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32)


def _classes(p, x):
    return p.tensor([0, 7, -100, 3, 3, 1], device=x.device)


def _heads(x):
    return x.reshape(1, 2, 3, 8)


#: operation -> functions of (package, input, other, number); every operation with varying attributes has one for each of them
ATTRIBUTES = {
    "hardtanh": [lambda p, x, y, v: p.nn.functional.hardtanh(x, -v, 2 * v)],
    "leaky_relu": [
        lambda p, x, y, v: p.nn.functional.leaky_relu(x, v),
        lambda p, x, y, v: p.nn.functional.leaky_relu(x * 2, v, inplace=True),
    ],
    "threshold": [lambda p, x, y, v: p.nn.functional.threshold(x, v, -2 * v)],
    "hardshrink": [lambda p, x, y, v: p.nn.functional.hardshrink(x, v)],
    "softshrink": [lambda p, x, y, v: p.nn.functional.softshrink(x, v)],
    "softplus": [lambda p, x, y, v: p.nn.functional.softplus(x, v), lambda p, x, y, v: p.nn.functional.softplus(x, 2.0, 3 * v)],
    "elu": [lambda p, x, y, v: p.nn.functional.elu(x, v), lambda p, x, y, v: p.nn.functional.celu(x, v)],
    "logit": [lambda p, x, y, v: p.logit(p.sigmoid(x), v)],
    "nan_to_num": [lambda p, x, y, v: p.nan_to_num(p.where(y > 0, x, y - y / 0.0), v, 2 * v, -v)],
    "smooth_l1": [lambda p, x, y, v: p.nn.functional.smooth_l1_loss(x, y, beta=v)],
    "huber": [lambda p, x, y, v: p.nn.functional.huber_loss(x, y, delta=v)],
    "cross_entropy": [
        lambda p, x, y, v: p.nn.functional.cross_entropy(x, _classes(p, x), label_smoothing=v),
        lambda p, x, y, v: p.nn.functional.cross_entropy(x, _classes(p, x), abs(y[0]), label_smoothing=v),
        lambda p, x, y, v: p.nn.functional.cross_entropy(x, _classes(p, x), label_smoothing=v, reduction="none"),
    ],
    "cross_entropy_soft": [lambda p, x, y, v: p.nn.functional.cross_entropy(x, y.softmax(1), label_smoothing=v)],
    "scaled_dot_product_attention": [
        lambda p, x, y, v: p.nn.functional.scaled_dot_product_attention(_heads(x), _heads(y), _heads(y), scale=v)
    ],
    "pad_constant": [lambda p, x, y, v: p.nn.functional.pad(x, (1, -2, 0, 3), value=v)],
}
#: numbers that are operands, in functions made of several operations
OPERANDS = {
    "addmm": lambda p, x, y, v: p.addmm(x[:, :6], x, y.T, beta=v, alpha=2 * v),
    "where": lambda p, x, y, v: p.where(y > 0, x, v),
    "lerp": lambda p, x, y, v: p.lerp(x, y, v),
    "addcmul": lambda p, x, y, v: p.addcmul(x, y, y, value=v),
    "quantile": lambda p, x, y, v: p.quantile(x, v, dim=1),
    "renorm": lambda p, x, y, v: p.renorm(x, 2, 0, v),
    "clamp": lambda p, x, y, v: x.clamp(-v, v),
    "dropout": lambda p, x, y, v: p.nn.functional.dropout(x, v),
}
CASES = [(name, f) for name, fs in ATTRIBUTES.items() for f in fs] + list(OPERANDS.items())


def train(p, f, dtype="float32", device="cpu", values=VALUES):
    """(values and gradients of a step for each number, plans of each step): steps of a loop that reads and lets go of all that it made."""
    x = p.tensor(_X, dtype=getattr(p, dtype), device=device, requires_grad=True)
    out, plans = [], []
    for step, v in enumerate(values):
        p.manual_seed(step)
        before = COUNTS["plans"]
        y = p.tensor(_Y, dtype=getattr(p, dtype), device=device)
        z = f(p, x, y, v)
        (g,) = p.autograd.grad((z * 1.5).sum(), x)
        z = z.detach()
        out += [g.float().cpu().numpy(), z.float().cpu().numpy()]
        del y, g, z
        plans.append(COUNTS["plans"] - before)
    return out, plans


def check(f, dtype="float32", device="cpu"):
    got, plans = train(asg, f, dtype, device)
    want, _ = train(torch, f, dtype)
    tol = {"float32": 2e-6, "float64": 1e-7, "bfloat16": 2e-2}[dtype]
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)
    return plans


def test_every_operation_with_varying_attributes_is_tested():
    assert {op.name for op in declared() if op.varying} == set(ATTRIBUTES)


@pytest.mark.parametrize("f", [f for _, f in CASES], ids=[name for name, _ in CASES])
def test_numbers_that_change(f):
    plans = check(f)
    assert sum(plans) <= 4 and not any(plans[-2:]), plans


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "softplus", "smooth_l1", "hardtanh", "pad_constant"])
def test_types_in_which_they_are_not_rounded(name, dtype, monkeypatch):
    monkeypatch.setattr(asg.config, "backend", "reference")
    check(ATTRIBUTES[name][-1], dtype)


@pytest.mark.parametrize("name", ["elu", "cross_entropy"])
def test_on_a_gpu(name):
    open_adapter()
    assert sum(check(ATTRIBUTES[name][0], device="wgpu")) <= 4


def test_layers_of_one_class_may_differ_in_a_constant():
    """A place in a class is called for several layers: a value of each is no change."""
    layers = [asg.nn.LeakyReLU(0.1), asg.nn.LeakyReLU(0.2), asg.nn.LeakyReLU(0.3)]
    plans = []
    for step in range(4):
        before = COUNTS["plans"]
        x = asg.tensor(_X) + step
        for layer in layers:
            x = layer(x)
        x.sum().item()
        plans.append(COUNTS["plans"] - before)
    assert plans[1:] == [0, 0, 0] or plans[2:] == [0, 0], plans


def test_second_derivatives_and_names():
    def run(p):
        found = []
        for v in VALUES:
            x = p.tensor(_X, requires_grad=True)
            y = p.nn.functional.elu(x, v)
            (g,) = p.autograd.grad((y * y).sum(), x, create_graph=True)
            (h,) = p.autograd.grad(g.sum(), x)
            found.append(h.numpy())
            name = type(y.grad_fn).__name__ if p is torch else y.grad_fn.name()
            assert name == "EluBackward0"
            del y, g, h, x
        return found

    for a, b in zip(run(asg), run(torch), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_a_batch_of_examples_and_a_module_that_is_told_anew():
    slope = asg.nn.LeakyReLU(0.1)
    for v in VALUES:
        slope.negative_slope = v
        got = asg.func.vmap(slope)(asg.tensor(_X))
        np.testing.assert_allclose(got.numpy(), np.where(_X > 0, _X, _X * np.float32(v)), rtol=1e-6)


def test_a_weight_that_rises_to_an_integer_settles_once() -> None:
    """``min(1, step / 10)`` is a float until it is 1, ``max(0, 1 - step / 8)`` until it is 0."""

    def run(p, found):
        w = p.ones(4, requires_grad=True)
        for i in range(14):
            loss = (w * w).sum() * min(1, (i + 1) / 10) + (w * max(0, 1 - i / 8) / min(2, 1 + i / 6)).sum() - min(3, i / 3)
            loss.backward()
            found.append((loss.item(), w.grad.tolist()))
            w.grad = None
            plans.append(COUNTS["plans"])
        return found

    plans: list[int] = []
    np.testing.assert_equal(run(asg, []), run(torch, []))
    assert plans[13] == plans[1]
