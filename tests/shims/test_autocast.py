"""Mixed precision: types in autocast regions against PyTorch's, nesting and threads, training that follows float32, skipped steps."""

import threading

import numpy as np
import pytest

import torchlike_asg as ours
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import nn
from torchlike_asg.amp import GradScaler, custom_bwd, custom_fwd


def cases(T):
    """name -> function of a conversion that all floating operands go through."""
    F = T.nn.functional

    def f(*shape):
        return T.rand(*shape)

    one = {
        n: getattr(T, n)
        for n in "exp log log1p expm1 acos asin cosh sinh tan tanh sigmoid rsqrt reciprocal sqrt erf sum prod mean var".split()
    }
    one |= {n: getattr(F, n) for n in ("relu", "gelu", "silu", "softplus", "normalize")}
    found = {n: lambda c, g=g: g(c(f(2, 3))) for n, g in one.items()}
    found |= {n: lambda c, n=n: getattr(T, n)(c(f(2, 3)), dim=1) for n in ("cumsum", "cumprod", "softmax", "log_softmax", "logsumexp")}
    for n in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "poisson_nll_loss"):
        found[n] = lambda c, n=n: getattr(F, n)(c(f(2, 3)), c(f(2, 3)))
    labels, ones = T.tensor([0, 1]), T.ones(2)
    return found | {
        "linear": lambda c: F.linear(c(f(2, 3)), c(f(4, 3)), c(f(4))),
        "@": lambda c: c(f(2, 3)) @ c(f(3, 2)),
        "matmul method": lambda c: c(f(2, 3)).matmul(c(f(3, 2))),
        "mm": lambda c: T.mm(c(f(2, 3)), c(f(3, 2))),
        "bmm": lambda c: T.bmm(c(f(2, 2, 3)), c(f(2, 3, 2))),
        "mv": lambda c: T.mv(c(f(2, 3)), c(f(3))),
        "dot": lambda c: T.dot(c(f(3)), c(f(3))),
        "outer": lambda c: T.outer(c(f(3)), c(f(3))),
        "addmm": lambda c: T.addmm(c(f(2, 2)), c(f(2, 3)), c(f(3, 2))),
        "addmv": lambda c: T.addmv(c(f(2)), c(f(2, 3)), c(f(3))),
        "baddbmm": lambda c: T.baddbmm(c(f(2, 2, 2)), c(f(2, 2, 3)), c(f(2, 3, 2))),
        "einsum": lambda c: T.einsum("ij,jk->ik", c(f(2, 3)), c(f(3, 2))),
        "bilinear": lambda c: F.bilinear(c(f(2, 3)), c(f(2, 4)), c(f(5, 3, 4))),
        "conv1d": lambda c: F.conv1d(c(f(1, 2, 5)), c(f(3, 2, 2))),
        "conv2d": lambda c: F.conv2d(c(f(1, 2, 5, 5)), c(f(3, 2, 2, 2)), c(f(3))),
        "conv_transpose2d": lambda c: F.conv_transpose2d(c(f(1, 2, 5, 5)), c(f(2, 3, 2, 2))),
        "attention": lambda c: F.scaled_dot_product_attention(c(f(1, 2, 3, 4)), c(f(1, 2, 3, 4)), c(f(1, 2, 3, 4))),
        "prelu": lambda c: F.prelu(c(f(2, 3)), c(f(1))),
        "pow": lambda c: c(f(2, 3)) ** 2,
        "add in place": lambda c: c(f(2, 3)).add_(f(2, 3)),
        "layer_norm": lambda c: F.layer_norm(c(f(2, 3)), (3,)),
        "batch_norm": lambda c: F.batch_norm(c(f(2, 3)), None, None, training=True),
        "kl_div": lambda c: F.kl_div(c(f(2, 3)), c(f(2, 3)), reduction="sum"),
        "nll_loss": lambda c: F.nll_loss(c(f(2, 3)), labels),
        "cross_entropy": lambda c: F.cross_entropy(c(f(2, 3)), labels),
        "binary_cross_entropy": lambda c: F.binary_cross_entropy(c(f(2, 3)), c(f(2, 3))),
        "cosine_embedding_loss": lambda c: F.cosine_embedding_loss(c(f(2, 3)), c(f(2, 3)), ones),
        "triplet_margin_loss": lambda c: F.triplet_margin_loss(c(f(2, 3)), c(f(2, 3)), c(f(2, 3))),
        "cdist": lambda c: T.cdist(c(f(2, 3)), c(f(2, 3))),
        "trace": lambda c: T.trace(c(f(2, 2))),
        "avg_pool2d": lambda c: F.avg_pool2d(c(f(1, 2, 4, 4)), 2),
        "avg_pool3d": lambda c: F.avg_pool3d(c(f(1, 2, 4, 4, 4)), 2),
        "pad reflect": lambda c: F.pad(c(f(1, 2, 4)), (1, 1), mode="reflect"),
        "pad constant": lambda c: F.pad(c(f(1, 2, 4)), (1, 1)),
        "rfft": lambda c: T.fft.rfft(c(f(4))),
        "qr": lambda c: T.linalg.qr(c(f(3, 3)))[0],
        "cat": lambda c: T.cat([c(f(2, 3)), f(2, 3)]),
        "stack": lambda c: T.stack([f(2, 3), c(f(2, 3))]),
        "mixed sum": lambda c: c(f(3)) + f(3),
        "MultiheadAttention": lambda c: T.nn.MultiheadAttention(4, 2)(*[f(3, 1, 4)] * 3)[0],
        "RNN": lambda c: T.nn.RNN(3, 4)(f(2, 1, 3))[0],
        "GRU": lambda c: T.nn.GRU(3, 4)(f(2, 1, 3))[0],
        "LSTMCell": lambda c: T.nn.LSTMCell(3, 4)(f(2, 3))[0],
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(cases(ours)))
def test_types_on_the_cpu_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")

    def types(T):
        found = []
        for low in ("bfloat16", "float16"):
            for given in ("float32", low, "float64"):
                with T.autocast("cpu", dtype=getattr(T, low)):
                    found.append(str(cases(T)[name](lambda t, given=given: t.to(getattr(T, given))).dtype))
        return found

    assert types(ours) == types(torch)


@pytest.mark.parametrize(
    ("low", "full"), [("linear mm addmv dot conv2d attention prelu", "exp pow softmax sum layer_norm mse_loss cross_entropy softplus")]
)
def test_types_on_a_gpu_are_those_of_pytorch_s_gpus(low, full):
    open_adapter()
    made = cases(ours)
    with ours.autocast("wgpu"):
        there = {n: made[n](lambda t: t.to("wgpu")).dtype for n in low.split() if n != "dot"}
        assert set(there.values()) == {ours.float16}
        there = {n: made[n](lambda t: t.to("wgpu").half()).dtype for n in full.split() if n != "cross_entropy"}
        assert set(there.values()) == {ours.float32}
        assert made["mean"](lambda t: t.to("wgpu").half()).dtype is ours.float16
        assert made["linear"](lambda t: t).dtype is ours.float32, "a region is for its own device"
        with pytest.raises(RuntimeError, match="unsafe to autocast"):
            made["binary_cross_entropy"](lambda t: t.to("wgpu"))


def test_products_are_those_of_the_lower_type():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 7), dtype=np.float32), rng.standard_normal((7, 6), dtype=np.float32)

    def run(T):
        x, w = T.tensor(a, requires_grad=True), T.tensor(b, requires_grad=True)
        with T.autocast("cpu", dtype=T.bfloat16):
            loss = (x @ w).float().pow(2).sum()
        loss.backward()
        assert w.grad.dtype is T.float32
        return [loss.item(), x.grad.numpy(), w.grad.numpy()]

    for got, want in zip(run(ours), run(torch), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=5e-2 * np.abs(want).max())
    assert not np.allclose(run(ours)[1], 2 * (a @ b) @ b.T, rtol=1e-6), "in 16 bits"


def test_a_steady_step_records_nothing_new():
    model = nn.Linear(8, 8)
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler("cpu")
    x = ours.rand(4, 8)

    def step():
        optimizer.zero_grad()
        with ours.autocast("cpu", dtype=ours.float16):
            loss = nn.functional.mse_loss(model(model(x)), x)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    for _ in range(4):
        step()
    before = ours.asg.stats()
    for _ in range(3):
        step()
    after = ours.asg.stats()
    assert [after[k] - before[k] for k in ("nodes", "plans", "compiles")] == [0, 0, 0]


def test_regions_nest_and_end():
    x = ours.rand(2, 2)
    with ours.autocast("cpu"):
        assert ours.is_autocast_enabled("cpu") and not ours.is_autocast_enabled() and (x @ x).dtype is ours.bfloat16
        with ours.autocast("cpu", enabled=False):
            assert not ours.is_autocast_enabled("cpu") and (x @ x).dtype is ours.float32
            with ours.autocast("cpu", dtype=ours.float16):
                assert ours.get_autocast_dtype("cpu") is ours.float16 and (x @ x).dtype is ours.float16
            assert ours.get_autocast_dtype("cpu") is ours.bfloat16
        assert (x @ x).dtype is ours.bfloat16
        out = ours.empty(2, 2)
        assert ours.mm(x, x, out=out).dtype is ours.float32
    assert not ours.is_autocast_enabled("cpu") and (x @ x).dtype is ours.float32
    with pytest.raises(ZeroDivisionError), ours.autocast("cpu"):
        raise ZeroDivisionError
    assert (x @ x).dtype is ours.float32

    region = ours.autocast("cpu")
    with region, region:
        assert (x @ x).dtype is ours.bfloat16
    assert region(lambda: x @ x)().dtype is ours.bfloat16 and (x @ x).dtype is ours.float32


def test_a_region_belongs_to_its_thread():
    found = []
    with ours.autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((ours.ones(2, 2) @ ours.ones(2, 2)).dtype))
        thread.start()
        thread.join()
    assert found == [ours.float32]


@pytest.mark.parametrize("cast_inputs", [None, "float32"])
def test_custom_functions(cast_inputs):
    torch = pytest.importorskip("torch")

    def run(T):
        fwd, bwd = (custom_fwd, custom_bwd) if T is ours else (torch.amp.custom_fwd, torch.amp.custom_bwd)
        seen = []

        class Product(T.autograd.Function):
            @staticmethod
            @fwd(device_type="cpu", cast_inputs=cast_inputs and getattr(T, cast_inputs))
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                out = a.mm(b)
                seen.append((T.is_autocast_enabled("cpu"), str(a.dtype), str(out.dtype)))
                return out

            @staticmethod
            @bwd(device_type="cpu")
            def backward(ctx, g):
                a, b = ctx.saved_tensors
                seen.append((T.is_autocast_enabled("cpu"), str(g.dtype), str(g.mm(b.t()).dtype)))
                return g.mm(b.t()), a.t().mm(g)

        a, b = T.ones(2, 3, requires_grad=True), T.ones(3, 2, requires_grad=True)
        with T.autocast("cpu"):
            out = Product.apply(a.bfloat16() if cast_inputs else a, b)
        out.float().sum().backward()
        return seen, a.grad.tolist()

    assert run(ours) == run(torch)


def train(device, low, steps=25):
    ours.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU(), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    model.to(device)
    optimizer = ours.optim.AdamW(model.parameters(), lr=3e-3)
    scaler = GradScaler(device, enabled=low is ours.float16, init_scale=2.0**12, growth_interval=10)
    x, y = ours.randn(32, 1, 6, 6).to(device), ours.arange(32).remainder(4).to(device)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        with ours.autocast(device, dtype=low, enabled=low is not None):
            loss = nn.functional.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer) if scaler.is_enabled() else None
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert all(p.dtype is ours.float32 and p.grad.dtype is ours.float32 for p in model.parameters())
    assert scaler.get_scale() == (2.0**14 if scaler.is_enabled() else 1.0)
    return np.array(losses)


@pytest.mark.parametrize(("device", "low", "bound"), [("cpu", "bfloat16", 0.03), ("cpu", "float16", 0.004), ("wgpu", "float16", 0.004)])
def test_training_follows_float32(device, low, bound):
    """Every loss of a run in mixed precision lies within `bound` (nats; they begin at about 1.4) of the one in float32."""
    if device == "wgpu":
        open_adapter()
    full, mixed = train(device, None), train(device, getattr(ours, low))
    assert full[-1] < 0.5 * full[0]
    assert 0 < np.abs(full - mixed).max() < bound


@pytest.mark.parametrize("device", ["cpu", "wgpu"])
def test_an_overflow_skips_the_step(device):
    if device == "wgpu":
        open_adapter()
    w = nn.Parameter(ours.full((4, 4), 0.5, device=device))
    optimizer = ours.optim.SGD([w], lr=0.1, momentum=0.9)
    scaler = GradScaler(device, init_scale=2.0**20)
    x = ours.ones(2, 4, device=device)
    scales, moved = [], []
    for _ in range(12):
        before = w.detach().cpu().numpy().copy()
        optimizer.zero_grad()
        with ours.autocast(device, dtype=ours.float16):
            loss = nn.functional.linear(x, w).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
        moved.append(not np.array_equal(before, w.detach().cpu().numpy()))
    first = moved.index(True)
    assert 0 < first < 12 and moved == [False] * first + [True] * (12 - first)
    assert scales[first - 1 :] == [2.0 ** (20 - first)] * (13 - first) and np.isfinite(w.detach().cpu().numpy()).all()


def test_a_step_reads_one_number_for_each_device(monkeypatch):
    """PyTorch, too, waits once: in `step`, for whether there was an overflow."""
    from torchlike_asg.facade import flush

    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1))
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler("cpu", init_scale=4.0)
    x = ours.rand(2, 3)
    model(x)  # a module's first call takes the parameters' initial values
    reads = []
    plain = ours.Tensor.__bool__
    monkeypatch.setattr(ours.Tensor, "__bool__", lambda t: reads.append(t.shape) or plain(t))
    model(x)  # a model's weights are computed before it is called for the first time
    before = flush.COUNTS["flushes"]
    scaler.scale(model(x).sum()).backward()
    scaler.unscale_(optimizer)
    assert flush.COUNTS["flushes"] == before and not reads
    scaler.step(optimizer)
    scaler.update()
    assert reads == [()] and flush.COUNTS["flushes"] <= before + 2
