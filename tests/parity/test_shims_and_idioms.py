"""The treatment of names outside a CPU tensor library, and of eager idioms that recording must not break: claim by claim.

The claims are those of the survey of public scripts (what 53 repositories use): what a name does that is no computation here, and what
holds for code that reads, writes and branches in the middle of what is being recorded. Where the answer is PyTorch's, the value is written
out, so that the table is checked without PyTorch as well.
"""

import copy
import importlib
import io
import pickle
import warnings

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn, optim
from torchlike_asg.nn import functional as F

YES, NO = True, False


class Raises:
    """The outcome "raises this type, with these words"."""

    def __init__(self, kind, words=""):
        self.kind, self.words = kind, words


def run(claim):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = claim()
    return found.tolist() if isinstance(found, torch.Tensor) else found


def settled(claim, expected):
    if isinstance(expected, Raises):
        with pytest.raises(expected.kind) as caught:
            run(claim)
        assert expected.words in str(caught.value), str(caught.value)
    else:
        found = run(claim)
        assert found == (pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else expected), found


def after(*steps):
    """The value of the last of several steps."""
    return [step() for step in steps][-1]


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
def weight_of(module):
    return next(module.parameters())


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


# ---------------------------------------------------------------- part 3: eager idioms
def leaf(*values):
    return torch.tensor(values or (1.0, 2.0), requires_grad=True)


def item_each_step():
    """One cached program with the loss as an output: from the third step on nothing is recorded, planned or computed twice."""
    from torchlike_asg.asg.node import COUNTS

    model, x, seen = nn.Linear(3, 1), torch.ones(4, 3), []
    opt = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        before = dict(COUNTS)
        loss = model(x).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss.item()
        seen.append(tuple(COUNTS[k] - before[k] for k in ("nodes", "plans", "flushes")))
    return seen[-2:]


def ragged(batches=7):
    """A ragged last batch is a second program, and is not planned anew in each epoch."""
    from torchlike_asg.asg.node import COUNTS

    model = nn.Linear(2, 1)
    opt = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(6):
        before = COUNTS["plans"], COUNTS["nodes"]
        for batch in torch.utils.data.DataLoader(torch.ones(batches, 2), batch_size=3):
            opt.zero_grad()
            model(batch).sum().backward()
            opt.step()
        after_ = COUNTS["plans"], COUNTS["nodes"]
    return after_[0] - before[0], after_[1] - before[1]


def until_small():
    w, n = torch.tensor([4.0], requires_grad=True), 0
    while True:
        loss = (w * w).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.25 * w.grad
        w.grad.zero_()
        n += 1
        if loss.item() < 1e-3:
            return n


def older_weights():
    """A node that is not computed yet does not see a later update of what it was recorded on."""
    w = leaf(1.0, 2.0)
    opt = optim.SGD([w], lr=1.0)
    painted = w * 3
    (w * 1).sum().backward()
    opt.step()
    return painted.tolist(), w.tolist()


def two_optimizers():
    g, d = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        weight_of(g).fill_(2.0)
        weight_of(d).fill_(3.0)
    og, od = optim.SGD(g.parameters(), lr=0.1), optim.SGD(d.parameters(), lr=0.1)
    fake = g(torch.ones(1, 1))
    og.zero_grad()
    (-d(fake)).sum().backward(retain_graph=True)
    og.step()
    od.zero_grad()
    d(fake.detach()).sum().backward()
    od.step()
    return round(weight_of(g).item(), 4), round(weight_of(d).item(), 4)


def differentiable_assignment():
    w, out = leaf(1.0, 2.0), torch.zeros(3, 2)
    for i in range(3):
        out[i] = w * (i + 1)
    out.sum().backward()
    return w.grad.tolist(), out.requires_grad


def masked_assignment():
    logits = torch.tensor([[1.0, 5.0, 3.0]])
    v, _ = torch.topk(logits, 2)
    logits[logits < v[:, [-1]]] = -float("Inf")
    return logits.tolist()


def through_views():
    x = torch.zeros(2, 3)
    y = x.view(6)
    x[0].fill_(1)
    y[4] += 5
    x.t()[2] = 7
    return x.tolist(), y.tolist()


def accumulated_rows():
    dC, ix = torch.zeros(3, 2), [[0, 1], [1, 2]]
    for k in range(2):
        for j in range(2):
            dC[ix[k][j]] += torch.ones(2)
    return dC.tolist()


def data_write():
    p = leaf(1.0, 2.0)
    y = p * p
    before = p._version
    p.data.mul_(10)
    p.data[0] = 7.0
    y.sum().backward()
    return p.tolist(), p._version - before, y.tolist()


def data_assigned():
    p = leaf(1.0, 2.0)
    p.data = torch.ones(3)
    return p.tolist(), p.is_leaf, p.requires_grad


def manual_update():
    w = leaf(1.0, 2.0)
    for _ in range(2):
        (w * w).sum().backward()
        with torch.no_grad():
            w -= 0.5 * w.grad
            w.grad = None
    return w.tolist(), w.is_leaf


def accumulation():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * 2).sum().backward()
    held = w.grad
    (w * 2).sum().backward()
    return w.grad.tolist(), held is w.grad, held.tolist()


def penalty():
    x = leaf(1.0, 2.0)
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (g**2).sum().backward()
    return x.grad.tolist()


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y if ctx.needs_input_grad[0] else None


def tied():
    a, b = nn.Linear(3, 5, bias=False), nn.Embedding(5, 3)
    b.weight = a.weight
    both = nn.ModuleList([a, b])
    (a(torch.ones(1, 3)).sum() + b(torch.tensor([0])).sum()).backward()
    return len(list(both.parameters())), sorted(both.state_dict()), a.weight.grad[0].tolist(), a.weight is b.weight


def cloned():
    layer = nn.Linear(2, 2)
    twins = copy.deepcopy(nn.ModuleList([layer, layer]))
    with torch.no_grad():
        layer.weight.fill_(9.0)
    return twins[0] is twins[1], (twins[0].weight != 9).all().item()


def whole_module():
    buffer = io.BytesIO()
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    torch.save(model, buffer)
    buffer.seek(0)
    again = torch.load(buffer, weights_only=False)
    return torch.equal(again(torch.ones(1, 2)), model(torch.ones(1, 2)))


def closure():
    w = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    opt = optim.LBFGS([w], lr=1.0, max_iter=20)

    def step():
        opt.zero_grad()
        loss = ((w - 1) ** 2).sum()
        loss.backward()
        return loss

    opt.step(step)
    return round(w.item(), 6)


def long_loop():
    h = torch.zeros(1)
    w = torch.ones(1, requires_grad=True)
    for _ in range(1000):
        h = h * 0.5 + w
    h.sum().backward()
    return round(w.grad.item(), 4)


def in_forward():
    w = leaf(1.0, 2.0)
    y = w * 2
    np.asarray(y.detach().numpy()).sum()
    y.sum().backward()
    return w.grad.tolist()


IDIOMS = {
    "item": (lambda: torch.tensor(1.5).item(), 1.5),
    "item in every step": (item_each_step, [(0, 0, 1)] * 2),
    "tolist": (lambda: (torch.ones(2) + 1).tolist(), [2.0, 2.0]),
    "float": (lambda: float(torch.ones(1) * 2), 2.0),
    "int": (lambda: int(torch.tensor(3.7)), 3),
    "as an index": (lambda: [10, 20, 30][torch.tensor(2)], 30),
    "as a length": (lambda: list(range(torch.tensor(3))), [0, 1, 2]),
    "np.array": (lambda: np.array(torch.ones(2) + 1).tolist(), [2.0, 2.0]),
    "format": (lambda: "{:.4f}".format(torch.ones(()) / 3), "0.3333"),  # noqa: UP032
    "f-string": (lambda: f"{torch.ones(()) / 3:.3f}", "0.333"),
    "%": (lambda: "%.2f %d" % (torch.ones(()) / 3, torch.tensor(7)), "0.33 7"),  # noqa: UP031
    "format of several": (lambda: f"{torch.ones(2):.2f}", Raises(TypeError)),
    "print": (lambda: str(torch.arange(3) * 1.5), "tensor([0.0000, 1.5000, 3.0000])"),
    "print with a history": (lambda: str(leaf(1.0) * 2), "tensor([2.], grad_fn=<MulBackward0>)"),
    "branch": (lambda: "yes" if torch.tensor(2) * 2 == 4 else "no", "yes"),
    "branch on an element": (lambda: [bool(b) for b in torch.tensor([1, 0]) == torch.tensor([1, 1])], [YES, NO]),
    "branch on several": (lambda: bool(torch.ones(2) > 0), Raises(RuntimeError, "ambiguous")),
    "in": (lambda: 2 in torch.tensor([1, 2]), YES),
    "a loop until the loss is small": (until_small, 8),
    "numpy with a history": (lambda: leaf().numpy(), Raises(RuntimeError, "detach().numpy()")),
    "data.numpy": (lambda: leaf().data.numpy().tolist(), [1.0, 2.0]),
    "numpy inside a forward pass": (in_forward, [2.0, 2.0]),
    "fill_": (lambda: torch.empty(2).fill_(3), [3.0, 3.0]),
    "masked_fill_": (lambda: torch.zeros(2).masked_fill_(torch.tensor([True, False]), -1), [-1.0, 0.0]),
    "scatter_": (lambda: torch.zeros(1, 3).scatter_(1, torch.tensor([[2]]), 1), [[0.0, 0.0, 1.0]]),
    "index_fill_": (lambda: torch.zeros(3).index_fill_(0, torch.tensor([1]), 4), [0.0, 4.0, 0.0]),
    "overwritten saved value": (lambda: _overwritten(), Raises(RuntimeError, "modified by an inplace operation")),
    "in place on a leaf": (lambda: leaf().add_(1), Raises(RuntimeError, "a leaf Variable that requires grad")),
    "readers keep the old value": (lambda: _readers(), ([2.0, 3.0], [5.0, 5.0])),
    "augmented assignment to a part": (lambda: _augmented(), [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    "assignment by a mask": (masked_assignment, [[-float("inf"), 5.0, 3.0]]),
    "differentiable assignment": (differentiable_assignment, ([6.0, 6.0], YES)),
    "rows added by index": (accumulated_rows, [[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]]),
    "writes through views": (through_views, ([[1.0, 1.0, 7.0], [0.0, 5.0, 7.0]], [1.0, 1.0, 7.0, 0.0, 5.0, 7.0])),
    ".data is the storage": (data_write, ([7.0, 20.0], 0, [1.0, 4.0])),
    ".data =": (data_assigned, ([1.0, 1.0, 1.0], YES, YES)),
    "updates by hand": (manual_update, ([0.0, 0.0], YES)),
    "gradients accumulate": (accumulation, ([8.0, 8.0], YES, [8.0, 8.0])),
    "activations of older weights": (older_weights, ([3.0, 6.0], [0.0, 1.0])),
    "two optimizers": (two_optimizers, (2.3, 2.8)),
    "retain_graph": (lambda: _twice(True), [8.0, 16.0]),
    "no retain_graph": (lambda: _twice(False), Raises(RuntimeError, "second time")),
    "a gradient penalty": (penalty, [36.0, 288.0]),
    "a custom Function": (lambda: _custom(), [1.0, 1.0]),
    "tied weights": (tied, (1, ["0.weight", "1.weight"], [2.0, 2.0, 2.0], YES)),
    "deepcopy": (cloned, (YES, YES)),
    "deepcopy of a result": (lambda: copy.deepcopy(leaf() * 2), Raises(RuntimeError, "created explicitly by the user")),
    "save of a whole module": (whole_module, YES),
    "pickle": (lambda: pickle.loads(pickle.dumps(torch.ones(2))), [1.0, 1.0]),
    "a ragged last batch": (ragged, (0, 0)),
    "a long loop": (long_loop, 2.0),
    "LBFGS with a closure": (closure, 1.0),
    "apply(fn)": (lambda: _applied(), [("Conv2d", 4), ("Linear", 6)]),
    "weight.data.normal_": (lambda: nn.Linear(2, 2).weight.data.normal_(0.0, 0.02).abs().max().item() < 1, YES),
    "retain_grad": (lambda: _retained(), [3.0, 3.0]),
    "register_hook": (lambda: _hooked(), [20.0, 20.0]),
    "module hooks": (lambda: _module_hooks(), ["pre", "forward", "backward"]),
    "loss without a history": (lambda: torch.ones(1).backward(), Raises(RuntimeError, "does not require grad")),
    "backward of several": (lambda: (leaf() * 2).backward(), Raises(RuntimeError, "scalar outputs")),
    "inference_mode": (lambda: _inference(), (NO, YES)),
    "set_grad_enabled": (lambda: _switched(), (NO, YES)),
}


def _overwritten():
    x = leaf()
    y = x.exp()
    y.add_(1)
    y.sum().backward()


def _readers():
    x = torch.tensor([1.0, 2.0])
    y = x + 1
    x.fill_(5)
    return y.tolist(), x.tolist()


def _augmented():
    x = torch.ones(2, 3)
    x[:, :2] *= 0.0
    return x


def _twice(retain):
    w = leaf(2.0, 4.0)
    loss = (w * w).sum()
    loss.backward(retain_graph=retain)
    loss.backward()
    return w.grad


def _custom():
    x = torch.zeros(2, requires_grad=True)
    Exp.apply(x).sum().backward()
    return x.grad


def _applied():
    model, seen = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.Linear(3, 2)), []

    def init(m):
        if isinstance(m, nn.Conv2d) or m.__class__.__name__.find("Linear") != -1:
            m.weight.data.normal_(0.0, 0.02)
            seen.append((type(m).__name__, m.weight.numel()))

    model.apply(init)
    return seen


def _retained():
    h = leaf() * 2
    h.retain_grad()
    (h * 3).sum().backward()
    return h.grad


def _hooked():
    x = leaf()
    h = x * 2
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    return x.grad


def _module_hooks():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda m, args: seen.append("pre"))
    layer.register_forward_hook(lambda m, args, out: seen.append("forward"))
    layer.register_full_backward_hook(lambda m, gin, gout: seen.append("backward"))
    layer(torch.ones(1, 2, requires_grad=True)).sum().backward()
    return seen


def _inference():
    with torch.inference_mode():
        y = leaf() * 2
    return y.requires_grad, y.is_inference()


def _switched():
    w = leaf()
    with torch.set_grad_enabled(False):
        off = (w * 2).requires_grad
    return off, (w * 2).requires_grad


@pytest.mark.parametrize("name", IDIOMS)
def test_idioms_that_recording_must_not_break(name):
    settled(*IDIOMS[name])
