"""nn.utils beside torch's: clipping, vectors, padded and packed sequences, fusion, weight and spectral norm, parametrisations."""

from __future__ import annotations

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])
rng = np.random.default_rng(0)
GRADIENTS = [rng.standard_normal((3, 2)).astype(np.float32), rng.standard_normal(4).astype(np.float32)]


def leaves(package):
    made = [package.nn.Parameter(package.zeros(*g.shape)) for g in GRADIENTS]
    for parameter, gradient in zip(made, GRADIENTS, strict=True):
        parameter.grad = package.from_numpy(gradient.copy())
    return [*made, package.nn.Parameter(package.zeros(2))]  # the last has no gradient


def errors_alike(action):
    caught = []
    for package in (torch, ours):
        with pytest.raises(Exception) as info:
            action(package)
        caught.append(info.value)
    assert type(caught[0]) is type(caught[1]), caught
    assert str(caught[0]).split(" if you do not")[0].rstrip(".") == str(caught[1]).split("\n")[0].rstrip(".")


# --- gradients


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf"), 3])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(norm_type, max_norm):
    found = []
    for package in (torch, ours):
        parameters = leaves(package)
        total = package.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
        found.append([total.numpy(), *(p.grad.numpy() for p in parameters[:2])])
        assert parameters[2].grad is None
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, 1e-5)


@BOTH
def test_clipping_details(package):
    utils = package.nn.utils
    assert utils.clip_grad_norm_([], 1.0).item() == 0
    with pytest.warns(UserWarning, match="empty generator"):
        utils.clip_grad_norm_((p for p in ()), 1.0)
    single = leaves(package)[1]
    before = np.linalg.norm(GRADIENTS[1])
    assert abs(utils.clip_grad_norm_(single, before / 2).item() - before) < 1e-5
    assert abs(single.grad.norm().item() - before / 2) < 1e-5
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        utils.clip_grad_norm(leaves(package), 1.0)
    single.grad = package.full((4,), float("nan"))
    assert utils.clip_grad_norm_(single, 1.0).isnan()
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(single, 1.0, error_if_nonfinite=True)
    parameters = leaves(package)
    utils.clip_grad_value_(parameters, 0.3)
    for p, g in zip(parameters[:2], GRADIENTS, strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), np.clip(g, -0.3, 0.3).astype(np.float32))
    total = utils.get_total_norm([p.grad for p in parameters[:2]])
    utils.clip_grads_with_norm_(parameters, 0.1, total)
    assert abs(utils.get_total_norm([p.grad for p in parameters[:2]]).item() - 0.1) < 1e-4


@BOTH
def test_vectors(package):
    layer = package.nn.Linear(3, 2)
    vector = package.nn.utils.parameters_to_vector(layer.parameters())
    assert vector.shape == (8,)
    vector.sum().backward()
    assert layer.weight.grad.tolist() == [[1.0] * 3] * 2
    new = package.arange(8.0)
    package.nn.utils.vector_to_parameters(new, layer.parameters())
    assert layer.weight.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert layer.bias.tolist() == [6.0, 7.0]
    with pytest.raises(TypeError, match=r"expected torch\.Tensor"):
        package.nn.utils.vector_to_parameters([1.0], layer.parameters())


# --- sequences

SEQUENCES = [rng.standard_normal((n, 2)).astype(np.float32) for n in (2, 4, 1)]


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("side", ["left", "right"])
def test_pad_sequence(batch_first, side):
    found = []
    for package in (torch, ours):
        rows = [package.from_numpy(s.copy()).requires_grad_() for s in SEQUENCES]
        padded = package.nn.utils.rnn.pad_sequence(rows, batch_first, 0.5, side)
        (padded * package.arange(float(padded.numel())).reshape(padded.shape)).sum().backward()
        found.append([padded.detach().numpy(), *(r.grad.numpy() for r in rows)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a)


@pytest.mark.parametrize(("batch_first", "total"), list(itertools.product([True, False], [None, 6])))
@pytest.mark.parametrize("lengths", [[4, 3, 1], [1, 4, 2], [4, 4, 4], [3, 2, 2]], ids=str)
def test_pack_and_pad(batch_first, total, lengths):
    x = rng.standard_normal((3, 4, 2) if batch_first else (4, 3, 2)).astype(np.float32)
    in_order = lengths == sorted(lengths, reverse=True)
    found = []
    for package in (torch, ours):
        rnn = package.nn.utils.rnn
        input = package.from_numpy(x.copy()).requires_grad_()
        packed = rnn.pack_padded_sequence(input, package.tensor(lengths), batch_first, in_order)
        padded, sizes = rnn.pad_packed_sequence(packed, batch_first, -1.0, total)
        (padded * package.arange(float(padded.numel())).reshape(padded.shape)).sum().backward()
        indices = [None if t is None else t.tolist() for t in packed[2:]]
        found.append((packed.data.tolist(), packed.batch_sizes.tolist(), *indices, padded.tolist(), sizes.tolist(), input.grad.tolist()))
    assert found[0] == found[1]


@BOTH
def test_pack_unpack_and_unpad(package):
    rnn = package.nn.utils.rnn
    rows = [package.from_numpy(s.copy()) for s in SEQUENCES]
    packed = rnn.pack_sequence(rows, enforce_sorted=False)
    assert [r.tolist() for r in rnn.unpack_sequence(packed)] == [r.tolist() for r in rows]
    padded = rnn.pad_sequence(rows, batch_first=True)
    unpadded = rnn.unpad_sequence(padded, package.tensor([2, 4, 1]), batch_first=True)
    assert [r.tolist() for r in unpadded] == [r.tolist() for r in rows]
    assert rnn.invert_permutation(package.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    assert rnn.invert_permutation(None) is None
    doubled = packed.double()
    assert doubled.data.dtype == package.float64
    assert doubled.batch_sizes.tolist() == packed.batch_sizes.tolist()
    assert packed.float() is packed
    assert packed.to("cpu") is packed
    assert not packed.is_cuda
    data, sizes, *_ = packed
    assert data.shape == (7, 2)
    again = rnn.PackedSequence((data, sizes))
    assert again.batch_sizes is sizes


@pytest.mark.parametrize(
    "action",
    [
        lambda p: p.nn.utils.rnn.pack_padded_sequence(p.zeros(4, 3, 2), [1, 2, 4]),
        lambda p: p.nn.utils.rnn.pack_padded_sequence(p.zeros(4, 3, 2), [4, 2]),
        lambda p: p.nn.utils.rnn.pack_padded_sequence(p.zeros(4, 3, 2), [4, 2, 0]),
        lambda p: p.nn.utils.rnn.pack_padded_sequence(p.zeros(4, 3, 2), p.tensor([[4, 2, 1]])),
        lambda p: p.nn.utils.rnn.pad_packed_sequence(p.nn.utils.rnn.pack_padded_sequence(p.zeros(4, 2), [3, 1]), total_length=2),
        lambda p: p.nn.utils.rnn.pad_sequence([]),
        lambda p: p.nn.utils.rnn.pad_sequence([p.ones(1), p.ones(2)], padding_value=None),
        lambda p: p.nn.utils.rnn.pad_sequence([p.ones(1), p.ones(2)], padding_value=p.tensor(1.0, requires_grad=True)),
        lambda p: p.nn.functional.triplet_margin_with_distance_loss(*[p.ones(2, 2)] * 3, distance_function=[]),
        lambda p: p.nn.utils.rnn.pad_sequence(3),
        lambda p: p.nn.utils.rnn.pad_sequence([p.ones(2)], padding_side="x"),
        lambda p: p.nn.utils.rnn.PackedSequence(3),
    ],
)
def test_sequence_errors(action):
    errors_alike(action)


def test_length_beyond_the_padded_input():
    with pytest.raises(RuntimeError, match="length 5 is greater than the number of steps of the padded input, 4"):
        nn.utils.rnn.pack_padded_sequence(ours.zeros(4, 1, 2), [5])


# --- fusion, skip_init


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", ["conv", "transposed", "linear"])
def test_fusion_with_batch_norm(kind, affine):
    first, norm, x = {
        "conv": (nn.Conv2d(2, 4, 3, bias=affine), nn.BatchNorm2d(4, affine=affine), ours.randn(3, 2, 5, 5)),
        "transposed": (nn.ConvTranspose2d(2, 4, 3), nn.BatchNorm2d(4, affine=affine), ours.randn(3, 2, 5, 5)),
        "linear": (nn.Linear(2, 4, bias=affine), nn.BatchNorm1d(4, affine=affine), ours.randn(9, 2)),
    }[kind]
    norm(first(x))  # gives the running statistics values of their own
    utils = nn.utils
    with pytest.raises(AssertionError, match="only for eval"):
        utils.fuse_conv_bn_eval(first, norm)
    first.eval(), norm.eval()
    fused = utils.fuse_linear_bn_eval(first, norm) if kind == "linear" else utils.fuse_conv_bn_eval(first, norm, kind == "transposed")
    np.testing.assert_allclose(fused(x).detach().numpy(), norm(first(x)).detach().numpy(), 1e-4, 1e-5)
    assert fused is not first


def test_skip_init_leaves_the_generator_alone():
    ours.manual_seed(0)
    expected = ours.rand(3)
    ours.manual_seed(0)
    layer = nn.utils.skip_init(nn.Linear, 3, 4, bias=False)
    assert layer.weight.shape == (4, 3)
    assert ours.rand(3).tolist() == expected.tolist()
    with pytest.raises(RuntimeError, match="Expected a Module"):
        nn.utils.skip_init(dict)
    with pytest.raises(RuntimeError, match="'device' arg"):
        nn.utils.skip_init(nn.ReLU)


# --- weight and spectral norm


def two(name, *args, utility, seed=2, **options):
    made = []
    for package in (torch, ours):
        package.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = getattr(package.nn, name)(*args)
            module = package.nn.utils.parametrizations if utility.startswith("new_") else package.nn.utils
            made.append(getattr(module, utility.removeprefix("new_"))(layer, **options))
    return made


NORMED = [
    ("Linear", (3, 4), (2, 3)),
    ("Conv2d", (2, 3, 3), (1, 2, 5, 5)),
    ("ConvTranspose2d", (2, 3, 3), (1, 2, 5, 5)),
]


@pytest.mark.parametrize("layer", NORMED, ids=lambda layer: layer[0])
@pytest.mark.parametrize("utility", ["weight_norm", "new_weight_norm", "spectral_norm", "new_spectral_norm"])
def test_norms_beside_torchs(parity, randn, layer, utility):
    name, args, shape = layer
    theirs, mine = two(name, *args, utility=utility)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine, exact=False)
    for training in (True, False, True):
        theirs.train(training), mine.train(training)
        parity.forward(theirs, mine, randn(*shape), tolerance=1e-4)
        parity.same_state(theirs, mine, exact=False)


@pytest.mark.parametrize("dim", [0, 1, None, -1])
@pytest.mark.parametrize("utility", ["weight_norm", "new_weight_norm"])
def test_weight_norm_dimensions(parity, randn, dim, utility):
    theirs, mine = two("Linear", 3, 4, utility=utility, dim=dim)
    parity.same_state(theirs, mine, exact=False)
    parity.forward(theirs, mine, randn(2, 3))


@pytest.mark.filterwarnings("ignore:.*is deprecated")
@pytest.mark.parametrize("utility", ["weight_norm", "spectral_norm"])
def test_removing_hooked_norms(utility):
    layer = getattr(nn.utils, utility)(nn.Linear(3, 4).eval())
    x = ours.randn(2, 3)
    before = layer(x).detach().numpy()
    with pytest.raises(RuntimeError, match="Cannot register two"):
        getattr(nn.utils, utility)(layer)
    getattr(nn.utils, f"remove_{utility}")(layer)
    assert sorted(dict(layer.named_parameters())) == ["bias", "weight"]
    assert list(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(layer(x).detach().numpy(), before, 1e-5, 1e-6)
    with pytest.raises(ValueError, match="not found"):
        getattr(nn.utils, f"remove_{utility}")(layer)


def test_new_weight_norm_reads_old_state_dicts():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = nn.utils.weight_norm(nn.Linear(3, 4))
    new = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))
    new.load_state_dict(old.state_dict())
    x = ours.randn(2, 3)
    np.testing.assert_allclose(new(x).detach().numpy(), old(x).detach().numpy(), 1e-6)


# --- parametrisations


def symmetric(package):
    class Symmetric(package.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).transpose(0, 1)

        def right_inverse(self, x):
            return x.triu()

    return Symmetric()


def product(package):
    class Product(package.nn.Module):
        def forward(self, a, b):
            return a * b

        def right_inverse(self, x):
            return x, package.ones_like(x)

    return Product()


@BOTH
def test_parametrisation_of_a_weight(package):
    P = package.nn.utils.parametrize
    package.manual_seed(0)
    layer = package.nn.Linear(3, 3)
    original = layer.weight
    assert P.register_parametrization(layer, "weight", symmetric(package)) is layer
    assert type(layer).__name__ == "ParametrizedLinear"
    assert P.type_before_parametrizations(layer) is package.nn.Linear
    assert P.is_parametrized(layer)
    assert P.is_parametrized(layer, "weight")
    assert not P.is_parametrized(layer, "bias")
    assert layer.parametrizations.weight.original is original
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    weight = layer.weight
    assert (weight == weight.transpose(0, 1)).all()
    layer(package.ones(1, 3)).sum().backward()
    assert original.grad is not None
    layer.weight = package.full((3, 3), 2.0)
    assert (layer.weight == 2).all()
    clone = copy.deepcopy(layer)
    with package.no_grad():
        clone.parametrizations.weight.original.fill_(5)
    assert (layer.weight == 2).all()
    assert (clone.weight == 5).all()
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)
    with P.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    P.remove_parametrizations(layer, "weight")
    assert type(layer) is package.nn.Linear
    assert layer.weight is original
    assert (layer.weight == 2).all()
    assert not P.is_parametrized(layer)


@BOTH
def test_parametrisation_by_several_tensors_and_in_sequence(package):
    P = package.nn.utils.parametrize
    layer = package.nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    P.register_parametrization(layer, "weight", product(package))
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]
    assert (layer.weight == before).all()
    layer.weight = package.ones(2, 2)
    assert (layer.weight == 1).all()
    with pytest.raises(ValueError, match="leave_parametrized"):
        P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    P.remove_parametrizations(layer, "weight")
    assert isinstance(layer.weight, package.nn.Parameter)
    P.register_parametrization(layer, "weight", symmetric(package))
    P.register_parametrization(layer, "weight", package.nn.Tanh())
    assert len(layer.parametrizations.weight) == 2
    assert abs(layer.weight[0, 0].item() - np.tanh(1)) < 1e-6
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layer.weight = before
    P.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight[0, 0].item() == 1


@BOTH
def test_parametrisation_of_a_buffer(package):
    P = package.nn.utils.parametrize
    module = package.nn.Module()
    module.register_buffer("table", package.tensor([0.5, 2.0]))
    P.register_parametrization(module, "table", package.nn.Sigmoid())
    assert list(module.state_dict()) == ["parametrizations.table.original"]
    assert not module.table.requires_grad
    P.remove_parametrizations(module, "table")
    assert "table" in module._buffers


@BOTH
def test_parametrisation_errors(package):
    P = package.nn.utils.parametrize

    class Shrinks(package.nn.Module):
        def forward(self, x):
            return x[:1]

    class Converts(package.nn.Module):
        def forward(self, x):
            return x.double()

    class Lists(package.nn.Module):
        def forward(self, x):
            return [x]

    for wrong, text in ((Shrinks, "may not change the shape"), (Converts, "may not change the dtype"), (Lists, "must return a tensor")):
        with pytest.raises(ValueError, match=text):
            P.register_parametrization(package.nn.Linear(2, 2), "weight", wrong())
    layer = P.register_parametrization(package.nn.Linear(2, 2), "weight", Shrinks(), unsafe=True)
    assert layer.weight.shape == (1, 2)
    with pytest.raises(ValueError, match="does not have a parameter, a buffer"):
        P.register_parametrization(layer, "nothing", package.nn.Tanh())
    with pytest.raises(ValueError, match="does not have a parametrization"):
        P.remove_parametrizations(layer, "bias")
