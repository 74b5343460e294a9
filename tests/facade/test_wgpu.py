"""Tensors on a GPU as users meet them: devices, transfers, training, errors, statistics. On a software adapter where there is no GPU."""

import gc
import io
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import torchlike_asg as torch
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import config, devices, nn
from torchlike_asg.backends import wgpu
from torchlike_asg.compiler import plan


@pytest.fixture(autouse=True)
def adapter():
    open_adapter()


def test_names_of_the_device():
    assert torch.device("gpu") == torch.device("wgpu") and str(torch.device("wgpu", 1)) == "wgpu:1"
    t = torch.ones(2, 3, device="gpu")
    assert t.device == torch.device("wgpu:0") and not t.is_cpu and t.get_device() == 0
    assert "device='wgpu:0'" in repr(t)
    assert wgpu.adapters() and wgpu.is_available()
    with pytest.raises(RuntimeError, match="no wgpu:7"):
        torch.zeros(2, device="wgpu:7")


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 0, 3), (4, 1, 7)])
@pytest.mark.parametrize("d", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool])
def test_values_go_there_and_come_back(shape, d):
    a = torch.tensor(np.arange(int(np.prod(shape))).reshape(shape) % 5 - (0 if d is torch.uint8 else 2)).to(d)
    there = a.to("wgpu")
    assert there.dtype is d and there.shape == a.shape and there.device.type == "wgpu"
    assert torch.equal(there.cpu(), a)
    assert torch.equal((there == there).cpu(), torch.ones(shape, dtype=torch.bool))


def test_factories_take_the_device(monkeypatch):
    d = "wgpu"
    for t in (
        torch.zeros(3, device=d),
        torch.rand(3, device=d),
        torch.arange(5, device=d),
        torch.tensor([1, 2], device=d),
        torch.eye(3, device=d),
    ):
        assert t.device.type == "wgpu"
    x = torch.randn(2, 3, device=d)
    for t in (torch.zeros_like(x), torch.randn_like(x), x.new_ones(4), torch.empty_like(x), x.new_tensor([1.0])):
        assert t.device == x.device
    assert torch.ones_like(x, device="cpu").device.type == "cpu"
    monkeypatch.setattr(config, "fused_random", True)  # the CPU draws as a GPU does
    torch.manual_seed(3)
    here = torch.randn(5)
    torch.manual_seed(3)
    torch.testing.assert_close(torch.randn(5, device=d).cpu(), here)


def test_gradients_pass_between_devices():
    x = torch.randn(4, 3, requires_grad=True)
    w = torch.randn(3, 2, device="wgpu", requires_grad=True)
    y = (x.to("wgpu") * 2) @ w
    loss = y.cpu().pow(2).sum()
    assert loss.device.type == "cpu"
    loss.backward()
    a, b = x.detach().clone().requires_grad_(), w.detach().cpu().requires_grad_()
    ((a * 2) @ b).pow(2).sum().backward()
    assert x.grad.device.type == "cpu" and w.grad.device.type == "wgpu"
    torch.testing.assert_close(x.grad, a.grad)
    torch.testing.assert_close(w.grad.cpu(), b.grad)


def losses(device, steps=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    out = []
    for _ in range(steps):
        x, y = torch.randn(8, 6).to(device), torch.randint(0, 3, (8,)).to(device)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        out.append(loss.item())
    return model, out


def test_training_gives_the_losses_of_the_cpu():
    model, there = losses("wgpu")
    _, here = losses("cpu")
    np.testing.assert_allclose(there, here, rtol=1e-5)
    assert all(p.device.type == "wgpu" for p in model.parameters())


def test_a_steady_step_makes_nothing_new_and_copies_no_parameters():
    torch.manual_seed(0)
    model = nn.Linear(300, 200).to("wgpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(8, 300).to("wgpu")

    def step():
        optimizer.zero_grad()
        loss = model(x).pow(2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(4):
        step()
    block = id(model.weight._f.cell.array.block)
    before, allocated = torch.asg.stats(), torch.accelerator.memory_allocated()
    for _ in range(3):
        step()
    after = torch.asg.stats()
    assert [after[k] - before[k] for k in ("nodes", "plans", "compiles")] == [0, 0, 0]
    assert id(model.weight._f.cell.array.block) == block, "the new value is written over the old one"
    assert torch.accelerator.memory_allocated() == allocated


def test_a_kept_value_is_not_overwritten():
    p = nn.Parameter(torch.rand(100, device="wgpu") + 1)
    optimizer = torch.optim.SGD([p], lr=0.1)
    kept, values = [], []
    for k in range(5):
        kept.append(p.detach() * 1 if k % 2 else p.data.clone())
        values.append(p.detach().cpu().numpy())
        (p * p).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    for t, v in zip(kept, values, strict=True):
        np.testing.assert_array_equal(t.cpu().numpy(), v)
    np.testing.assert_allclose(p.detach().cpu().numpy(), values[0] * 0.8**5, rtol=1e-5)


def test_mixed_devices_are_refused():
    a, b = torch.ones(3, device="wgpu"), torch.rand(3)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        a + b
    assert (a + torch.tensor(2.0)).tolist() == [3.0] * 3
    assert a[torch.tensor([0, 2])].tolist() == [1.0, 1.0]
    with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\)"):
        a.numpy()


def test_types_that_shaders_lack():
    with pytest.raises(TypeError, match="float64 on the wgpu device"):
        torch.zeros(2, dtype=torch.float64, device="wgpu")
    with pytest.raises(TypeError, match="float64 on the wgpu device"):
        torch.ones(2, device="wgpu").double()
    with pytest.raises(OverflowError, match="does not fit into 32 bits"):
        (torch.tensor([2**40]).to("wgpu") + 1).sum().item()


@pytest.mark.parametrize("width", [2, 20])
def test_state_dicts_and_files_move_between_devices(width):
    torch.manual_seed(0)
    there, here = nn.Linear(width, width).to("wgpu"), nn.Linear(width, width)
    here.load_state_dict(there.state_dict())
    assert here.weight.device.type == "cpu" and torch.equal(here.weight, there.weight.cpu())
    file = io.BytesIO()
    torch.save(there.state_dict(), file)
    file.seek(0)
    found = torch.load(file, map_location="cpu")
    assert found["weight"].device.type == "cpu" and torch.equal(found["weight"], here.weight)
    file.seek(0)
    assert torch.load(file, map_location="wgpu")["bias"].device.type == "wgpu"


def test_in_place_writes_and_views():
    x = torch.arange(12.0, device="wgpu").reshape(3, 4)
    y = x * 1
    y[1] = 7
    y[:, 0] += 100
    y.mul_(2)
    z = y.t()
    z[3, 0] = -1
    want = torch.arange(12.0).reshape(3, 4)
    want[1] = 7
    want[:, 0] += 100
    want *= 2
    want[0, 3] = -1
    assert torch.equal(y.cpu(), want) and torch.equal(x.cpu(), torch.arange(12.0).reshape(3, 4))


def test_parts_of_data_are_sent_as_they_lie():
    here = torch.arange(60.0).reshape(4, 15)
    x = here.to("wgpu")
    for _ in range(3):
        assert torch.equal((x[:, :-1] * x[:, 1:].flip(1)).cpu(), here[:, :-1] * here[:, 1:].flip(1))
        assert (x[1:3, ::2].t() + 0).cpu().tolist() == here[1:3, ::2].t().tolist()


def test_memory_statistics():
    torch.accelerator.empty_cache()
    before = torch.accelerator.memory_allocated()
    x = torch.rand(1000, 1000, device="wgpu") * 2
    torch.sync()
    assert torch.accelerator.memory_allocated() >= before + 4_000_000
    assert torch.accelerator.max_memory_allocated() >= torch.accelerator.memory_allocated()
    assert torch.accelerator.memory_stats()["allocated_bytes.all.current"] == torch.accelerator.memory_allocated()
    torch.accelerator.reset_accumulated_memory_stats()
    stats = torch.accelerator.memory_stats()
    assert stats["allocated_bytes.all.allocated"] == stats["allocated_bytes.all.current"] and stats["allocated_bytes.all.freed"] == 0
    del x
    plan.clear()
    gc.collect()
    assert torch.accelerator.memory_stats()["allocated_bytes.all.freed"] >= 4_000_000
    torch.accelerator.empty_cache()
    torch.accelerator.empty_host_cache()
    assert torch.accelerator.memory_stats()["reserved_bytes.all.freed"] > 0
    with pytest.raises(NotImplementedError, match="wgpu does not tell how much memory"):
        torch.accelerator.get_memory_info()
    assert torch.accelerator.is_available() and torch.accelerator.device_count() >= 1
    assert torch.accelerator.current_accelerator() == torch.device("wgpu")
    torch.accelerator.synchronize()


def test_the_current_device_and_what_it_stores():
    current = torch.accelerator.current_device_index()
    with torch.accelerator.device_index(0):
        assert torch.accelerator.current_device_index() == 0
    with torch.accelerator.device_index(None):
        assert torch.accelerator.current_device_index() == current
    assert torch.accelerator.current_device_index() == current
    types = torch.accelerator.get_device_capability("wgpu")["supported_dtypes"]
    assert {torch.float32, torch.int64, torch.bool} <= types and torch.float64 not in types


def test_too_large_a_tensor_is_named():
    from torchlike_asg.backends.wgpu.device import open_device

    with pytest.raises(torch.errors.OutOfMemoryError, match=r"TiB|GiB.*a tensor of \[7, 3\]"):
        open_device().pool.take(1 << 42, "a tensor of [7, 3], float32")


def test_cuda_can_mean_wgpu(monkeypatch):
    assert not torch.cuda.is_available()
    with pytest.raises(RuntimeError, match="TORCHLIKE_ASG_CUDA=wgpu"):
        torch.zeros(2, device="cuda")
    monkeypatch.setattr(devices, "cuda_means_wgpu", devices.cuda_means_wgpu)
    wgpu.use_for_cuda()
    try:
        assert torch.cuda.is_available() and torch.cuda.device_count() >= 1 and torch.cuda.get_device_name()
        t = torch.ones(2, device="cuda")
        assert t.device.type == "wgpu" and t.is_cuda and torch.ones(1).cuda().device == t.device
        assert next(nn.Linear(2, 2).cuda().parameters()).is_cuda
        torch.cuda.synchronize()
    finally:
        wgpu.use_for_cuda(False)


def test_cuda_can_mean_wgpu_by_the_environment():
    """For a script that is not to be changed."""
    script = "import torchlike_asg as torch; d = torch.device('cuda'); print(d, torch.cuda.is_available(), torch.ones(2).cuda().device)"
    environment = {**os.environ, "TORCHLIKE_ASG_CUDA": "wgpu"}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["wgpu", "True", "wgpu:0"]


def test_threads_share_the_device():
    results, failures = {}, []

    def work(k):
        try:
            x = torch.full((50,), float(k), device="wgpu")
            for _ in range(5):
                x = x + 1
                x.sum().item()
            results[k] = x.cpu().tolist()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert results == {k: [k + 5.0] * 50 for k in range(4)}
