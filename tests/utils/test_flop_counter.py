"""Operations counted as PyTorch counts them, operator by operator and module by module; modules tracked as PyTorch tracks them."""

import contextlib
import io

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from torch.utils.flop_counter import FlopCounterMode as Theirs  # noqa: E402  isort: skip
from torch.utils.module_tracker import ModuleTracker as TheirTracker  # noqa: E402  isort: skip

from torchlike_asg.utils import flop_counter  # noqa: E402
from torchlike_asg.utils.module_tracker import ModuleTracker as OurTracker  # noqa: E402

F = "nn.functional"


def heads(T, grad=True):
    return T.ones(2, 4, 5, 8, requires_grad=grad)


def net(T):
    class Net(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU())
            self.b = T.nn.Linear(8, 2)
            self.c = T.nn.ModuleList([T.nn.Linear(2, 2)])

        def forward(self, x):
            return self.c[0](self.b(self.a(x)))

    return Net()


def attention(T, *shape, **options):
    q = T.ones(*shape, requires_grad=True)
    return T.nn.functional.scaled_dot_product_attention(q, q, q, **options)


CASES = {
    "net": lambda T: net(T)(T.ones(3, 4)).sum().backward(),
    "twice": lambda T: [m(x) for m in [net(T)] for x in [T.ones(3, 4)] for _ in range(2)],
    "attention": lambda T: attention(T, 2, 4, 5, 8).sum().backward(),
    "attention of three dimensions": lambda T: attention(T, 4, 5, 8).sum().backward(),
    "attention with dropout": lambda T: attention(T, 2, 4, 5, 8, dropout_p=0.1),
    "meta": lambda T: T.nn.Linear(3, 2, device="meta")(T.ones(5, 3, device="meta")),
    "lstm": lambda T: T.nn.LSTM(8, 4)(T.ones(2, 5, 8))[0].sum().backward(),
    "gru": lambda T: T.nn.GRU(8, 4)(T.ones(2, 5, 8)),
    "lstm cell": lambda T: T.nn.LSTMCell(8, 4)(T.ones(5, 8)),
    "linear of a vector": lambda T: T.nn.Linear(8, 3)(T.ones(8, requires_grad=True)).sum().backward(),
    "linear without bias": lambda T: T.nn.Linear(8, 3, bias=False)(heads(T)).sum().backward(),
    "matmul": lambda T: (heads(T) @ T.ones(8, 3)).sum().backward(),
    "batched": lambda T: (heads(T) @ heads(T).mT).sum().backward(),
    "vectors": lambda T: (T.ones(3) @ T.ones(3), T.ones(2, 3) @ T.ones(3), T.outer(T.ones(3), T.ones(4))),
    "einsum": lambda T: (T.einsum("bhqd,bhkd->bhqk", heads(T), heads(T)), T.einsum("ij,jk", T.ones(3, 4), T.ones(4, 5))),
    "conv": lambda T: T.nn.Conv2d(3, 4, 3)(T.ones(2, 3, 8, 8)).sum().backward(),
    "groups": lambda T: T.nn.Conv2d(4, 4, 3, groups=2)(T.ones(2, 4, 8, 8, requires_grad=True)).sum().backward(),
    "transposed": lambda T: T.nn.ConvTranspose2d(4, 6, 3, stride=2)(T.ones(2, 4, 8, 8, requires_grad=True)).sum().backward(),
    "conv1d": lambda T: T.nn.Conv1d(4, 4, 3)(T.ones(4, 8)).sum().backward(),
    "bilinear": lambda T: T.nn.Bilinear(4, 4, 3)(T.ones(4, 4), T.ones(4, 4)),
    "addmm": lambda T: T.addmm(T.ones(3), T.ones(2, 4), T.ones(4, 3)),
    "baddbmm": lambda T: T.baddbmm(T.ones(2, 2, 3), T.ones(2, 2, 4), T.ones(2, 4, 3)),
    "tensordot": lambda T: T.tensordot(T.ones(3, 4, 5), T.ones(4, 5, 6)),
    "chains": lambda T: (T.linalg.matrix_power(T.ones(3, 3), 3), T.linalg.multi_dot([T.ones(3, 3)] * 3)),
    "nothing": lambda T: T.ones(3) * 2,
}


def second(T):
    q = heads(T)
    (g,) = T.autograd.grad((q[0, 0] @ q[0, 1].t()).pow(2).sum(), q, create_graph=True)
    T.autograd.grad(g.sum(), q)


CASES["gradient of a gradient"] = second


def counted(Counter, run):
    with Counter(display=False) as counter:
        run()
    return {name: {str(op): n for op, n in counts.items()} for name, counts in counter.get_flop_counts().items() if counts}


@pytest.mark.parametrize("name", CASES)
def test_counts_are_pytorchs(name):
    for _ in range(2):  # what is known from before counts again
        assert counted(flop_counter.FlopCounterMode, lambda: CASES[name](ours)) == counted(Theirs, lambda: CASES[name](torch))


def test_an_encoder_layer_has_pytorchs_total():
    def run(T):
        return lambda: T.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(T.ones(4, 5, 8)).sum().backward()

    found = [counted(C, run(T)) for C, T in ((flop_counter.FlopCounterMode, ours), (Theirs, torch))]
    mine, theirs = ({name: sum(ops.values()) for name, ops in counts.items()} for counts in found)
    assert mine == theirs


def test_the_table():
    model = ours.nn.Sequential(ours.nn.Linear(400, 800), ours.nn.ReLU(), ours.nn.Linear(800, 200))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), flop_counter.FlopCounterMode() as counter:
        model(ours.ones(3, 400))
    assert out.getvalue().splitlines() == [
        "Module             FLOP    % Total",
        "------------  ---------  ---------",
        "Sequential    2880.000K    100.00%",
        "- aten.addmm  2880.000K    100.00%",
        "Sequential.0  1920.000K     66.67%",
        "- aten.addmm  1920.000K     66.67%",
        "Sequential.2   960.000K     33.33%",
        "- aten.addmm   960.000K     33.33%",
    ]
    assert counter.get_total_flops() == 2880000
    rows = {ours.ops.aten.addmm: lambda *shapes, out_shape: out_shape[0]}
    with flop_counter.FlopCounterMode(display=False, custom_mapping=rows) as other:
        model(ours.ones(3, 400))
    assert other.get_total_flops() == 6


def test_counting_leaves_training_as_it_was():
    ours.manual_seed(0)
    model = net(ours)
    optimizer = ours.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad()
        loss = model(ours.ones(3, 4)).square().sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    losses = [step() for _ in range(3)]
    before = ours.asg.stats()
    with flop_counter.FlopCounterMode(display=False):
        losses.append(step())
    losses += [step() for _ in range(2)]
    assert sorted(losses, reverse=True) == losses
    assert ours.asg.stats()["plans"] == before["plans"]


@pytest.mark.parametrize("gradient", [True, False])
def test_modules_are_tracked(gradient):
    found = []
    for T, Tracker in ((torch, TheirTracker), (ours, OurTracker)):
        tracker, seen = Tracker(), []

        def note(tracker=tracker, seen=seen):
            seen.append((sorted(tracker.parents), tracker.is_bw))

        class Inner(T.nn.Module):
            def __init__(self, note=note, T=T):
                super().__init__()
                self.a, self.note = T.nn.Linear(2, 2), note

            def forward(self, x):
                self.note()
                y = self.a(x)
                y.register_hook(lambda g: self.note())
                return y

        model = T.nn.Sequential(Inner(), T.nn.ReLU())
        for _ in range(2):
            with tracker:
                note()
                out = model(T.ones(1, 2, requires_grad=gradient)).sum()
                note()
                out.backward()
                note()
        found.append(seen)
    assert found[0] == found[1]
