"""Which of a machine's GPUs is taken: the strongest, unless another is asked for by number or name."""

import pytest

import torchlike_asg as torch
from torchlike_asg.backends import wgpu
from torchlike_asg.backends.wgpu import adapter

KINDS = [("CPU", "llvmpipe", "Vulkan"), ("IntegratedGPU", "Intel Iris", "Vulkan"), ("DiscreteGPU", "GeForce", "D3D12"),
         ("DiscreteGPU", "GeForce", "OpenGL"), ("DiscreteGPU", "GeForce", "Vulkan"), ("Unknown", "Card", "Vulkan")]  # fmt: skip


class Raw:
    """An adapter as wgpu lists it."""

    def __init__(self, kind, name, driver):
        self.info = {"adapter_type": kind, "device": name, "backend_type": driver, "description": "1.0"}


@pytest.fixture
def machine(monkeypatch):
    """``machine(kinds)``: one that has these adapters."""
    library = pytest.importorskip("wgpu")
    monkeypatch.delenv("TORCHLIKE_ASG_ADAPTER", raising=False)

    def has(kinds):
        monkeypatch.setattr(library.gpu, "enumerate_adapters_sync", lambda: [Raw(*k) for k in kinds])
        monkeypatch.setattr(adapter, "_all", adapter._all.__wrapped__)

    return has


def test_the_strongest_comes_first(machine):
    machine(KINDS)
    listed = [(a.index, a.kind, a.name, a.driver) for a in wgpu.adapters()]
    assert listed == [
        (0, "DiscreteGPU", "GeForce", "Vulkan"),
        (1, "DiscreteGPU", "GeForce", "D3D12"),
        (2, "IntegratedGPU", "Intel Iris", "Vulkan"),
        (3, "Unknown", "Card", "Vulkan"),
        (4, "CPU", "llvmpipe", "Vulkan"),
    ], "one of OpenGL has less than the same card's others"
    assert adapter.choose().index == 0 and adapter.choose(2).name == "Intel Iris" and adapter.choose("iris").index == 2
    assert torch.accelerator.device_count() == 4, "software is not counted"
    with pytest.raises(RuntimeError, match=r"no wgpu:4; there is: Adapter\(0, 'GeForce', DiscreteGPU, Vulkan\), .*llvmpipe"):
        adapter.choose(4)


@pytest.mark.parametrize(("wanted", "found"), [("cpu", [4]), ("2", [2]), ("GEFORCE", [0, 1]), ("llvm", [4]), ("radeon", []), ("9", [])])
def test_the_environment_chooses(machine, monkeypatch, wanted, found):
    machine(KINDS)
    monkeypatch.setenv("TORCHLIKE_ASG_ADAPTER", wanted)
    assert [a.index for a in adapter.usable()] == found and wgpu.is_available() == bool(found)
    if found:
        assert adapter.choose().index == found[0]
    else:
        with pytest.raises(RuntimeError, match=f"no adapter with TORCHLIKE_ASG_ADAPTER={wanted}; there is: "):
            adapter.choose()


@pytest.mark.parametrize("kinds", [[], KINDS[:1], KINDS[3:4]])
def test_without_a_gpu_the_error_says_what_to_install(machine, kinds):
    machine(kinds)
    assert not wgpu.is_available() and not torch.accelerator.is_available()
    with pytest.raises(RuntimeError, match=r"pip install wgpu.*Vulkan, Metal or Direct3D 12.*apt-get install mesa-vulkan-drivers"):
        adapter.choose()


def test_a_driver_that_fails_is_no_adapter(machine, monkeypatch):
    machine([])
    library = pytest.importorskip("wgpu")

    def fail():
        raise OSError("libvulkan.so.1: cannot open shared object file")

    monkeypatch.setattr(library.gpu, "enumerate_adapters_sync", fail)
    assert wgpu.adapters() == [] and not wgpu.is_available()
