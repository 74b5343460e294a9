"""Tensors of two devices in one operation: what is refused and what is not, as PyTorch decides it for its GPUs; results on their device."""

import copy
import io
import pickle

import pytest

import torchlike_asg as torch
from tests.backends.wgpu.harness import device as open_adapter
from torchlike_asg import nn

F = nn.functional


@pytest.fixture
def w():
    open_adapter()
    return torch.arange(3.0, device="wgpu") + 1


REFUSED = {
    "ones": lambda w: torch.ones(3) + w,
    "zeros": lambda w: w * torch.zeros(3),
    "full": lambda w: torch.full((3,), 2.0) - w,
    "arange": lambda w: w / torch.arange(1.0, 4.0),
    "list": lambda w: w + torch.tensor([1.0, 2.0, 3.0]),
    "eye": lambda w: torch.eye(3) @ w,
    "computed": lambda w: w + torch.ones(3).exp(),
    "cat": lambda w: torch.cat([w, torch.ones(3)]),
    "where": lambda w: torch.where(w > 1, torch.zeros(3), w),
    "in place": lambda w: w.add_(torch.ones(3)),
    "equal": lambda w: torch.equal(w, torch.ones(3)),
    "loss": lambda w: F.mse_loss(w, torch.ones(3)),
    "module": lambda w: nn.Linear(3, 2)(w),
    "gather": lambda w: w.gather(0, torch.tensor([0, 1])),
    "index_select": lambda w: w.index_select(0, torch.tensor([0, 1])),
    "embedding": lambda w: F.embedding(torch.tensor([0, 1]), w[:, None]),
    "a number there, a vector here": lambda w: w[0] + torch.ones(3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name, w):
    with pytest.raises(
        RuntimeError, match=r"Expected all tensors to be on the same device, but found at least two devices, .*(cpu|wgpu:0)"
    ):
        REFUSED[name](w)


def test_numbers_of_the_host_take_part(w):
    for t in (torch.tensor(2.0) * w, w * torch.tensor(2.0), w * torch.full((), 2.0), torch.tensor(2) * w):
        assert t.device == w.device and t.tolist() == [2.0, 4.0, 6.0]
    assert (torch.tensor(2.0) * 3 * w[0]).device == w.device
    x = torch.tensor(2.0, requires_grad=True)
    (x * w).sum().backward()
    assert x.grad.device.type == "cpu" and x.grad.item() == 6.0


def test_indices_of_the_host_take_part(w):
    assert w[torch.tensor([2, 0])].tolist() == [3.0, 1.0] and w[torch.tensor([True, False, True])].tolist() == [1.0, 3.0]
    w.requires_grad_()
    y = w * 1
    y[torch.tensor([0])].sum().backward()
    assert w.grad.tolist() == [1.0, 0.0, 0.0]
    v = w.detach().clone()
    v[torch.tensor([0, 1])] = 7.0
    assert v.tolist() == [7.0, 7.0, 3.0]


def test_copies_cross(w):
    here, there = torch.zeros(3), w * 1
    here.copy_(w)
    assert here.device.type == "cpu" and here.tolist() == [1.0, 2.0, 3.0]
    there.copy_(torch.tensor([4.0, 5.0, 6.0], dtype=torch.float64))
    there[0:2] = torch.ones(2)
    assert there.device == w.device and there.tolist() == [1.0, 1.0, 6.0]


def test_results_are_where_the_operands_are(w):
    found = {
        "unique": torch.unique(w),
        "counts": torch.unique(w, return_counts=True)[1],
        "nonzero": torch.nonzero(w > 1),
        "masked": w[w > 1],
        "one_hot": F.one_hot(w.long(), 5),
        "bincount": torch.bincount(w.long()),
        "histc": torch.histc(w, 4),
        "pdist": F.pdist(w[:, None]),
        "affine_grid": F.affine_grid(torch.ones(1, 2, 3, device="wgpu"), (1, 1, 2, 2), align_corners=False),
        "embedding_bag": F.embedding_bag(torch.tensor([0, 2], device="wgpu"), w[:, None], torch.tensor([0], device="wgpu")),
        "multi_margin": F.multi_margin_loss(w[None], torch.tensor([1], device="wgpu")),
        "stft": torch.stft(w.repeat(8), 8, win_length=4, return_complex=True).real,
        "normal": torch.distributions.Normal(w, 1.0).log_prob(w),
        "multinomial": torch.multinomial(w, 2),
    }
    assert {name: t.device for name, t in found.items() if t.device != w.device} == {}
    assert found["one_hot"].tolist() == F.one_hot(torch.tensor([1, 2, 3]), 5).tolist()
    here = F.embedding_bag(torch.tensor([0, 2]), torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0]))
    assert found["embedding_bag"].tolist() == here.tolist()


def test_copies_of_tensors_stay_there(w):
    model = nn.Linear(3, 2).to("wgpu")
    for made in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert made.weight.device == w.device and torch.equal(made.weight, model.weight)
    assert pickle.loads(pickle.dumps(w)).tolist() == w.tolist()
    file = io.BytesIO()
    torch.save(w, file)
    for where, device in ((None, "wgpu"), ("cpu", "cpu"), ({"wgpu:0": "cpu"}, "cpu"), (lambda storage, place: storage, "cpu")):
        file.seek(0)
        assert torch.load(file, map_location=where).device.type == device


def test_a_device_as_a_context(w):
    with torch.device("wgpu"):
        model, x = nn.Linear(3, 2), torch.rand(1, 3)
        assert model.weight.device == x.device == w.device and model(x).shape == (1, 2)
        with torch.device("cpu"):
            assert torch.zeros(2).device.type == "cpu"
        assert torch.tensor([1]).device == w.device
    assert torch.zeros(2).device.type == "cpu"


def test_a_number_that_does_not_fit_is_refused(w):
    i = torch.tensor([1], device="wgpu")
    with pytest.raises(OverflowError, match=r"1099511627776,? (which )?does not fit into 32 bits"):  # a literal, or data of a later run
        (i + 2**40).tolist()
    assert torch.minimum(i, torch.full((), 2**63 - 1)).tolist() == [1], "the largest number stands for what is beyond all others"


def test_explain_prints_the_shaders(w, capsys):
    text = torch.asg.explain(lambda a: (a @ a.t()).relu().sum(), torch.rand(4, 4, device="wgpu"), kernels=True)
    assert text in capsys.readouterr().out
    assert text.count("@compute @workgroup_size") >= 2 and "var<storage, read_write>" in text


def test_a_leaf_made_of_a_copy_of_a_leaf(w):
    """Its value is there already, on the other device: nothing has to be computed first."""
    x = torch.ones(3, 4, requires_grad=True).to("wgpu").detach().requires_grad_()
    (x * 2).sum().backward()
    assert x.grad.device == w.device and x.grad.tolist() == [[2.0] * 4] * 3
    y = torch.ones(2, requires_grad=True).to("wgpu").requires_grad_(True)
    assert (y.cpu() * 3).tolist() == [3.0, 3.0]
