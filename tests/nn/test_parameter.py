"""Parameter, Buffer and their uninitialised forms; lazy layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


@BOTH
def test_parameter(package):
    data = package.tensor([1.0, 2.0])
    p = package.nn.Parameter(data)
    assert isinstance(p, package.nn.Parameter)
    assert isinstance(p, package.Tensor)
    assert not isinstance(data, package.nn.Parameter)
    assert p.requires_grad
    assert p.is_leaf
    assert p.grad is None
    data.mul_(10)
    assert p.tolist() == [10.0, 20.0]  # one storage
    assert package.nn.Parameter(package.ones(2) * p).is_leaf
    assert not package.nn.Parameter(data, requires_grad=False).requires_grad
    assert package.nn.Parameter().shape == (0,)
    assert type(p * 2) is package.Tensor
    assert type(p.data) is package.Tensor
    with pytest.raises(RuntimeError, match="nly Tensors of floating point"):
        package.nn.Parameter(package.tensor([1]))
    assert package.nn.Parameter(package.tensor([1]), requires_grad=False).dtype == package.int64


@BOTH
def test_copies(package):
    p = package.nn.Parameter(package.tensor([1.0, 2.0]))
    (p * p).sum().backward()
    p.note = "hung on"
    q = copy.deepcopy(p)
    assert isinstance(q, package.nn.Parameter)
    assert (q.requires_grad, q.grad, hasattr(q, "note")) == (True, None, False)
    with package.no_grad():
        q.add_(1)
    assert p.tolist() == [1.0, 2.0]
    memo = {}
    assert copy.deepcopy([p, p], memo)[0] is copy.deepcopy(p, memo)
    again = pickle.loads(pickle.dumps(p))
    assert isinstance(again, package.nn.Parameter)
    assert again.tolist() == p.tolist()
    assert again.note == "hung on"


@BOTH
def test_copies_take_what_is_written_and_lie_alike(package):
    p, q = (package.nn.Parameter(package.arange(48.0).view(2, 2, 3, 4).to(memory_format=package.channels_last)) for _ in range(2))
    copies = [copy.deepcopy(p)]
    with package.no_grad():
        p.mul_(2)
        q.data.add_(q)
        copies += [copy.deepcopy(p), copy.deepcopy(q)]
        alias = q.detach()
        alias[0] = 1
        q[1, 0].zero_()
        copies += [copy.deepcopy(q), copy.deepcopy(package.nn.Parameter(q[:, :, 1]))]
        copies[0].fill_(7)
    values = p.detach().numpy()
    copies += [copy.deepcopy(p)]
    values += 1
    assert [float(c.detach().double().sum()) for c in (p, q, *copies)] == [2304.0, 1020.0, 336.0, 2256.0, 2256.0, 1020.0, 340.0, 2256.0]
    assert [c.stride() for c in copies] == [(24, 1, 8, 2)] * 4 + [copies[4].stride(), (24, 1, 8, 2)]
    assert all(c.is_leaf and c.requires_grad for c in copies)


def test_copies_of_parameters_build_no_plans():
    layer = nn.Linear(5, 3)
    (layer(ours.ones(5)).sum()).item()
    before = ours.asg.stats()["plans"]
    copies = [copy.deepcopy(layer) for _ in range(3)]
    assert ours.asg.stats()["plans"] == before
    assert [c.weight.tolist() for c in copies] == [layer.weight.tolist()] * 3


def test_printed_form_of_a_parameter():
    a, b = torch.nn.Parameter(torch.tensor([[1.0, 2.5]])), nn.Parameter(ours.tensor([[1.0, 2.5]]))
    assert repr(a) == repr(b) == str(b)


def test_only_tensors_become_parameters():
    with pytest.raises(TypeError, match="must be Tensor, not list"):
        nn.Parameter([1.0])


def test_subclasses_of_parameter():
    class Scaled(nn.Parameter):
        pass

    p = Scaled(ours.ones(2))
    layer = nn.Linear(1, 1)
    layer.scale = p
    assert type(layer.scale) is Scaled
    assert type(copy.deepcopy(layer).scale) is Scaled


@BOTH
def test_buffer(package):
    b = package.nn.Buffer(package.ones(2))
    assert isinstance(b, package.nn.Buffer)
    assert b.persistent
    assert not isinstance(package.ones(2), package.nn.Buffer)
    assert not package.nn.Buffer(package.ones(2), persistent=False).persistent
    assert package.nn.Buffer().shape == (0,)


@BOTH
def test_uninitialized_parameter(package):
    p = package.nn.UninitializedParameter(dtype=package.float64)
    assert package.nn.parameter.is_lazy(p)
    assert repr(p) == "<UninitializedParameter>"
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        p.shape  # noqa: B018
    for use in (lambda: p + 1, lambda: p.numel(), lambda: p.sum(), lambda: len(p)):
        with pytest.raises(ValueError, match="uninitialized parameter"):
            use()
    with pytest.raises(RuntimeError, match="share memory"):
        p.share_memory_()
    assert package.nn.parameter.is_lazy(copy.deepcopy(p))
    p.materialize((2, 3))
    assert type(p) is package.nn.Parameter
    assert p.shape == (2, 3)
    assert p.dtype == package.float64
    assert p.requires_grad
    b = package.nn.UninitializedBuffer()
    b.materialize((4,))
    assert type(b) is package.Tensor
    assert b.shape == (4,)
    assert not b.requires_grad


@BOTH
@pytest.mark.parametrize("use", ["zero_", "__eq__", "is_shared", "__getitem__", "tolist", "add_", "view"])
def test_what_has_no_shape_is_not_used(package, use):
    p = package.nn.UninitializedParameter()
    with pytest.raises(ValueError, match="uninitialized parameter"):
        getattr(p, use)(*([0] if use in ("__eq__", "__getitem__", "add_", "view") else []))


LAZY = [
    ("LazyLinear", (4,), {}, "Linear", (2, 3)),
    ("LazyLinear", (4, False), {}, "Linear", (3,)),
    ("LazyConv1d", (4, 3, 2, 1), {"groups": 3}, "Conv1d", (2, 3, 8)),
    ("LazyConv2d", (4, 3, 1, 0, 1, 1, False), {}, "Conv2d", (2, 3, 5, 5)),
    ("LazyConv2d", (4, 3), {"padding": "same"}, "Conv2d", (3, 5, 5)),
    ("LazyConvTranspose1d", (4, 3, 2, 1, 1), {}, "ConvTranspose1d", (2, 3, 5)),
    ("LazyConvTranspose2d", (4, 3), {}, "ConvTranspose2d", (2, 3, 5, 5)),
    ("LazyBatchNorm1d", (), {}, "BatchNorm1d", (4, 3)),
    ("LazyBatchNorm2d", (), {"affine": False}, "BatchNorm2d", (4, 3, 2, 2)),
    ("LazyBatchNorm2d", (), {"track_running_stats": False, "bias": False}, "BatchNorm2d", (4, 3, 2, 2)),
    ("LazyInstanceNorm2d", (), {}, "InstanceNorm2d", (4, 3, 2, 2)),
]


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("case", LAZY, ids=lambda case: f"{case[0]}{case[1]}{case[2] or ''}")
def test_lazy_layers(parity, randn, case):
    name, args, options, becomes, shape = case
    if "groups" in options:
        args, options = (6, *args[1:]), options
    theirs, mine = parity.make(name, *args, **options)
    assert repr(theirs) == repr(mine)
    assert list(theirs.state_dict()) == list(mine.state_dict())
    x = randn(*shape)
    torch.manual_seed(1)
    theirs(torch.from_numpy(x))
    ours.manual_seed(1)
    mine(ours.from_numpy(x))
    assert type(mine) is getattr(nn, becomes)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine, exact=False)
    parity.forward(theirs, mine, x)
    assert not mine._forward_pre_hooks


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@BOTH
def test_lazy_layers_take_shapes_from_state_dicts(package):
    full = package.nn.Sequential(package.nn.Linear(3, 4), package.nn.BatchNorm1d(4))
    lazy = package.nn.Sequential(package.nn.LazyLinear(4), package.nn.LazyBatchNorm1d())
    lazy.load_state_dict(full.state_dict())
    assert lazy[0].weight.shape == (4, 3)
    x = package.ones(2, 3)
    np.testing.assert_allclose(lazy.eval()(x).detach().numpy(), full.eval()(x).detach().numpy())
    assert lazy[0].in_features == 3
    lazy = package.nn.LazyLinear(4)
    lazy.load_state_dict(full[0].state_dict())
    with pytest.raises(AssertionError, match="in_features inferred from input: 5"):
        lazy(package.ones(1, 5))


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_lazy_errors(parity, randn):
    parity.errors(*parity.make("LazyConv2d", 4, 3), randn(2, 3))
    parity.errors(*parity.make("LazyConv2d", 4, 3, groups=2), randn(1, 3, 4, 4))

    class Forgetful(nn.modules.lazy.LazyModuleMixin, nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.UninitializedParameter()

        def forward(self, x):
            return x

    with pytest.raises(NotImplementedError, match="initialize_parameters is not implemented for Forgetful"):
        Forgetful()(1)
    Forgetful.initialize_parameters = lambda self, x: None
    with pytest.raises(RuntimeError, match="has not been fully initialized"):
        Forgetful()(1)
    lazy = nn.LazyLinear(3)
    with pytest.raises(RuntimeError, match="shape of an uninitialized"):
        nn.Linear(2, 3).load_state_dict(lazy.state_dict())


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize(
    "convert",
    [
        lambda T, m: m.to("cpu"),
        lambda T, m: m.to(T.float64),
        lambda T, m: m.to(device="cpu", dtype=T.float64),
        lambda T, m: m.to(T.zeros(1, dtype=T.float64)),
        lambda T, m: m.double(),
        lambda T, m: m.half(),
        lambda T, m: m.cpu(),
    ],
)
@BOTH
def test_lazy_layers_are_converted_before_they_have_a_shape(package, convert):
    model = package.nn.Sequential(package.nn.LazyLinear(3), package.nn.LazyBatchNorm1d(), package.nn.LazyLinear(2))
    assert convert(package, model) is model
    wanted = model[0].weight.dtype
    assert model[0].has_uninitialized_params()
    assert model(package.ones(2, 4, dtype=wanted)).dtype == wanted
    assert {p.dtype for p in model.parameters()} == {wanted}
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@BOTH
def test_lazy_layers_load_what_has_no_shape_either(package):
    layer = package.nn.LazyLinear(2)
    layer.load_state_dict(package.nn.LazyLinear(2).state_dict())
    assert layer.has_uninitialized_params()


def test_parts_named_as_methods_do_not_hide_them():
    """N-BEATS keeps its weights in a list called "parameters"."""

    class Named(nn.Module):
        size = 3

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(ours.ones(2))
            self.parameters = nn.ParameterList([self.weight])
            self.size = nn.Linear(1, 1)

    module = Named()
    assert len(list(module.parameters())) == 3 and module.size == 3
    assert list(module.state_dict()) == ["weight", "parameters.0", "size.weight", "size.bias"]
    del module.parameters
    assert "parameters.0" not in module.state_dict()


def test_what_has_no_shape_yet_can_be_printed():
    layer = ours.nn.LazyBatchNorm1d()
    assert str(layer.weight) == repr(layer.weight) == "<UninitializedParameter>"
    assert str(layer.running_mean) == "<UninitializedBuffer>"
