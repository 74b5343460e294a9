"""What RustyASG, the project this one follows, offers is here under PyTorch's names, and what it computes wrongly is right.

The second half runs each of its known wrong results beside PyTorch, gradients included.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from tests.backends.wgpu.harness import device as open_adapter  # noqa: E402
from torchlike_asg import checkpoint, metrics, transforms  # noqa: E402
from torchlike_asg.nn import positional  # noqa: E402

from .scripts import check, outcome, same  # noqa: E402

F32 = np.float32
rng = np.random.default_rng(11)

COUNTERPARTS = {
    "nn": """Linear Conv2d ConvTranspose2d MaxPool2d AvgPool2d AdaptiveAvgPool2d Embedding LayerNorm BatchNorm1d BatchNorm2d Dropout
        Dropout2d MultiheadAttention FeedForward TransformerEncoderLayer SinusoidalPositionalEncoding
        LearnedPositionalEncoding RotaryEmbedding ALiBi ReLU LeakyReLU GELU SiLU Tanh Sigmoid ELU Softplus Softmax
        MSELoss L1Loss SmoothL1Loss HuberLoss CrossEntropyLoss BCELoss BCEWithLogitsLoss KLDivLoss NLLLoss HingeLoss
        SquaredHingeLoss FocalLoss CosineEmbeddingLoss TripletMarginLoss MarginRankingLoss""",
    "nn.init": """zeros_ ones_ constant_ uniform_ normal_ xavier_uniform_ xavier_normal_ kaiming_uniform_ kaiming_normal_ orthogonal_
        trunc_normal_""",
    "nn.positional": "causal_mask padding_mask",
    "nn.utils": "clip_grad_norm_ clip_grad_value_",
    "optim": "SGD Adam AdamW RMSprop Adagrad Adadelta",
    "optim.lr_scheduler": """StepLR ExponentialLR CosineAnnealingLR LinearWarmup WarmupCosine MultiStepLR LambdaLR
        ReduceLROnPlateau OneCycleLR""",
    "utils.data": """Dataset TensorDataset ConcatDataset Subset random_split DataLoader SequentialSampler RandomSampler BatchSampler
        WeightedRandomSampler""",
    "transforms": "Compose Normalize RandomNoise MinMaxScaler StandardScaler Clip Log Flatten OneHot",
    "metrics": """Accuracy Precision Recall F1Score BinaryConfusionMatrix MultiClassConfusionMatrix TopKAccuracy AUCROC MSE RMSE MAE
        RSquared MAPE ExplainedVariance MaxError MRR NDCG RunningMean RunningStd RunningMinMax ExponentialMovingAverage
        MetricLogger EarlyStopping""",
    "serialization.safetensors": "save_file load_file safe_open",
    "checkpoint": "CheckpointManager",
}


@pytest.mark.parametrize("path", [f"{space}.{name}" for space, names in COUNTERPARTS.items() for name in names.split()])
def test_a_counterpart_is_there(path):
    found = ours
    for part in path.split("."):
        found = getattr(found, part)
    assert callable(found)


def f(*shape):
    return rng.standard_normal(shape).astype(F32)


def gradients(function, *arrays):
    """A script that reports ``function(library, *tensors)`` and the gradients of its (weighted) sum in every operand."""

    def run(T):
        tensors = [T.tensor(a, requires_grad=a.dtype == F32) for a in arrays]
        y = function(T, *tensors)
        weights = T.from_numpy(np.linspace(0.5, 2.0, y.numel(), dtype=F32)).view(y.shape).to(y.device)
        (y * weights).sum().backward()
        return y, [t.grad for t in tensors if t.requires_grad]

    return run


WRONG_THERE = {
    "softmax of many rows": gradients(lambda T, x: T.softmax(x, -1), f(8, 5)),
    "cross-entropy of a batch": gradients(lambda T, x: T.nn.functional.cross_entropy(x, T.arange(8) % 5), f(8, 5)),
    "GELU": gradients(lambda T, x: T.nn.functional.gelu(x, approximate="tanh"), f(4, 6) * 3),
    "a row added to a matrix": gradients(lambda T, x, b: x + b, f(3, 4), f(1, 4)),
    "a broadcast term beside a full one": gradients(lambda T, x, b: (x * b + b) @ (b + x).t(), f(3, 4), f(1, 4)),
    "both operands broadcast": gradients(lambda T, a, b: a * b, f(3, 1), f(1, 4)),
    "square of negative numbers": gradients(lambda T, x: x**2, -np.abs(f(5))),
    "power with a tensor exponent": gradients(lambda T, x, p: x**p, np.abs(f(5)) + 1, f(5)),
    "bias of a convolution": gradients(lambda T, x, w, b: T.nn.functional.conv2d(x, w, b), f(2, 3, 5, 5), f(4, 3, 2, 2), f(4)),
    "transposed convolution": gradients(
        lambda T, x, w, b: T.nn.functional.conv_transpose2d(x, w, b, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        f(2, 4, 3, 4),
        f(4, 3, 2, 2),
        f(6),
    ),
    "adaptive pooling, 5 to 3": gradients(lambda T, x: T.nn.functional.adaptive_avg_pool2d(x, 3), f(2, 2, 5, 5)),
    "mean pooling with padding": gradients(lambda T, x: T.nn.functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False), f(1, 2, 5, 5)),
    "variance along an axis": gradients(lambda T, x: x.var(1, unbiased=False), f(3, 4, 2)),
    "mean of the first axis": gradients(lambda T, x: x.mean(0), f(3, 4)),
    "batch variance of large values": gradients(lambda T, x: T.nn.functional.batch_norm(x, None, None, training=True), f(16, 3) + 300),
    "huber loss": gradients(lambda T, x, y: T.nn.functional.huber_loss(x, y, delta=0.5, reduction="none"), f(6) * 2, f(6)),
    "one cosine a sample": gradients(
        lambda T, x, y: T.nn.functional.cosine_embedding_loss(x, y, T.tensor([1, -1, 1]), reduction="none"), f(3, 4), f(3, 4)
    ),
    "one distance a sample": gradients(
        lambda T, x, y, z: T.nn.functional.triplet_margin_loss(x, y, z, reduction="none"), f(3, 4), f(3, 4), f(3, 4)
    ),
    "matrix product of batches": gradients(lambda T, a, b: a @ b, f(2, 3, 4), f(4, 5)),
    "reshape with -1": gradients(lambda T, x: x.reshape(2, -1) * 2, f(3, 4)),
    "softmax of a transposed operand": gradients(lambda T, x: T.softmax(x.t(), -1), f(3, 4)),
    "gradient of a gradient": gradients(lambda T, x: T.autograd.grad(x.tanh().sum(), x, create_graph=True)[0] ** 2, f(4)),
}


@pytest.mark.parametrize("run", WRONG_THERE.values(), ids=WRONG_THERE)
def test_what_it_computes_wrongly(run):
    same(run, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("run", WRONG_THERE.values(), ids=WRONG_THERE)
def test_what_it_computes_wrongly_on_a_gpu(run):
    """Its GPU was wrong in more cases still: rows added to matrices, broadcasts, sums to a shape, powers of negative numbers, biases."""
    open_adapter()
    with ours.device("wgpu"):
        got = outcome(run, ours)
    check(got, outcome(run, torch), 1e-3, 1e-4)


def test_shapes_that_do_not_broadcast_are_refused():
    for a, b in (((2, 3), (4, 5)), ((3,), (4,))):
        with pytest.raises(RuntimeError, match="must match the size"):
            ours.ones(a) + ours.ones(b)


def test_spatial_dropout_drops_whole_channels():
    kept = ours.nn.Dropout2d(0.5)(ours.ones(8, 16, 3, 3)).flatten(2)
    assert bool((kept == kept[..., :1]).all()) and 0 < int((kept[..., 0] == 0).sum()) < 128


def test_batch_norm_has_running_statistics_and_an_evaluation_mode():
    def run(T):
        layer, x = T.nn.BatchNorm2d(3, momentum=0.3), T.from_numpy(np.linspace(-3, 5, 96, dtype=F32)).view(2, 3, 4, 4)
        return layer(x), layer.running_mean, layer.running_var, layer.eval()(x)

    same(run)


def test_attention_takes_batches_masks_and_positions():
    layer = ours.nn.MultiheadAttention(8, 2, batch_first=True, position_encoding=ours.nn.RotaryEmbedding(4))
    x = ours.randn(3, 5, 8)
    mask = positional.padding_mask([5, 3, 4], 5)
    y, _ = layer(x, x, x, key_padding_mask=mask, attn_mask=positional.causal_mask(5))
    x[0, 3:] = 100.0  # what a query may not see does not matter: the future,
    z, _ = layer(x, x, x, key_padding_mask=mask, attn_mask=positional.causal_mask(5))
    np.testing.assert_allclose(y[0, :3].detach().numpy(), z[0, :3].detach().numpy(), rtol=1e-5)
    x[1, 3:] = 100.0  # and padding
    z, _ = layer(x, x, x, key_padding_mask=mask, attn_mask=positional.causal_mask(5))
    np.testing.assert_allclose(y[1, :3].detach().numpy(), z[1, :3].detach().numpy(), rtol=1e-5)


def test_position_encodings_take_shorter_sequences_and_offsets():
    encoding, x = ours.nn.SinusoidalPositionalEncoding(6, max_len=9, dropout=0.0), ours.zeros(1, 9, 6)
    whole = encoding(x)
    np.testing.assert_allclose(encoding(x[:, :4], offset=3).numpy(), whole[:, 3:7].numpy())


def test_normalize_treats_each_channel_alone():
    image = np.stack([np.full((2, 2), v, F32) for v in (1.0, 20.0)])
    found = transforms.Normalize([1.0, 10.0], [1.0, 5.0])(image)
    assert np.asarray(found)[:, 0, 0].tolist() == [0.0, 2.0]


def test_noise_differs_from_call_to_call():
    noise = transforms.RandomNoise(1.0)
    assert not np.array_equal(np.asarray(noise(np.zeros(8, F32))), np.asarray(noise(np.zeros(8, F32))))


def test_a_shuffled_loader_differs_from_epoch_to_epoch_and_takes_any_dataset():
    data = ours.utils.data.ConcatDataset([ours.utils.data.Subset(range(20), range(10)), range(100, 110)])
    loader = ours.utils.data.DataLoader(data, batch_size=20, shuffle=True, generator=ours.Generator().manual_seed(3))
    first, second = (next(iter(loader)).tolist() for _ in range(2))
    assert first != second and sorted(first) == sorted(second) == [*range(10), *range(100, 110)]


def test_best_follows_the_metric_and_a_first_nan_is_not_best():
    logger = metrics.MetricLogger()
    for accuracy, loss in ((0.5, 2.0), (0.8, 1.0), (0.7, 3.0)):
        logger.log_dict({"accuracy": accuracy, "loss": loss})
        logger.end_epoch()
    assert logger.get_best("accuracy")[0] == 0.8 and logger.get_best("loss")[0] == 1.0
    stopping = metrics.EarlyStopping.minimize(patience=2)
    stopping.check(float("nan"))
    stopping.check(1.0)
    assert stopping.best_value == 1.0


def test_the_newest_checkpoint_is_found_by_number_and_optimizers_are_in_it(tmp_path):
    w = ours.nn.Parameter(ours.ones(2))
    model = ours.nn.ParameterList([w])
    optimizer = ours.optim.Adam(model.parameters())
    manager = checkpoint.CheckpointManager(tmp_path)
    for step in (9, 10):
        (w * step).sum().backward()
        optimizer.step()
        manager.save(step, model, optimizer)
    fresh = ours.optim.Adam([ours.nn.Parameter(ours.ones(2))])
    assert manager.restore(None, fresh).step == 10
    assert fresh.state_dict()["state"][0]["step"].item() == 2


@pytest.mark.parametrize("steps", [0, 5, 10, 11, 30])
def test_warm_up_and_cosine_decay_end_and_stay_at_the_minimum(steps):
    optimizer = ours.optim.SGD([ours.nn.Parameter(ours.ones(1))], lr=1.0)
    schedule = ours.optim.lr_scheduler.WarmupCosine(optimizer, 2, 10, min_lr=0.1)
    for _ in range(steps):
        optimizer.step()
        schedule.step()
    (rate,) = schedule.get_last_lr()
    assert rate == pytest.approx(0.0 if steps == 0 else 0.1 if steps >= 10 else 0.1 + 0.45 * (1 + np.cos(np.pi * 3 / 8)))


def test_losses_reduce_as_asked():
    for name, operands in {"MSELoss": (f(3, 2), f(3, 2)), "L1Loss": (f(3, 2), f(3, 2))}.items():
        for reduction in ("mean", "sum", "none"):
            want = getattr(torch.nn, name)(reduction=reduction)(*map(torch.from_numpy, operands))
            got = getattr(ours.nn, name)(reduction=reduction)(*map(ours.from_numpy, operands))
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-6)
