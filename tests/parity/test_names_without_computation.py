"""Names outside a CPU tensor library, claim by claim: what each does here that is no computation.

The claims are those of the survey of public scripts (what 53 repositories use). Where the answer is PyTorch's, the value is written out, so
that the table is checked without PyTorch as well.
"""

import importlib
import io

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn, optim
from torchlike_asg.nn import functional as F

from .probes import NO, YES, Raises, after, settled

# ---------------------------------------------------------------- imports
SUBMODULES = """
    nn nn.functional nn.init nn.parameter nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.prune utils.data utils.tensorboard
    utils.checkpoint autograd autograd.functional optim optim.lr_scheduler optim.swa_utils distributions backends backends.cudnn
    backends.mps multiprocessing distributed cuda cuda.amp amp jit fx onnx hub sparse special linalg fft func testing random futures
""".split()


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_is_one(name):
    module = importlib.import_module(f"torchlike_asg.{name}")
    found = torch
    for part in name.split("."):
        found = getattr(found, part)
    assert found is module


# ---------------------------------------------------------------- part 2: names that are no computation here
def parallel():
    model = nn.DataParallel(nn.Linear(2, 3))
    return sorted(model.state_dict()), list(model(torch.ones(4, 2)).shape), type(model.module).__name__


def scaled(enabled):
    scaler = torch.cuda.amp.GradScaler(enabled=enabled)
    w = torch.ones(2, requires_grad=True)
    opt = optim.SGD([w], lr=0.5)
    scaler.scale((w * 3).sum()).backward()
    scaler.unscale_(opt)
    scaler.step(opt)
    scaler.update()
    return w.tolist()


def traced():
    @torch.jit.script
    def double(x):
        return x * 2

    model = nn.Linear(2, 2)
    example = torch.ones(1, 2)
    return double(torch.ones(2)).tolist() == [2.0, 2.0] and torch.equal(torch.jit.trace(model, example)(example), model(example))


def checkpointed():
    layer, x = nn.Linear(3, 3), torch.ones(2, 3, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(layer, x, use_reentrant=False)
    y.sum().backward()
    return torch.equal(y, layer(x)) and x.grad is not None


def autocast_product():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def sparse_product():
    places, values = torch.tensor([[0, 1, 1], [2, 0, 2]]), torch.tensor([3.0, 4.0, 5.0], requires_grad=True)
    a = torch.sparse_coo_tensor(places, values, (2, 3))
    out = torch.spmm(a, torch.arange(6.0).reshape(3, 2))
    return out.tolist(), a.is_sparse, a.to_dense().tolist()


def rotated():
    """The rotary embedding of LLaMA."""
    x = torch.arange(4.0).reshape(1, 2, 2)
    turns = torch.polar(torch.ones(1, 2), torch.tensor([[0.0, np.pi / 2]]))
    y = torch.view_as_real(torch.view_as_complex(x) * turns)
    return np.round(y.numpy(), 5).tolist()


@pytest.fixture(autouse=True)
def switches():
    """Every probe leaves the process's switches as they were."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    places = [(cudnn, "benchmark"), (cudnn, "deterministic"), (cudnn, "enabled"), (matmul, "allow_tf32")]
    before = [getattr(place, name) for place, name in places]
    precision, dtype = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    yield
    for (place, name), value in zip(places, before, strict=True):
        setattr(place, name, value)
    torch.set_float32_matmul_precision(precision)
    torch.set_default_dtype(dtype)


SHIMS = {
    "cuda.is_available": (lambda: torch.cuda.is_available(), NO),
    "cuda.device_count": (lambda: torch.cuda.device_count(), 0),
    "cuda.manual_seed": (lambda: torch.cuda.manual_seed(1), None),
    "cuda.manual_seed_all": (lambda: torch.cuda.manual_seed_all(1), None),
    "cuda.synchronize": (lambda: torch.cuda.synchronize() if torch.cuda.is_available() else None, None),
    "cuda.empty_cache": (lambda: torch.cuda.empty_cache(), None),
    "cuda.max_memory_allocated": (lambda: torch.cuda.max_memory_allocated(), 0),
    "cuda.memory_allocated": (lambda: torch.cuda.memory_allocated(), 0),
    "cuda.is_initialized": (lambda: torch.cuda.is_initialized(), NO),
    "cuda.is_bf16_supported": (lambda: torch.cuda.is_bf16_supported(), NO),
    "Tensor.cuda": (lambda: torch.ones(2).cuda(), Raises((RuntimeError, AssertionError), "CUDA")),
    "Tensor.to cuda": (lambda: torch.ones(2).to("cuda"), Raises((RuntimeError, AssertionError), "CUDA")),
    "Module.cuda": (lambda: nn.Linear(2, 2).cuda(), Raises((RuntimeError, AssertionError), "CUDA")),
    "device=cuda": (lambda: torch.zeros(2, device="cuda:0"), Raises((RuntimeError, AssertionError), "CUDA")),
    "the guard of all scripts": (lambda: str(torch.device("cuda" if torch.cuda.is_available() else "cpu")), "cpu"),
    "accelerator": (lambda: callable(torch.accelerator.is_available) and callable(torch.accelerator.current_accelerator), YES),
    "Tensor.is_cuda": (lambda: torch.ones(1).is_cuda, NO),
    "cuda.FloatTensor behind the guard": (lambda: hasattr(torch.cuda, "FloatTensor"), YES),
    "cudnn.benchmark": (
        lambda: after(lambda: setattr(torch.backends.cudnn, "benchmark", True), lambda: torch.backends.cudnn.benchmark),
        YES,
    ),
    "cudnn.deterministic": (lambda: setattr(torch.backends.cudnn, "deterministic", True), None),
    "cudnn.enabled": (lambda: setattr(torch.backends.cudnn, "enabled", False), None),
    "cuda.matmul.allow_tf32": (lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True), None),
    "mps.is_available": (lambda: torch.backends.mps.is_available(), NO),
    "mps.is_built": (lambda: torch.backends.mps.is_built(), NO),
    "compile of a function": (lambda: torch.compile(lambda x: x + 1, mode="reduce-overhead")(torch.ones(1)), [2.0]),
    "compile as a decorator": (lambda: torch.compile(dynamic=True)(lambda x: x + 1)(torch.ones(1)), [2.0]),
    "compile of a module keeps its state": (
        lambda: sorted(k.split(".")[-1] for k in torch.compile(nn.Linear(1, 1)).state_dict()),
        ["bias", "weight"],
    ),
    "set_float32_matmul_precision": (
        lambda: after(lambda: torch.set_float32_matmul_precision("high"), torch.get_float32_matmul_precision),
        "high",
    ),
    "set_num_threads": (lambda: after(lambda: torch.set_num_threads(torch.get_num_threads()), torch.get_num_threads) > 0, YES),
    "use_deterministic_algorithms": (
        lambda: after(
            lambda: torch.use_deterministic_algorithms(True),
            torch.are_deterministic_algorithms_enabled,
            lambda: torch.use_deterministic_algorithms(False),
            torch.are_deterministic_algorithms_enabled,
        ),
        NO,
    ),
    "GradScaler, off": (lambda: scaled(False), [-0.5, -0.5]),
    "GradScaler, on without CUDA": (lambda: scaled(True), [-0.5, -0.5]),
    "autocast to bfloat16": (lambda: autocast_product(), torch.bfloat16),
    "distributed.is_available": (lambda: isinstance(torch.distributed.is_available(), bool), YES),
    "distributed.is_initialized": (lambda: torch.distributed.is_initialized(), NO),
    "distributed.init_process_group": (
        lambda: torch.distributed.init_process_group("nccl"),
        Raises((RuntimeError, ValueError, NotImplementedError)),
    ),
    "imports of nanoGPT": (
        lambda: importlib.import_module("torchlike_asg.nn.parallel").DistributedDataParallel.__name__,
        "DistributedDataParallel",
    ),
    "DistributedSampler": (
        lambda: list(torch.utils.data.distributed.DistributedSampler(range(4), num_replicas=2, rank=0, shuffle=False)),
        [0, 2],
    ),
    "DataParallel": (parallel, (["module.bias", "module.weight"], [4, 3], "Linear")),
    "multiprocessing": (lambda: hasattr(torch.multiprocessing, "Process") and hasattr(torch.multiprocessing, "spawn"), YES),
    "share_memory_": (lambda: torch.ones(2).share_memory_(), Raises((NotImplementedError, RuntimeError), "share")),
    "jit.script and trace": (traced, YES),
    "checkpoint": (checkpointed, YES),
    "onnx.export": (
        lambda: torch.onnx.export(nn.Linear(1, 1), torch.ones(1, 1), io.BytesIO()),
        Raises((NotImplementedError, RuntimeError, ImportError)),
    ),
    "hub.load": (lambda: torch.hub.load("pytorch/vision", "resnet18"), Raises((NotImplementedError, RuntimeError, OSError))),
    "spmm": (sparse_product, ([[12.0, 15.0], [20.0, 29.0]], YES, [[0.0, 0.0, 3.0], [4.0, 0.0, 5.0]])),
    "rotary embedding": (rotated, [[[0.0, 1.0], [-3.0, 2.0]]]),
    "Tensor.to_sparse": (lambda: torch.eye(2).to_sparse().to_dense(), [[1.0, 0.0], [0.0, 1.0]]),
    "float64": (lambda: str((torch.ones(1).double() / 3).dtype), "torch.float64"),
    "int64 indices": (lambda: str(torch.tensor([1]).dtype), "torch.int64"),
    "a missing name": (lambda: torch.there_is_no_such_name, Raises(AttributeError, "there_is_no_such_name")),
    "hasattr of a missing name": (lambda: hasattr(torch, "there_is_no_such_name"), NO),
    "hasattr of a missing module": (lambda: hasattr(torch.nn, "NoSuchLayer"), NO),
    "getattr with a default": (lambda: getattr(torch.cuda, "no_such_query", 7), 7),
    "from_numpy shares": (lambda: after(*_shared()), [5.0, 0.0]),
    "FloatTensor of a list": (lambda: torch.FloatTensor([1, 2]), [1.0, 2.0]),
    "FloatTensor of sizes": (lambda: list(torch.FloatTensor(2, 3).shape), [2, 3]),
    "LongTensor of arrays": (lambda: torch.LongTensor([np.array([1, 2]), np.array([3, 4])]), [[1, 2], [3, 4]]),
    "Tensor of sizes": (lambda: list(torch.Tensor(2, 3).shape), [2, 3]),
    "Tensor of a list": (lambda: torch.Tensor([1, 2]), [1.0, 2.0]),
    "ByteTensor": (lambda: str(torch.ByteTensor([1]).dtype), "torch.uint8"),
    "Variable": (lambda: torch.autograd.Variable(torch.ones(2), requires_grad=True).requires_grad, YES),
    "Variable, volatile": (lambda: torch.autograd.Variable(torch.ones(2), volatile=True).requires_grad, NO),
    "axis=": (lambda: torch.ones(2, 3).sum(axis=1), [3.0, 3.0]),
    "keepdims=": (lambda: list(torch.ones(2, 3).sum(axis=1, keepdims=True).shape), [2, 1]),
    "argmax(axis=)": (lambda: torch.eye(2).argmax(axis=1), [0, 1]),
    "std(axis=)": (lambda: torch.eye(2).std(axis=0).shape[0], 2),
    "cumprod(axis=)": (lambda: torch.full((2,), 2.0).cumprod(axis=0), [2.0, 4.0]),
    "size_average=": (lambda: nn.MSELoss(size_average=False)(torch.ones(3), torch.zeros(3)).item(), 3.0),
    "reduce=": (lambda: F.mse_loss(torch.ones(3), torch.zeros(3), reduce=False), [1.0, 1.0, 1.0]),
    "clip_grad_norm": (lambda: nn.utils.clip_grad_norm([torch.ones(2, requires_grad=True)], 1.0) is not None, YES),
    "init.normal": (lambda: nn.init.normal(torch.zeros(3)).abs().sum().item() > 0, YES),
    "set_default_tensor_type": (
        lambda: after(lambda: torch.set_default_tensor_type(torch.FloatTensor), torch.get_default_dtype),
        torch.float32,
    ),
    "zero_grad(set_to_none=)": (lambda: _zeroed(), [0.0, 0.0]),
    "load(map_location=)": (lambda: _loaded(), [1.0, 1.0]),
    "seeds of PyTorch": (lambda: after(lambda: torch.manual_seed(0), lambda: round(torch.rand(1).item(), 6)), 0.496257),
    "randn of PyTorch": (lambda: after(lambda: torch.manual_seed(0), lambda: round(torch.randn(1).item(), 6)), 1.540996),
    "randperm of PyTorch": (lambda: after(lambda: torch.manual_seed(0), lambda: torch.randperm(5)), [4, 0, 1, 3, 2]),
    "SummaryWriter": (lambda: callable(torch.utils.tensorboard.SummaryWriter), YES),
    "lr_scheduler._LRScheduler": (lambda: issubclass(optim.lr_scheduler._LRScheduler, optim.lr_scheduler.LRScheduler), YES),
    "DataLoader(num_workers, pin_memory)": (lambda: [b.tolist() for b in _loader()], [[0, 1], [2, 3], [4]]),
    "class names": (
        lambda: [type(m).__name__ for m in (nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.LSTM(1, 1))],
        ["Conv2d", "BatchNorm2d", "LSTM"],
    ),
}


def _shared():
    a = np.zeros(2, np.float32)
    t = torch.from_numpy(a)
    return (lambda: a.__setitem__(0, 5.0)), (lambda: t)


def _zeroed():
    w = torch.ones(2, requires_grad=True)
    opt = optim.SGD([w], lr=1.0)
    w.sum().backward()
    opt.zero_grad(set_to_none=False)
    return w.grad


def _loaded():
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(2)}, buffer)
    buffer.seek(0)
    return torch.load(buffer, map_location="cpu", weights_only=True)["w"]


def _loader():
    data = torch.utils.data.TensorDataset(torch.arange(5))
    return [b for (b,) in torch.utils.data.DataLoader(data, batch_size=2, num_workers=0, pin_memory=False)]


@pytest.mark.parametrize("name", SHIMS)
def test_names_that_are_no_computation_here(name):
    settled(*SHIMS[name])
