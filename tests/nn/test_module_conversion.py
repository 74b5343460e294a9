"""Modules in other types, on other devices, copied and wrapped, beside torch's."""

from __future__ import annotations

import copy

import pytest

import torchlike_asg as ours
from torchlike_asg import nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


def net(package):
    """A layer that is two modules' own, beside a parameter and a buffer."""

    class Block(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = package.nn.Linear(3, 3)
            self.scale = package.nn.Parameter(package.ones(3))
            self.register_buffer("mean", package.zeros(3))

        def forward(self, x):
            return self.fc(x) * self.scale + self.mean

    class Net(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Block()
            self.shared = self.first.fc

        def forward(self, x):
            return self.shared(self.first(x))

    return Net()


def test_a_module_is_not_copied_by_to():
    said = []
    for package in (torch, ours):
        with pytest.raises((RuntimeError, TypeError)) as info:
            package.nn.Linear(1, 1).to("cpu", copy=True)
        said.append((info.type, str(info.value)))
    assert said[0] == said[1]


def test_a_count_of_batches_that_is_not_loaded_leaves_the_meta_device():
    with ours.device("meta"):
        m = ours.nn.BatchNorm2d(3)
    m.load_state_dict({}, assign=True, strict=False)
    assert m.num_batches_tracked.item() == 0


@BOTH
def test_conversions(package):
    model = net(package)
    identities = [id(p) for p in model.parameters()]
    assert model.double() is model
    assert {p.dtype for p in model.parameters()} == {package.float64}
    assert [id(p) for p in model.parameters()] == identities
    assert model.first.mean.dtype == package.float64
    model.first.register_buffer("index", package.tensor([1, 2]))
    assert {p.dtype for p in model.half().parameters()} == {package.float16}
    assert {p.dtype for p in model.bfloat16().parameters()} == {package.bfloat16}
    assert {p.dtype for p in model.float().parameters()} == {package.float32}
    assert {p.dtype for p in model.to(package.float64).parameters()} == {package.float64}
    assert {p.dtype for p in model.to("cpu", package.float32).parameters()} == {package.float32}
    assert {p.dtype for p in model.to(package.ones(1, dtype=package.float64)).parameters()} == {package.float64}
    assert {p.dtype for p in model.to(device="cpu", dtype=package.float32, non_blocking=True).parameters()} == {package.float32}
    assert model.first.index.dtype == package.int64
    assert model.type(package.float64).first.index.dtype == package.float64
    assert model.cpu() is model
    assert model.to_empty(device="cpu").first.scale.shape == (3,)


def test_conversion_keeps_gradients_of_the_new_type():
    m = nn.Linear(2, 2)
    m(ours.ones(1, 2)).sum().backward()
    m.double()
    assert m.weight.grad.dtype == ours.float64
    assert m.weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_cuda_is_refused():
    for action in (lambda m: m.cuda(), lambda m: m.to("cuda"), lambda m: m.to(ours.device("cuda", 0))):
        with pytest.raises(RuntimeError, match="CUDA"):
            action(nn.Linear(1, 1))


@BOTH
def test_deepcopy_and_shared_parameters(package):
    model = net(package)
    model.first.scale.extra = "kept only on the original"
    clone = copy.deepcopy(model)
    assert clone.shared is clone.first.fc
    assert clone.first.scale is not model.first.scale
    assert list(clone.state_dict()) == list(model.state_dict())
    with package.no_grad():
        clone.first.scale.add_(1)
    assert model.first.scale.sum().item() == 3
    assert clone.first.scale.sum().item() == 6
    x = package.ones(2, 3)
    assert clone(x).shape == (2, 3)
    shallow = copy.copy(model)
    assert shallow.first is model.first


@BOTH
def test_data_parallel_forwards(package):
    inner = package.nn.Linear(2, 2)
    wrapped = package.nn.DataParallel(inner)
    assert list(wrapped.state_dict()) == ["module.weight", "module.bias"]
    assert wrapped(package.ones(1, 2)).shape == (1, 2)


def test_distributed_data_parallel_can_be_imported_but_not_made():
    from torchlike_asg.nn.parallel import DistributedDataParallel

    with pytest.raises(RuntimeError, match="use the module itself"):
        DistributedDataParallel(nn.Linear(1, 1))
