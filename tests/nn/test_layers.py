"""Every layer against torch's: printed form, state dict, initial values from the same seed, outputs and gradients."""

from __future__ import annotations

import numpy as np
import pytest

import torchlike_asg as ours

rng = np.random.default_rng(0)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(f(*shape)) + np.float32(0.1)


def ints(high, *shape):
    return rng.integers(0, high, shape)


IMAGE = f(2, 4, 7, 6)
# (layer, positional arguments, keyword arguments, inputs)
CASES = [
    ("Linear", (5, 3), {}, [f(4, 5)]),
    ("Linear", (5, 3), {"bias": False}, [f(5)]),
    ("Linear", (5, 3), {}, [f(2, 3, 5)]),
    ("Bilinear", (3, 4, 2), {}, [f(5, 3), f(5, 4)]),
    ("Identity", (1, 2), {"a": 3}, [f(2, 2)]),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 1, "groups": 2}, [f(2, 4, 9)]),
    ("Conv1d", (4, 6, 4), {"padding": "same", "dilation": 2}, [f(2, 4, 9)]),
    ("Conv1d", (4, 2, 3), {"padding": 2, "padding_mode": "circular", "bias": False}, [f(4, 9)]),
    ("Conv2d", (4, 6, 3), {}, [IMAGE]),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}, [IMAGE]),
    ("Conv2d", (4, 2, 3), {"padding": 1, "padding_mode": "reflect"}, [IMAGE]),
    ("Conv2d", (4, 2, 3), {"padding": "valid", "padding_mode": "replicate"}, [IMAGE]),
    ("Conv2d", (4, 2, 3), {"padding": "same", "padding_mode": "replicate"}, [IMAGE]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, [f(2, 4, 5)]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "dilation": 2, "bias": False}, [IMAGE]),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, [f(2, 3, 8)]),
    ("MaxPool2d", (2,), {}, [IMAGE]),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True, "return_indices": True}, [f(2, 3, 9, 9)]),
    ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, [f(2, 3, 8)]),
    ("AvgPool2d", (3, 2), {"padding": 1, "ceil_mode": True}, [IMAGE]),
    ("AvgPool2d", (2,), {"divisor_override": 3}, [IMAGE]),
    ("AdaptiveAvgPool1d", (3,), {}, [f(2, 3, 8)]),
    ("AdaptiveAvgPool2d", ((3, None),), {}, [IMAGE]),
    ("AdaptiveAvgPool2d", (1,), {}, [IMAGE]),
    ("AdaptiveMaxPool1d", (3,), {}, [f(2, 3, 8)]),
    ("AdaptiveMaxPool2d", ((3, 2),), {"return_indices": True}, [IMAGE]),
    ("LPPool1d", (2, 3), {}, [positive(2, 3, 8)]),
    ("LPPool2d", (3, 2), {"stride": 1}, [positive(2, 3, 6, 6)]),
    ("BatchNorm1d", (4,), {}, [f(6, 4)]),
    ("BatchNorm1d", (4,), {"momentum": None}, [f(3, 4, 5)]),
    ("BatchNorm1d", (4,), {"track_running_stats": False}, [f(6, 4)]),
    ("BatchNorm2d", (4,), {}, [IMAGE]),
    ("BatchNorm2d", (4,), {"affine": False, "momentum": 0.3, "eps": 1e-3}, [IMAGE]),
    ("BatchNorm2d", (4,), {"bias": False}, [IMAGE]),
    ("BatchNorm3d", (3,), {}, [f(2, 3, 2, 3, 2)]),
    ("SyncBatchNorm", (4,), {}, [IMAGE]),
    ("InstanceNorm1d", (4,), {"affine": True}, [f(3, 4, 5)]),
    ("InstanceNorm2d", (4,), {}, [IMAGE]),
    ("InstanceNorm2d", (4,), {"track_running_stats": True, "affine": True}, [IMAGE]),
    ("InstanceNorm2d", (4,), {}, [IMAGE[0]]),
    ("LayerNorm", (6,), {}, [f(3, 4, 6)]),
    ("LayerNorm", ([4, 6],), {"bias": False, "eps": 1e-3}, [f(3, 4, 6)]),
    ("LayerNorm", (6,), {"elementwise_affine": False}, [f(3, 6)]),
    ("RMSNorm", (6,), {}, [f(3, 4, 6)]),
    ("RMSNorm", ((4, 6),), {"eps": 1e-3, "elementwise_affine": False}, [f(3, 4, 6)]),
    ("GroupNorm", (2, 4), {}, [IMAGE]),
    ("GroupNorm", (2, 4), {"affine": False}, [f(3, 4)]),
    ("GroupNorm", (2, 4), {"bias": False}, [IMAGE]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1}, [IMAGE]),
    ("Embedding", (10, 3), {}, [ints(10, 2, 4)]),
    ("Embedding", (10, 3), {"padding_idx": -2}, [ints(10, 2, 4)]),
    ("Embedding", (5, 3), {"scale_grad_by_freq": True}, [ints(5, 9)]),
    ("Embedding", (10, 3), {"max_norm": 1.0, "norm_type": 1.0}, [ints(10, 2, 4)]),
    ("EmbeddingBag", (10, 3), {}, [ints(10, 2, 4)]),
    ("EmbeddingBag", (10, 3), {"mode": "sum"}, [ints(10, 7), np.array([0, 2, 2, 5])]),
    ("EmbeddingBag", (10, 3), {"mode": "max", "padding_idx": 1}, [ints(10, 2, 4)]),
    ("Flatten", (), {}, [IMAGE]),
    ("Flatten", (0, 2), {}, [IMAGE]),
    ("Unflatten", (1, (2, -1)), {}, [IMAGE]),
    ("Unfold", ((2, 3),), {"padding": 1, "stride": 2}, [IMAGE]),
    ("Fold", ((5, 4), (2, 3)), {"padding": 1}, [f(2, 12, 24)]),
    ("PixelShuffle", (2,), {}, [IMAGE]),
    ("PixelUnshuffle", (2,), {}, [f(2, 3, 4, 6)]),
    ("ChannelShuffle", (2,), {}, [IMAGE]),
    ("CosineSimilarity", (), {}, [f(3, 4), f(3, 4)]),
    ("CosineSimilarity", (0,), {"eps": 1e-3}, [f(3, 4), f(3, 4)]),
    ("PairwiseDistance", (), {}, [f(3, 4), f(3, 4)]),
    ("PairwiseDistance", (1.0,), {"keepdim": True}, [f(3, 4), f(3, 4)]),
    ("Upsample", (), {"scale_factor": 2}, [f(1, 2, 3, 4)]),
    ("Upsample", ((5, 7),), {"mode": "bilinear"}, [f(1, 2, 3, 4)]),
    ("Upsample", (), {"scale_factor": (2.0, 1.5), "mode": "bilinear", "align_corners": True}, [f(1, 2, 4, 4)]),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}, [f(1, 2, 3, 4)]),
    ("UpsamplingBilinear2d", ((5, 6),), {}, [f(1, 2, 3, 4)]),
    ("ConstantPad1d", (2, 3.5), {}, [f(2, 3, 4)]),
    ("ConstantPad2d", ((1, 2, 0, 1), 0.5), {}, [f(2, 3, 4, 4)]),
    ("ConstantPad3d", (1, 0.5), {}, [f(1, 2, 2, 3, 2)]),
    ("ZeroPad1d", ((1, 2),), {}, [f(2, 3, 4)]),
    ("ZeroPad2d", (1,), {}, [f(2, 3, 4, 4)]),
    ("ReflectionPad1d", (2,), {}, [f(2, 3, 4)]),
    ("ReflectionPad2d", ((1, 2, 0, 1),), {}, [f(2, 3, 4, 4)]),
    ("ReplicationPad1d", (2,), {}, [f(2, 3, 4)]),
    ("ReplicationPad2d", ((1, 2, 0, 1),), {}, [f(2, 3, 4, 4)]),
    ("CircularPad1d", ((1, 2),), {}, [f(2, 3, 4)]),
    ("CircularPad2d", (1,), {}, [f(2, 3, 4, 4)]),
]

X = f(3, 4, 5)
ACTIVATIONS = [
    ("CELU", (), {"alpha": 0.7}, [X]),
    ("ELU", (1.3,), {}, [X]),
    ("GELU", (), {}, [X]),
    ("GELU", ("tanh",), {}, [X]),
    ("GLU", (1,), {}, [X]),
    ("Hardshrink", (0.3,), {}, [X]),
    ("Hardsigmoid", (), {}, [3 * X]),
    ("Hardswish", (), {}, [3 * X]),
    ("Hardtanh", (-0.5, 0.8), {}, [X]),
    ("LeakyReLU", (0.2,), {}, [X]),
    ("LogSigmoid", (), {}, [X]),
    ("LogSoftmax", (1,), {}, [X]),
    ("Mish", (), {}, [X]),
    ("PReLU", (), {}, [X]),
    ("PReLU", (4,), {"init": 0.1}, [X]),
    ("RReLU", (0.2, 0.4), {}, [X]),
    ("ReLU", (), {}, [X]),
    ("ReLU6", (), {}, [5 * X]),
    ("SELU", (), {}, [X]),
    ("SiLU", (), {}, [X]),
    ("Sigmoid", (), {}, [X]),
    ("Softmax", (-1,), {}, [X]),
    ("Softmax2d", (), {}, [f(2, 3, 2, 2)]),
    ("Softmin", (0,), {}, [X]),
    ("Softplus", (2.0, 1.0), {}, [X]),
    ("Softshrink", (0.3,), {}, [X]),
    ("Softsign", (), {}, [X]),
    ("Tanh", (), {}, [X]),
    ("Tanhshrink", (), {}, [X]),
    ("Threshold", (0.1, -2.0), {}, [X]),
]


def name_of(case):
    return f"{case[0]}{case[1]}{case[2] or ''}"


@pytest.mark.parametrize("case", CASES + ACTIVATIONS, ids=name_of)
def test_like_torch(parity, case):
    name, args, kwargs, inputs = case
    theirs, mine = parity.make(name, *args, **kwargs)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    for training in (True, False):
        if name == "RReLU" and training:
            continue  # draws its slopes: compared in test_random_layers
        theirs.train(training)
        mine.train(training)
        parity.forward(theirs, mine, *inputs, tolerance=2e-5)
        parity.same_state(theirs, mine, exact=False)  # running statistics


INPLACE = ["ReLU", "ReLU6", "ELU", "CELU", "SELU", "LeakyReLU", "Hardtanh", "Hardswish", "Hardsigmoid", "SiLU", "Mish", "RReLU", "Dropout"]


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_activations_write_into_their_input(parity, name):
    theirs, mine = parity.make(name, inplace=True)
    assert repr(theirs) == repr(mine)
    theirs.eval(), mine.eval()
    a, b = parity.torch.from_numpy(X.copy()), ours.from_numpy(X.copy())
    theirs(a), mine(b)
    parity.same(a, b)


DROPOUTS = [
    ("Dropout", (0.3,), [f(4, 5)]),
    ("Dropout", (0.0,), [f(4, 5)]),
    ("Dropout", (1.0,), [f(4, 5)]),
    ("Dropout1d", (0.4,), [f(3, 6, 4)]),
    ("Dropout2d", (0.4,), [f(3, 6, 4, 2)]),
    ("Dropout3d", (0.4,), [f(3, 6, 2, 2, 2)]),
    ("AlphaDropout", (0.4,), [f(3, 6)]),
    ("FeatureAlphaDropout", (0.4,), [f(3, 6, 4)]),
    ("RReLU", (0.1, 0.5), [f(4, 5)]),
    ("FractionalMaxPool2d", (2, (4, 3), None, True), [IMAGE]),
    ("FractionalMaxPool2d", ((2, 3), None, 0.5), [f(3, 8, 9)]),
    ("FractionalMaxPool3d", (2, None, (0.5, 0.6, 0.7)), [f(2, 3, 5, 6, 7)]),
]


@pytest.mark.parametrize("case", DROPOUTS, ids=lambda case: f"{case[0]}{case[1]}")
def test_random_layers_draw_as_torch_does(parity, case):
    name, args, inputs = case
    theirs, mine = parity.make(name, *args)
    assert repr(theirs) == repr(mine)
    parity.forward(theirs, mine, *inputs)
    parity.forward(theirs.eval(), mine.eval(), *inputs)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("Dropout", (1.5,), {}),
        ("Conv2d", (3, 4, 2), {"groups": 2}),
        ("Conv2d", (4, 3, 2), {"groups": 2}),
        ("Conv2d", (4, 4, 2), {"groups": 0}),
        ("Conv2d", (4, 4, 2), {"padding": "same", "stride": 2}),
        ("ConvTranspose2d", (4, 4, 2), {"padding_mode": "reflect"}),
        ("GroupNorm", (3, 4), {}),
        ("Bilinear", (0, 2, 3), {}),
        ("Embedding", (3, 2), {"padding_idx": 3}),
        ("Embedding", (3, 2), {"padding_idx": -4}),
        ("FractionalMaxPool2d", (2,), {}),
        ("FractionalMaxPool2d", (2, 3, 0.5), {}),
        ("FractionalMaxPool3d", (2,), {"output_ratio": 1.5}),
        ("LinearCrossEntropyLoss", (4, 3), {"label_smoothing": 1.5}),
        ("Unflatten", (1, 3), {}),
        ("Unflatten", (1, (2, "a")), {}),
        ("Hardtanh", (2, 1), {}),
        ("HuberLoss", (), {"delta": "x"}),
        ("MultiMarginLoss", (), {"p": 3}),
        ("TripletMarginLoss", (), {"margin": 0.0}),
        ("MultiheadAttention", (5, 2), {}),
        ("MultiheadAttention", (0, 2), {}),
        ("Sigmoid", (1,), {}),
        ("Linear", (), {}),
    ],
)
def test_constructor_errors(parity, name, args, kwargs):
    parity.constructor_errors(name, *args, **kwargs)


def test_unknown_arguments_are_refused():
    for make in (ours.nn.ReLU, ours.nn.Sequential, ours.nn.LSTM):
        with pytest.raises(TypeError, match="nonsense"):
            make(nonsense=1)


@pytest.mark.parametrize("options", [{"padding": "wrong"}, {"padding_mode": "wrong"}])
def test_wrong_padding_names(options):
    with pytest.raises(ValueError, match="wrong"):
        ours.nn.Conv2d(4, 4, 2, **options)


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("BatchNorm1d", (3,), (2, 3, 4, 5)),
        ("BatchNorm2d", (3,), (2, 3, 4)),
        ("BatchNorm3d", (3,), (2, 3, 4, 5)),
        ("InstanceNorm2d", (3,), (3, 4)),
        ("CircularPad2d", (1,), (3, 4)),
        ("SyncBatchNorm", (3,), (3,)),
    ],
)
def test_forward_errors(parity, randn, name, args, shape):
    theirs, mine = parity.make(name, *args)
    parity.errors(theirs, mine, randn(*shape))


def test_conv_transpose_output_size(parity, randn):
    theirs, mine = parity.make("ConvTranspose2d", 2, 3, 3, stride=2, padding=1)
    for size in ([7, 8], [2, 3, 8, 7]):
        parity.forward(theirs, mine, randn(2, 2, 4, 4), output_size=size)
    parity.errors(theirs, mine, randn(2, 2, 4, 4), output_size=[3, 3])
    parity.errors(theirs, mine, randn(2, 2, 4, 4), output_size=[3])


def test_embedding_from_pretrained(parity, randn):
    weight, index = randn(4, 3), np.array([[0, 3], [1, 1]])
    for freeze in (True, False):
        theirs = parity.torch.nn.Embedding.from_pretrained(parity.torch.from_numpy(weight), freeze=freeze)
        mine = ours.nn.Embedding.from_pretrained(ours.from_numpy(weight), freeze=freeze)
        parity.same_state(theirs, mine)
        parity.forward(theirs, mine, index, gradients=not freeze)
    bag = ours.nn.EmbeddingBag.from_pretrained(ours.from_numpy(weight))
    assert not bag.weight.requires_grad


def test_padding_row_gets_no_gradient():
    table = ours.nn.Embedding(4, 3, padding_idx=1)
    assert table.weight[1].tolist() == [0.0, 0.0, 0.0]
    table(ours.tensor([1, 2, 1])).sum().backward()
    assert table.weight.grad.sum(1).tolist() == [0.0, 0.0, 3.0, 0.0]


def test_conv_draws_the_same_values_in_any_memory_format(torch):
    torch.manual_seed(1)
    theirs = torch.nn.Conv2d(3, 4, 3)
    ours.manual_seed(1)
    mine = ours.nn.Conv2d(3, 4, 3)
    for parameter in mine.parameters():
        ours.nn.init.zeros_(parameter)
    ours.manual_seed(1)
    mine.reset_parameters()
    np.testing.assert_array_equal(mine.weight.detach().numpy(), theirs.weight.detach().numpy())


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_dtype_argument(torch, dtype):
    for name, args in (("Linear", (3, 2)), ("Conv2d", (2, 3, 2)), ("BatchNorm2d", (3,)), ("LSTM", (2, 3)), ("Embedding", (4, 2))):
        torch.manual_seed(2)
        theirs = getattr(torch.nn, name)(*args, dtype=getattr(torch, dtype))
        ours.manual_seed(2)
        mine = getattr(ours.nn, name)(*args, dtype=getattr(ours, dtype))
        for (key, a), b in zip(theirs.state_dict().items(), mine.state_dict().values(), strict=True):
            assert str(a.dtype) == str(b.dtype), key
            np.testing.assert_array_equal(b.double().numpy(), a.double().numpy(), key)


def test_sync_batch_norm_conversion(randn):
    net = ours.nn.Sequential(ours.nn.Conv2d(2, 3, 1), ours.nn.BatchNorm2d(3)).eval()
    x = ours.from_numpy(randn(2, 2, 3, 3))
    before = net(x)
    converted = ours.nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert isinstance(converted[1], ours.nn.SyncBatchNorm)
    assert converted[1].weight is net[1].weight or converted[1] is net[1]
    np.testing.assert_array_equal(before.detach().numpy(), converted(x).detach().numpy())


def test_unsupported_names_say_what_to_use():
    assert not hasattr(ours.nn, "NoSuchLayer")
    with pytest.raises(NotImplementedError, match=r"nn\.quantized\.Linear: not supported: use floating point"):
        ours.nn.quantized.Linear(1, 1)
