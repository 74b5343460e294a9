"""Operations that cannot be computed, and values that are not finite, are shown in the graph."""

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.failure import recorded_as

from .watching import messages, recorded_failure


def test_a_shape_that_does_not_fit_is_shown(tmp_path):
    path = tmp_path / "run.asgtrace"
    model = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(9, 3))
    with recorded_failure(model, path):
        model(torch.randn(2, 6))
    found = messages(path)
    (failure,) = found["failure"]
    graph = found["graph"][-1].columns
    texts = graph["texts"]
    assert (failure.op, failure.key) == ("linear", "linear")
    assert failure.shapes[:2] == [[2, 8], [3, 9]]
    assert failure.fields == {"got": 8, "expected": 9, "outputs": 3}
    assert failure.file.endswith("test_failure.py")
    assert "model(torch.randn(2, 6))" in failure.source
    assert texts[graph["op"][failure.node]] == "linear"
    sources = [texts[graph["op"][graph["src"][e]]] for e in failure.edges]
    assert sources == ["gelu"]  # what does not fit the layer, not the layer's parameters


@pytest.mark.parametrize(
    ("combine", "wrong"),
    [
        (lambda a, b, w: torch.matmul(a, b), [0]),  # it fits if it is transposed
        (lambda a, b, w: torch.matmul(a, torch.cat([b, b[:1]])), [0, 1]),  # neither is right by itself
        (lambda a, b, w: a + w, [0]),
        (lambda a, b, w: torch.cat([a, a * 2, b]), [2]),
    ],
)
def test_only_operands_that_do_not_fit_are_marked(combine, wrong, tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(7))

        def forward(self, x):
            return combine(x.exp(), x[:, :3].exp(), self.w)

    path = tmp_path / "run.asgtrace"
    model = Odd()
    with recorded_failure(model, path):
        model(torch.randn(4, 6))
    found = messages(path)
    (failure,) = found["failure"]
    graph = found["graph"][-1].columns
    operands = [e for e, d in enumerate(graph["dst"].tolist()) if d == failure.node]
    assert [operands.index(e) for e in failure.edges] == wrong


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("Conv2d", "conv"), ("ConvTranspose1d", "conv_transpose"), ("conv3d", "conv"), ("BatchNorm2d", "batch_norm"), ("LSTM", "lstm"),
        ("CrossEntropyLoss", "cross_entropy"), ("bmm", "matmul"), ("mse_loss", "squared_error"), ("MaxPool2d", "max_pool"),
        ("linear", "linear"), ("cat", "cat"),
        ("LazyConv2d", "conv"), ("GRUCell", "gru"), ("LeakyReLU", "leaky_relu"),
        ("CTCLoss", "ctc_loss"), ("Embedding", "embedding"), ("Conformer", "Conformer"), ("", ""),
    ],
)  # fmt: skip
def test_what_failed_is_explained_as_the_operation_that_it_is(name, op):
    assert recorded_as(name) == op


class Log(nn.Module):
    """The logarithm of a layer's magnitude times a scale: NaN where that is negative."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x, scale):
        return torch.log(torch.abs(self.fc(x)) * scale)


def test_the_first_bad_value_is_found(tmp_path):
    path = tmp_path / "run.asgtrace"
    model = Log()
    handle = attach(model, window=False, record=path)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for k in range(8):
        optimizer.zero_grad()
        loss = model(torch.ones(2, 6), torch.tensor(-1.0 if k >= 4 else 1.0)).mean()
        loss.backward()
        for p in model.parameters():
            p.grad = torch.zeros_like(p)
        optimizer.step()
        handle._settle()
    handle.detach()
    found = messages(path)
    alarms = found["alarm"]
    assert alarms[0].node == -1
    assert alarms[0].step == 5
    graph = found["graph"][alarms[-1].epoch - 1].columns
    assert graph["texts"][graph["op"][alarms[-1].node]] == "log"
    assert alarms[-1].nonfinite == 6
