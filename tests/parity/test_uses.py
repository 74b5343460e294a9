"""Names that real scripts use often, used as they use them, give PyTorch's values."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .scripts import same  # noqa: E402

torch.set_num_threads(1)

USES = {
    "legacy constructors": lambda T: [
        T.Tensor([[1, 2]]),
        T.FloatTensor([1, 2]),
        T.LongTensor([1, 2]),
        T.ByteTensor([1, 0]),
        T.Tensor(2, 3).shape,
    ],
    "creation": lambda T: [
        T.zeros(2, 3),
        T.ones((2,)),
        T.full((2, 2), 7),
        T.eye(3),
        T.arange(1, 10, 3),
        T.linspace(0, 1, 5),
        T.empty(2, 0),
        T.zeros_like(T.ones(2)),
    ],
    "joining": lambda T: [
        T.cat([T.ones(1, 2), T.zeros(2, 2)], dim=0),
        T.stack((T.ones(2), T.zeros(2)), 1),
        T.split(T.arange(5), 2),
        T.chunk(T.arange(4), 2),
    ],
    "reductions": lambda T: [
        T.max(T.tensor([[1.0, 3.0], [5.0, 2.0]]), 1),
        T.max(T.tensor([1, 4])),
        T.min(T.tensor([[2, 1]]), dim=1),
        T.sum(T.ones(2, 2), 0),
        T.mean(T.arange(4.0)),
        T.argmax(T.tensor([[1, 5, 2]]), dim=-1),
        T.norm(T.tensor([3.0, 4.0])),
        T.std(T.arange(4.0)),
    ],
    "numbers in tensors and NumPy's": lambda T: [
        T.chunk(T.arange(4), T.tensor(2)),
        T.chunk(T.arange(4), np.int64(2)),
        T.addmm(T.ones(2, 2), T.ones(2, 1), T.ones(1, 2), beta=T.tensor(0.5)),
        *[T.addmm(T.ones(2, 2), T.ones(2, 1), T.ones(1, 2), alpha=T.tensor(i)) for i in (2, 3)],
        T.diag(T.ones(2), T.tensor(1)),
        T.ones(2, 3).sum(T.tensor(1)),
    ],
    "types of out": lambda T: [
        T.sum(T.tensor([[1.5, 2.5]]), 1, out=T.zeros(1, dtype=T.int32)),
        T.prod(T.tensor([[2, 3]]), 1, out=T.zeros(1, dtype=T.int16)),
        T.cumsum(T.tensor([1, 2], dtype=T.int32), 0, out=T.zeros(2, dtype=T.int32)),
        T.exp(T.zeros(2), out=T.zeros(2).double()),
        T.any(T.tensor([[0, 1]]), 1, out=T.zeros(1, dtype=T.uint8)),
    ],
    "signs of determinants": lambda T: [*T.linalg.slogdet(T.full((2, 2), float("nan"))), *T.linalg.slogdet(T.zeros(2, 2))],
    "sorting": lambda T: [
        T.sort(T.tensor([3, 1, 2]), descending=True),
        T.topk(T.tensor([3.0, 1.0, 2.0]), 2),
        T.argsort(T.tensor([3, 1, 2])),
        T.unique(T.tensor([2, 1, 2])),
    ],
    "triangles": lambda T: [T.triu(T.ones(3, 3), diagonal=1), T.tril(T.ones(2, 2)), T.diag(T.arange(2.0)), T.diag(T.ones(2, 2))],
    "products": lambda T: [
        T.matmul(T.ones(2, 3), T.ones(3)),
        T.mm(T.ones(2, 3), T.ones(3, 2)),
        T.bmm(T.ones(1, 2, 3), T.ones(1, 3, 1)),
        T.dot(T.ones(2), T.ones(2)),
        T.outer(T.arange(2.0), T.ones(2)),
        T.einsum("bij,bjk->bik", T.ones(1, 2, 2), T.ones(1, 2, 2)),
        T.arange(6.0).view(2, 3).t(),
    ],
    "selection": lambda T: [
        T.gather(T.tensor([[1, 2], [3, 4]]), 1, T.tensor([[0], [1]])),
        T.where(T.tensor([True, False]), 1.0, T.zeros(2)),
        T.nonzero(T.tensor([0, 1, 1])),
        T.tensor([1.0, -1.0]).masked_select(T.tensor([True, False])),
        T.arange(5)[T.tensor([0, 3])],
    ],
    "meshes": lambda T: [
        T.meshgrid(T.arange(2), T.arange(3), indexing="ij"),
        T.repeat_interleave(T.arange(2), 2),
        T.flatten(T.ones(2, 2)),
        T.cumsum(T.arange(4), 0),
    ],
    "casts": lambda T: [
        T.ones(2).long(),
        T.ones(2).type(T.int32),
        T.ones(2).to(T.float64),
        T.ones(2).type_as(T.ones(1).int()),
        T.ones(1).bool(),
        T.ones(2).half().float(),
    ],
    "types as strings": lambda T: [
        T.ones(1).type(),
        T.ones(1).long().type(),
        str(T.float32),
        T.ones(1).type("torch.DoubleTensor").dtype == T.double,
    ],
    "devices": lambda T: [
        str(T.device("cpu")),
        str(T.device("cuda" if T.cuda.is_available() else "cpu")),
        T.ones(1).to(T.device("cpu")).device.type,
        T.ones(1, device="cpu").is_cuda,
    ],
    "cuda, absent": lambda T: [
        T.cuda.is_available(),
        T.cuda.device_count(),
        T.cuda.manual_seed(1),
        T.cuda.manual_seed_all(1),
        T.cuda.empty_cache(),
        T.cuda.max_memory_allocated(),
        T.backends.mps.is_available(),
    ],
    "grad modes": lambda T: [T.set_grad_enabled(True) and None, T.is_grad_enabled(), T.no_grad()(lambda: T.is_grad_enabled())()],
    "variables": lambda T: T.autograd.Variable(T.ones(2), requires_grad=True).requires_grad,
    "in place": lambda T: [
        T.zeros(2).fill_(3).add_(1).mul_(2).div_(4).clamp_(max=1.5),
        T.zeros(2, 2).copy_(T.ones(2)),
        T.zeros(2).normal_().shape,
    ],
    "sizes": lambda T: [
        T.ones(2, 3).size(),
        T.ones(2, 3).size(1),
        T.ones(2, 3).numel(),
        T.ones(2, 3).dim(),
        T.Size([2, 3]).numel(),
        len(T.ones(4, 2)),
        tuple(T.ones(2).shape),
    ],
    "losses": lambda T: [
        T.nn.CrossEntropyLoss()(T.ones(2, 3), T.tensor([0, 2])),
        T.nn.NLLLoss()(T.zeros(2, 3), T.tensor([0, 2])),
        T.nn.BCELoss()(T.full((2,), 0.3), T.ones(2)),
        T.nn.MSELoss(reduction="sum")(T.ones(2), T.zeros(2)),
        T.nn.BCEWithLogitsLoss()(T.ones(2), T.ones(2)),
        T.nn.functional.cross_entropy(T.ones(2, 3), T.tensor([-1, 2]), ignore_index=-1),
    ],
    "layers": lambda T: [
        m(x).shape
        for m, x in (
            (T.nn.Conv1d(2, 3, 3, padding=1), T.ones(1, 2, 5)),
            (T.nn.Conv2d(2, 3, 3, stride=2), T.ones(1, 2, 7, 7)),
            (T.nn.ConvTranspose2d(2, 3, 4, 2, 1), T.ones(1, 2, 4, 4)),
            (T.nn.MaxPool2d(2), T.ones(1, 1, 4, 4)),
            (T.nn.AvgPool2d(2), T.ones(1, 1, 4, 4)),
            (T.nn.AdaptiveAvgPool2d((1, 1)), T.ones(1, 2, 5, 5)),
            (T.nn.BatchNorm1d(3), T.ones(4, 3)),
            (T.nn.Upsample(scale_factor=2), T.ones(1, 1, 2, 2)),
            (T.nn.Dropout2d(0.5).eval(), T.ones(1, 2, 2, 2)),
            (T.nn.Flatten(), T.ones(2, 3, 4)),
            (T.nn.Softmax(dim=1), T.ones(2, 3)),
            (T.nn.LayerNorm(4), T.ones(2, 4)),
            (T.nn.GELU(), T.ones(2)),
            (T.nn.SiLU(), T.ones(2)),
            (T.nn.Embedding(5, 3, padding_idx=0), T.zeros(2, dtype=T.long)),
        )
    ],
    "recurrent layers": lambda T: [
        [v.shape for v in (out, *(h if isinstance(h, tuple) else (h,)))]
        for out, h in (
            m(T.ones(2, 3, 4))
            for m in (T.nn.RNN(4, 5), T.nn.GRU(4, 5, batch_first=True), T.nn.LSTM(4, 5, num_layers=2, bidirectional=True))
        )
    ],
    "old spellings": lambda T: [
        T.nn.functional.sigmoid(T.zeros(1)),
        T.nn.functional.tanh(T.zeros(1)),
        T.nn.MSELoss()(T.ones(2), T.zeros(2)),
        T.ones(2).new(3).shape,
        T.ones(2).new_zeros(2, 2),
        T.ones(2).nelement(),
        T.ger(T.ones(2), T.ones(2)),
    ],
    "settings": lambda T: [
        T.set_float32_matmul_precision("high"),
        T.set_num_threads(1),
        T.use_deterministic_algorithms(False),
        T.get_default_dtype() is T.float32,
        T.set_float32_matmul_precision("highest"),
    ],
    "finite numbers": lambda T: [
        T.isnan(T.tensor([float("nan"), 1.0])),
        T.isinf(T.tensor([T.inf])),
        T.finfo(T.float32).eps,
        T.finfo(T.float16).max,
        T.nan_to_num(T.tensor([T.inf, 1.0])),
    ],
}


@pytest.mark.parametrize("case", USES)
def test_used_as_scripts_do(case):
    same(USES[case])


def test_compile_gives_the_function_back():
    @ours.compile(mode="reduce-overhead")
    def double(x):
        return x * 2

    assert double(ours.ones(2)).tolist() == ours.compile(lambda x: x * 2)(ours.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize("schedule", ["StepLR", "LambdaLR", "MultiStepLR", "ExponentialLR", "CosineAnnealingLR"])
def test_schedules(schedule):
    arguments = {
        "StepLR": (2, 0.1),
        "LambdaLR": (lambda e: 0.5**e,),
        "MultiStepLR": ([2, 3],),
        "ExponentialLR": (0.9,),
        "CosineAnnealingLR": (4,),
    }

    def run(T):
        w = T.ones(2, requires_grad=True)
        optimizer = T.optim.SGD([w], lr=1.0)
        scheduler = getattr(T.optim.lr_scheduler, schedule)(optimizer, *arguments[schedule])
        rates = []
        for _ in range(5):
            optimizer.zero_grad()
            (w**2).sum().backward()
            optimizer.step()
            scheduler.step()
            rates += [scheduler.get_last_lr(), optimizer.param_groups[0]["lr"]]
        return rates, w

    same(run)


def test_files_hold_numpy_arrays_of_the_same_bytes(tmp_path):
    """`torch.save` here, `torch.load` there, and back, for every element type."""
    values = {
        n: (np.arange(6) % 2 if n == "bool" else np.arange(6)).reshape(2, 3)
        for n in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool", "bfloat16")
    }
    for writer, reader in ((ours, torch), (torch, ours)):
        state = {n: writer.tensor(v.tolist()).to(getattr(writer, n)) for n, v in values.items()}
        state["transposed"] = state["float32"].t()
        state["part"] = state["int64"][:, 1]
        path = tmp_path / f"{writer.__name__}.pt"
        writer.save(state, path)
        read = reader.load(path)
        assert list(read) == list(state)
        for n, t in read.items():
            assert str(t.dtype) == str(state[n].dtype) and tuple(t.stride()) == tuple(state[n].stride())
            assert t.tolist() == state[n].tolist()
