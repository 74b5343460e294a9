"""Devices that are lost or full, two of them at once, mixed devices: what users are told, and that the host's copies survive."""

import dataclasses
import threading

import pytest

import torchlike_asg as torch
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import nn
from torchlike_asg.backends.wgpu import adapter
from torchlike_asg.backends.wgpu import device as devices
from torchlike_asg.compiler import plan


@pytest.fixture
def fresh(monkeypatch):
    """Devices of the test's own, for it to lose; the others come back afterwards. Plans are made for one device, so that they go, too."""
    open_adapter()
    torch.sync()
    plan.clear()
    monkeypatch.setattr(devices, "_open", {})
    yield
    torch.sync()
    plan.clear()


@pytest.fixture
def two(fresh, monkeypatch):
    """The adapter twice, as "wgpu:0" and "wgpu:1"."""
    first = dataclasses.replace(adapter.usable()[0], index=0)
    monkeypatch.setattr(adapter, "_all", lambda: (first, dataclasses.replace(first, index=1)))


def lose():
    """What a driver's reset does to the open device."""
    native = pytest.importorskip("wgpu.backends.wgpu_native")
    native.lib.wgpuDeviceDestroy(devices.open_device().gpu._internal)


def test_a_lost_device_is_named_and_opened_anew(fresh):
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    saved = {k: v.clone() for k, v in model.state_dict().items()}
    model.to("wgpu")
    read = torch.ones(2, 2, device="wgpu") * 3
    assert read.tolist() == [[3.0, 3.0]] * 2
    x = torch.rand(4, 3, device="wgpu")
    model(x).sum().item()
    lost = devices.open_device()
    lose()
    with pytest.raises(torch.errors.DeviceLostError, match=r"was lost, and with it .*a tensor of \[4, 2\], float32 \(32 bytes\)"):
        (model(x) + 1).tolist()
    assert read.tolist() == [[3.0, 3.0]] * 2, "what was read is on the host"
    assert devices.open_device() is not lost
    again = nn.Linear(3, 2)
    again.load_state_dict(saved)
    again.to("wgpu")
    there = again(torch.ones(1, 3, device="wgpu"))
    here = nn.functional.linear(torch.ones(1, 3), saved["weight"], saved["bias"])
    torch.testing.assert_close(there.cpu(), here)


def test_memory_that_runs_out_is_named_and_given_back(fresh, monkeypatch):
    """A device that has no more than 1 MiB, which no driver here can be made to be."""
    d = devices.open_device()
    make = d.buffer

    def buffer(nbytes, **kind):
        if nbytes > 1 << 20:
            raise RuntimeError("Not enough memory left.")
        return make(nbytes, **kind)

    monkeypatch.setattr(d, "buffer", buffer)
    said = r"out of memory: tried to allocate 4\.\d+ MiB for .*a tensor of \[1024, 1024\], float32; .* are in use"
    with pytest.raises(torch.errors.OutOfMemoryError, match=said):
        torch.rand(1024, 1024).to("wgpu").add(1).cpu()
    with pytest.raises(torch.errors.OutOfMemoryError, match=said):
        (torch.rand(1024, 1).to("wgpu") * torch.rand(1, 1024).to("wgpu")).cpu()
    assert (torch.ones(4, device="wgpu") + 1).tolist() == [2.0] * 4, "smaller tensors still fit"


def test_two_devices(two):
    assert torch.accelerator.device_count() == 2
    x, y = torch.rand(4, 4, device="wgpu:0"), torch.rand(4, 4, device="wgpu:1")
    with pytest.raises(
        RuntimeError, match="Expected all tensors to be on the same device, but found at least two devices, wgpu:0 and wgpu:1"
    ):
        x @ y
    with pytest.raises(RuntimeError, match="at least two devices, wgpu:1 and cpu"):
        y + torch.rand(4, 4)
    z = x.to("wgpu:1") @ y
    assert z.device == torch.device("wgpu:1")
    torch.testing.assert_close(z.cpu(), x.cpu() @ y.cpu())
    assert devices.opened(0) is not devices.opened(1)


def test_a_model_on_each_device_in_a_thread_of_its_own(two):
    def train(device):
        generator = torch.Generator().manual_seed(0)
        w = torch.zeros(3, 2, device=device, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1)
        x, y = (torch.rand(8, n, generator=generator).to(device) for n in (3, 2))
        for _ in range(4):
            loss = (x @ w - y).pow(2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        return loss.item()

    found, failures = {}, []

    def work(device):
        try:
            found[device] = train(device)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(f"wgpu:{i}",)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
    assert found == {f"wgpu:{i}": pytest.approx(train("cpu"), rel=1e-5) for i in range(2)}
