"""What breaks simple backends: sizes beyond an adapter's limits, rows of one element, adapters that offer little. (The adapter's limits are
made small here, so that tensors need not be large.)
"""

import dataclasses
import math

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.wgpu import calls
from torchlike_asg.backends.wgpu.backend import WgpuBackend
from torchlike_asg.backends.wgpu.bindings import Bindings
from torchlike_asg.compiler import plan

from .harness import device

F = nn.functional


@pytest.fixture
def limited(monkeypatch):
    """``limited(features=..., **limits)``: plans are made for an adapter that has no more than that."""

    def limit(features=None, **limits):
        d = device()
        plan.clear()
        made = {**d.caps.limits, **{name.replace("_", "-"): value for name, value in limits.items()}}
        kept = d.caps.features if features is None else features
        monkeypatch.setattr(
            d, "caps", dataclasses.replace(d.caps, features=kept, limits=made, subgroup=d.caps.subgroup * ("subgroup" in kept))
        )

    device()
    yield limit
    torch.sync()
    plan.clear()


def same(fn, *arrays, rtol=2e-5, atol=2e-5):
    """``fn`` of tensors gives on the GPU what it gives on the CPU, gradients included."""

    def run(place):
        tensors = [torch.tensor(a, device=place, requires_grad=a.dtype == np.float32) for a in arrays]
        y = fn(*tensors)
        if y.requires_grad:
            (y * torch.linspace(0.5, 2, y.numel(), device=place).reshape(y.shape)).sum().backward()
        return [t.detach().cpu().numpy() for t in (y, *[t.grad for t in tensors if t.grad is not None])]

    got, want = run("wgpu"), run("cpu")
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol * max(1.0, np.abs(b).max(initial=0)))


rng = np.random.default_rng(5)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


#: each of these has an operand of more than the 256 KiB that may be bound
LARGE = {
    "elementwise": (lambda x, b: (x * 2 + b).tanh(), f(300, 301), f(301)),
    "sum of all": (lambda x: x.sum(), f(300, 301)),
    "rows": (lambda x: x.softmax(-1), f(300, 301)),
    "columns": (lambda x: x.var(0), f(300, 301)),
    "a transposed copy": (lambda x: x.t().contiguous() * 2, f(300, 301)),
    "a slice": (lambda x: x[1:, ::2] + 1, f(300, 301)),
    "joined": (lambda x: torch.cat([x, x + 1], 1), f(300, 301)),
    "product": (lambda a, b: a @ b, f(300, 301), f(301, 64)),
    "product of batches": (lambda a, b: a @ b, f(6, 128, 100), f(6, 100, 30)),
    "embedding": (lambda w, i: F.embedding(i, w), f(2000, 40), rng.integers(0, 2000, (30,))),
    "embedding of many": (lambda w, i: F.embedding(i, w), f(1700, 40), rng.integers(0, 1700, (30, 60))),
    "rows by number": (lambda x, i: x[i - 150] + x.index_select(0, i), f(300, 301), rng.integers(0, 300, (300,))),
    "columns by number": (lambda x, i: x[:, i], f(300, 301), rng.integers(0, 301, (40,))),
    "rows added to": (lambda x, i, v: x.index_add(0, i, v), f(300, 301), rng.integers(0, 300, (310,)), f(310, 301)),
    "gather": (lambda x, i: x.gather(1, i), f(300, 301), rng.integers(0, 301, (290, 310))),
    "scatter": (lambda x, i, v: x.scatter_add(0, i, v), f(300, 301), rng.integers(0, 300, (280, 290)), f(300, 301)),
    "cumsum": (lambda x: x.cumsum(1) + x.cumsum(0), f(300, 301)),
    "argmax": (lambda x: x.argmax(1) + x.argmin(0, keepdim=True).sum(), f(300, 301)),
    "stacked": (lambda x: torch.stack([x, x + 1, x * 2]), f(300, 301)),
    "triangles": (lambda x: x.tril(3) + x.triu(-2) * 3, f(300, 301)),
    "resized": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), f(2, 12, 50, 60)),
    "attention": (lambda q: F.scaled_dot_product_attention(q, q * 2, q + 1, is_causal=True), f(2, 6, 120, 64)),
    "attention of masks": (lambda q, m: F.scaled_dot_product_attention(q * 0.1, q * 0.1, q, m), f(2, 6, 120, 64), f(6, 120, 120)),
    "sorted": (lambda x: x.sort(1)[0] + x.sort(0, descending=True)[0], f(300, 301)),
    "some of the order": (lambda x: x.topk(3, 1)[0] + x.median(1, keepdim=True)[0] + x.kthvalue(7, 1, keepdim=True)[0], f(250, 300)),
    "counted in order": (lambda x: x.sort(1)[0], f(400, 200)),
    "cummax": (lambda x: x.cummax(0)[0], f(300, 301)),
    "layer norm": (lambda x, w: F.layer_norm(x, (301,), w), f(300, 301), f(301)),
    "cross entropy": (lambda x, y: F.cross_entropy(x, y), f(300, 301), rng.integers(0, 301, (300,))),
    "the first of three dimensions": (lambda x: x.sum((0, 2)) + x.amax((0, 1)).sum(), f(30, 40, 75)),
    "few large summands": (lambda x: x.sum(0) + x.amax(0) * x.var(0), f(3, 90_300)),
    "one row": (lambda x: x.softmax(0) * x.std(), f(90_300)),
    "pooling": (lambda x: F.max_pool2d(x, 2) + F.avg_pool2d(x, 2), f(4, 8, 50, 60)),
    "pooling of one image": (lambda x: F.max_pool2d(x, 2) * F.adaptive_avg_pool2d(x, (25, 30)), f(1, 24, 50, 60)),
    "pooling, channels last": (lambda x: F.max_pool2d(x.to(memory_format=torch.channels_last), 2), f(1, 24, 50, 60)),
    "convolution": (lambda x, w: F.conv2d(x, w, padding=1), f(4, 8, 50, 60), f(8, 8, 3, 3)),
    "convolution of each channel": (lambda x, w: F.conv2d(x, w, padding=1, groups=8), f(4, 8, 50, 60), f(8, 1, 3, 3)),
}


@pytest.mark.parametrize("name", LARGE)
def test_operands_larger_than_a_binding(name, limited, monkeypatch):
    """By kernels, none of which binds more: NumPy computes nothing."""
    limited(max_storage_buffer_binding_size=1 << 18)
    plain = Bindings.__init__

    def made(self, d, calls):
        assert all((b.size or 0) <= d.caps.max_binding for call in calls for b in call.operands)
        plain(self, d, calls)

    monkeypatch.setattr(Bindings, "__init__", made)
    uncovered = []
    monkeypatch.setattr(WgpuBackend, "_tell", lambda self, nodes: uncovered.extend(nodes))
    fn, *arrays = LARGE[name]
    assert max(a.nbytes for a in arrays) > 1 << 18
    same(fn, *arrays, rtol=1e-4, atol=2e-5)
    assert not uncovered


@pytest.mark.parametrize("name", LARGE)
def test_more_workgroups_than_one_dimension_has(name, limited, monkeypatch):
    """Dispatches are spread over a grid (its first dimension made short here) and know their place in it."""
    limited()
    monkeypatch.setattr(calls, "MOST_GROUPS", 3)
    grids, plain = [], Bindings.__init__
    monkeypatch.setattr(Bindings, "__init__", lambda self, d, todo: (grids.extend(c.grid for c in todo), plain(self, d, todo))[1])
    fn, *arrays = LARGE[name]
    same(fn, *arrays, rtol=1e-4, atol=2e-5)
    assert max(x for x, _, _ in grids) <= 3 < max(x * y for x, y, _ in grids)


@pytest.mark.parametrize("number", [2000, -1])
def test_a_table_in_pieces_refuses_numbers_out_of_its_range(number, limited):
    limited(max_storage_buffer_binding_size=1 << 18)
    w = torch.randn(2000, 40, device="wgpu")
    with pytest.raises(IndexError, match=str(number)):
        F.embedding(torch.tensor([1998, number - 1, -1], device="wgpu") + 1, w).tolist()
    assert F.embedding(torch.tensor([1999, 0], device="wgpu"), w).equal(w[[-1, -2000]])


def test_more_rows_and_outputs_than_workgroups_of_one_dimension():
    device()
    x = rng.standard_normal((70_001, 3)).astype(np.float32)
    same(lambda x: x.softmax(-1), x)
    same(lambda x, w, b: F.layer_norm(x, (3,), w, b), x, f(3), f(3), rtol=1e-3)
    same(lambda x: F.batch_norm(x, None, None, training=True), x, rtol=1e-3)
    y = torch.rand(65_535 * 65 + 7, device="wgpu")
    assert ((y * 2).cpu().numpy() == y.cpu().numpy() * 2).all()


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (4, 1, 3)])
def test_reductions_of_one_element(shape):
    device()
    x = f(*shape)
    for d in range(len(shape)):
        same(lambda x, d=d: x.mean(d), x)
        same(lambda x, d=d: x.var(d, unbiased=False), x)
        same(lambda x, d=d: x.amax(d), x)
        same(lambda x, d=d: x.log_softmax(d), x)
        same(lambda x, d=d: x.prod(d), x)
    if len(shape) == 2 and shape[0] > 1:
        same(lambda x: F.batch_norm(x, None, None, training=True), x, atol=1e-4)


def test_dropout_keeps_what_it_says_and_its_gradient_has_the_same_mask():
    device()
    torch.manual_seed(0)
    x = torch.ones(200, 300, device="wgpu", requires_grad=True)
    y = F.dropout(x, 0.25)
    y.sum().backward()
    kept = y.detach().cpu().numpy()
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((kept > 0).mean() - 0.75) < 0.01
    np.testing.assert_array_equal(x.grad.cpu().numpy(), kept)
    assert not np.array_equal(F.dropout(x, 0.25).detach().cpu().numpy(), kept), "another mask the next time"


def small_model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 16),
        nn.LayerNorm(16),
        nn.Linear(16, 3),
    )


def trained(place):
    model = small_model().to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    x, y = torch.randn(8, 1, 8, 8).to(place), torch.arange(8).remainder(3).to(place)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("what", ["features", "operands", "all"])
def test_a_weak_adapter(what, limited):
    """No feature at all, and the least limits that WebGPU allows: training gives the CPU's losses."""
    limited(
        frozenset() if what != "operands" else None,
        **({"max_storage_buffers_per_shader_stage": 8} if what != "features" else {}),
        **({"max_compute_workgroup_storage_size": 16384, "max_compute_invocations_per_workgroup": 256} if what == "all" else {}),
    )
    np.testing.assert_allclose(trained("wgpu"), trained("cpu"), rtol=1e-4)


def test_scatters_are_the_same_from_run_to_run():
    """Of sums of many values onto one place, where deterministic algorithms are asked for."""
    device()
    index = torch.tensor(rng.integers(0, 7, 20_000), device="wgpu")
    values = torch.tensor(f(20_000, 3), device="wgpu")
    torch.use_deterministic_algorithms(True)
    try:
        runs = [torch.zeros(7, 3, device="wgpu").index_add(0, index, values).cpu().numpy() for _ in range(3)]
        text = torch.asg.explain(lambda: torch.zeros(7, 3, device="wgpu").index_add(0, index, values), kernels=True, show=None)
        assert "atomic" not in text
        w = torch.zeros(7, 3, device="wgpu", requires_grad=True)
        F.embedding(index, w).mul(values).sum().backward()
    finally:
        torch.use_deterministic_algorithms(False)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "atomic" in torch.asg.explain(lambda: torch.zeros(7, 3, device="wgpu").index_add(0, index, values), kernels=True, show=None)
    assert all(np.array_equal(r, runs[0]) for r in runs)
    want = np.zeros((7, 3))
    np.add.at(want, index.cpu().numpy(), values.cpu().numpy())
    np.testing.assert_allclose(runs[0], want, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(w.grad.cpu().numpy(), want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("subgroups", [True, False])
def test_rows_with_and_without_subgroups(subgroups, limited):
    """Lanes exchange values within a subgroup where one is known; else all through shared memory."""
    limited(None if subgroups else frozenset())
    x = f(40, 1000)
    if device().caps.subgroup or not subgroups:
        text = torch.asg.explain(lambda: torch.tensor(x, device="wgpu").softmax(-1), kernels=True, show=None)
        assert ("subgroupShuffleXor" in text) == subgroups
    for n in (1, 3, 8, 40, 100, 1000):
        same(lambda x: x.softmax(-1) * x.amax(-1, keepdim=True), x[:, :n].copy())
        assert torch.tensor(x[:, :n] > -9, device="wgpu").all(-1).tolist() == [True] * 40
        assert torch.tensor(x[:, :n] > 9, device="wgpu").any(-1).tolist() == [False] * 40
        assert torch.tensor(x[:, :n] > x[:, n - 1 : n], device="wgpu").sum(-1).tolist() == (x[:, :n] > x[:, n - 1 : n]).sum(-1).tolist()


@pytest.mark.parametrize("bias", (True, False))
def test_empty_batches(bias):
    """Gradients of nothing are zeros: products over no rows at all, of widths that are read by four elements."""
    device()
    found = []
    for where in ("cpu", "wgpu"):
        torch.manual_seed(0)
        layer, rnn = nn.Linear(8, 4, bias=bias).to(where), nn.LSTM(4, 8, bias=bias).to(where)
        x = torch.zeros(0, 8).to(where).requires_grad_()
        y = rnn(layer(x).reshape(3, 0, 4))[0]
        y.square().sum().backward()
        assert y.shape == (3, 0, 8) and x.grad.shape == (0, 8)
        found.append([p.grad.cpu().numpy() for p in (*layer.parameters(), *rnn.parameters())])
    for a, b in zip(*found, strict=True):
        assert a.shape == b.shape and not a.any() and not b.any()


def test_what_is_no_number_stays_so():
    """Shader compilers may take x - x for 0, x / x for 1, and a choice between x and 0 for a maximum that drops NaN;
    Mesa's makes 0 of a quotient by a constant 0."""
    device()
    x = torch.tensor([math.nan, math.inf, -math.inf, 2.0, -0.0])
    functions = (
        lambda x: x - x, lambda x: x.exp() * (x - x), lambda x: x / x, lambda x: x.relu(), lambda x: x.relu() * 2 + 1, F.relu6, F.hardtanh,
        lambda x: x.clamp(0, 1), lambda x: (x + 1).clamp(min=0), lambda x: x.clamp(max=3), lambda x: torch.maximum(x, x * 0),
        lambda x: x / 0.0, lambda x: (x - x) / 0.0, lambda x: (x - 1) / 0.0, lambda x: x.relu() / 0.0,
        lambda x: torch.minimum(x * 2, x), lambda x: x.amax(0), lambda x: x.amin(0), lambda x: x[:1].relu() @ x[:1], F.leaky_relu,
        F.hardswish, F.hardsigmoid, F.softshrink, lambda x: F.max_pool1d(x.reshape(1, 1, 5), 2), F.elu, F.selu, F.softplus,
    )  # fmt: skip
    for f in functions:
        np.testing.assert_allclose(f(x.to("wgpu")).cpu().numpy(), f(x).numpy(), 1e-6)
