"""What autocast regions and GradScaler accept, refuse and say; test_autocast.py has what regions compute."""

import pytest

import torchlike_asg as ours
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import devices, namespace
from torchlike_asg.amp import GradScaler, autocast


@pytest.mark.filterwarnings("ignore:`torch.cuda.amp")
def test_autocast_elsewhere_is_disabled():
    with pytest.warns(UserWarning, match="CUDA is not available"), autocast("cuda", dtype=ours.float16):
        assert not namespace.NAMES["is_autocast_enabled"]()
    with autocast("cuda", enabled=False), pytest.warns(UserWarning, match="Disabling"), ours.cuda.amp.autocast():
        pass


def test_autocast_errors():
    with pytest.warns(UserWarning, match="target dtype is not supported"):
        assert not autocast("cpu", dtype=ours.float64)._enabled
    with pytest.raises(RuntimeError, match="unsupported autocast device_type"):
        autocast("tpu")
    with pytest.raises(ValueError, match="device_type"):
        autocast(3)


def test_default_types():
    names = namespace.NAMES
    assert names["get_autocast_dtype"]("cpu") is ours.bfloat16 and names["get_autocast_gpu_dtype"]() is ours.float16
    with autocast("cpu", dtype=ours.bfloat16, enabled=False):
        assert names["get_autocast_cpu_dtype"]() is ours.bfloat16


@pytest.mark.filterwarnings("ignore:`torch.cuda.amp")
def test_torch_cuda_amp_where_cuda_means_wgpu(monkeypatch):
    open_adapter()
    monkeypatch.setattr(devices, "cuda_means_wgpu", [True])
    with ours.cuda.amp.autocast(dtype=ours.bfloat16):
        x = ours.ones(2, 2, device="cuda")
        assert (x @ x).dtype is ours.bfloat16 and ours.get_autocast_gpu_dtype() is ours.bfloat16 and ours.is_autocast_enabled()
    assert ours.cuda.amp.GradScaler().is_enabled() and GradScaler().is_enabled() and not ours.is_autocast_enabled()


def test_gradients_in_16_bits_are_not_unscaled():
    scaler, w = GradScaler("cpu"), ours.ones(2, dtype=ours.float16, requires_grad=True)
    scaler.scale(w.sum())  # begins: before, there is nothing to unscale by
    w.sum().backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        scaler.unscale_(ours.optim.SGD([w], lr=0.1))


@pytest.mark.filterwarnings("ignore:`torch.cuda.amp")
def test_a_disabled_scaler_does_nothing():
    scaler = GradScaler(enabled=False)
    w = ours.nn.Parameter(ours.ones(2))
    opt = ours.optim.SGD([w], lr=1.0)
    loss = w.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(opt)
    scaler.step(opt)
    scaler.update()
    assert w.tolist() == [0.0, 0.0] and scaler.get_scale() == 1.0 and scaler.state_dict() == {} and not scaler.is_enabled()
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not ours.cuda.amp.GradScaler().is_enabled()


def test_a_scaler_on_the_cpu():
    torch = pytest.importorskip("torch")

    def run(T):
        scaler = T.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2, backoff_factor=0.25)
        w = T.nn.Parameter(T.tensor([1.0, 2.0]))
        opt = T.optim.SGD([w], lr=0.5)
        found = []
        for factor in (1.0, float("inf"), 2.0, 3.0, float("nan"), 1.0):
            opt.zero_grad()
            scaler.scale((w * w * factor).sum()).backward()
            if factor == 3.0:
                scaler.unscale_(opt)
                T.nn.utils.clip_grad_norm_([w], 1.0)
            scaler.step(opt)
            scaler.update()
            found.append([scaler.get_scale(), *w.tolist()])
        return found, scaler.state_dict()

    got, want = run(ours), run(torch)
    assert all(g == pytest.approx(w) for g, w in zip(got[0], want[0], strict=True))
    assert got[1] == want[1]


def test_scaler_errors():
    scaler = GradScaler("cpu")
    w = ours.nn.Parameter(ours.ones(1))
    opt = ours.optim.SGD([w], lr=1.0)
    for early in (scaler.update, lambda: scaler.unscale_(opt), lambda: scaler.step(opt)):
        with pytest.raises(AssertionError, match="but _scale is None"):
            early()
    loss = scaler.scale([w.sum()])[0]
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.unscale_(opt)
    loss.backward()
    scaler.unscale_(opt)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(opt)
    scaler.step(opt)
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.step(opt)
    with pytest.raises(AssertionError, match="growth factor"):
        GradScaler("cpu", growth_factor=0.5)
    with pytest.raises(RuntimeError, match="source state dict is empty"):
        scaler.load_state_dict({})
    other = GradScaler("cpu", init_scale=2.0)
    other.load_state_dict(scaler.state_dict())
    assert other.get_scale() == scaler.get_scale()


@pytest.mark.parametrize("named", [False, True], ids=["by attributes", "by keyword"])
@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("overflow", [False, True])
@pytest.mark.filterwarnings("ignore:GradScaler is going to stop")
def test_an_optimizer_that_unscales_by_itself(named, unscaled, overflow):
    torch = pytest.importorskip("torch")

    def run(T):
        seen = []

        class Own(T.optim.SGD):
            _step_supports_amp_scaling = True

            def step(self, closure=None):
                scale = self.grad_scale
                seen.extend([None if scale is None else float(scale), float(self.found_inf)])

        class Named(Own):
            def step(self, closure=None, *, grad_scaler=None):
                seen.append(grad_scaler.get_scale())

        p = T.nn.Parameter(T.tensor([1.0, 2.0]))
        optimizer = (Named if named else Own)([p], 0.1)
        scaler = T.amp.GradScaler("cpu", init_scale=8.0, growth_interval=1)
        for _ in range(2):
            optimizer.zero_grad()
            scaler.scale((p * (float("inf") if overflow else 3.0)).sum()).backward()
            if unscaled:
                scaler.unscale_(optimizer)
            scaler.step(optimizer)
            seen.append(p.grad.tolist())
            scaler.update()
            seen.append(scaler.get_scale())
            with pytest.raises(AttributeError):
                optimizer.grad_scale  # noqa: B018
        return seen

    if named and not unscaled:
        pytest.skip("such a step has to ask the scaler to unscale")
    assert run(ours) == run(torch)
