"""channels_last and the other memory formats: what strides tensors and results of common operations have, and that values stay right."""

import copy

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402


def facts(t):
    last = t.is_contiguous(memory_format=torch.channels_last if isinstance(t, torch.Tensor) else ours.channels_last)
    name = None if t.grad_fn is None else type(t.grad_fn).__name__
    return [tuple(t.shape), tuple(t.stride()), t.is_contiguous(), last, str(t.dtype), name]


def images(lib, *shape):
    """Numbers that differ, in row-major order and channels last."""
    shape = shape or (2, 3, 4, 5)
    n = 1
    for d in shape:
        n *= d
    y = (lib.arange(float(n)) * 0.37).sin().reshape(shape)
    return y.to(memory_format=lib.channels_last if len(shape) == 4 else lib.channels_last_3d), y


MADE = {
    "to": lambda T, x, y: x,
    "to, differentiable": lambda T, x, y: y.clone().requires_grad_().to(memory_format=T.channels_last),
    "contiguous": lambda T, x, y: y.contiguous(memory_format=T.channels_last),
    "contiguous, differentiable": lambda T, x, y: y.clone().requires_grad_().contiguous(memory_format=T.channels_last),
    "back": lambda T, x, y: x.contiguous(),
    "back by to": lambda T, x, y: x.to(memory_format=T.contiguous_format),
    "clone": lambda T, x, y: x.clone(),
    "clone in rows": lambda T, x, y: x.clone(memory_format=T.contiguous_format),
    "clone channels last": lambda T, x, y: y.clone(memory_format=T.channels_last),
    "clone of a transpose": lambda T, x, y: x.permute(3, 2, 1, 0).clone(memory_format=T.preserve_format),
    "copy by to": lambda T, x, y: y.clone().requires_grad_().to(T.float32, copy=True, memory_format=T.channels_last),
    "double": lambda T, x, y: x.double(),
    "double, channels last": lambda T, x, y: y.to(T.float64, memory_format=T.channels_last),
    "float(memory_format)": lambda T, x, y: y.double().float(memory_format=T.channels_last),
    "empty": lambda T, x, y: T.empty(2, 3, 4, 5, memory_format=T.channels_last).zero_(),
    "zeros_like": lambda T, x, y: T.zeros_like(x),
    "ones_like in rows": lambda T, x, y: T.ones_like(x, memory_format=T.contiguous_format),
    "full_like": lambda T, x, y: T.full_like(x, 2.0),
    "zeros_like channels last": lambda T, x, y: T.zeros_like(y, memory_format=T.channels_last),
    "zeros_like, integer": lambda T, x, y: T.zeros_like(x, dtype=T.int64),
    "zeros_like of a transpose": lambda T, x, y: T.zeros_like(x[0, 0].T),
    "zeros_like of an expanded": lambda T, x, y: T.zeros_like(x[:1, :1].expand(2, 3, 4, 5)),
    "zeros_like of a part": lambda T, x, y: T.zeros_like(y[:, :, ::2].transpose(1, 2)),
    "rand_like": lambda T, x, y: (T.manual_seed(3), T.rand_like(x))[1],
    "randn_like": lambda T, x, y: (T.manual_seed(3), T.randn_like(y, memory_format=T.channels_last))[1],
    "new_zeros": lambda T, x, y: x.new_zeros(2, 3, 4, 5),
    "one channel": lambda T, x, y: images(T, 2, 1, 2, 2)[0],
    "one pixel": lambda T, x, y: images(T, 2, 3, 1, 1)[0],
    "one pixel, relu": lambda T, x, y: images(T, 2, 3, 1, 1)[0].relu(),
    "volume": lambda T, x, y: images(T, 1, 2, 3, 4, 5)[0].relu(),
    "resize_": lambda T, x, y: T.arange(12.0).resize_(1, 2, 2, 3, memory_format=T.channels_last),
    "deepcopy": lambda T, x, y: copy.deepcopy(x),
    "detach": lambda T, x, y: x.detach(),
    "tensor": lambda T, x, y: x.clone(),
    "parameter": lambda T, x, y: T.nn.Parameter(x).detach(),
    "slice": lambda T, x, y: x[:, :, 1:],
    "flattened pixels": lambda T, x, y: x.view(2, 3, 20),
}
COMPUTED = {
    "relu": lambda F, x, y: x.relu(),
    "add": lambda F, x, y: x + y,
    "add swapped": lambda F, x, y: y + x,
    "scaled": lambda F, x, y: x * 2,
    "by channel": lambda F, x, y: x + y[:1, :, :1, :1],
    "compare": lambda F, x, y: x > 0,
    "gelu": lambda F, x, y: F.gelu(x),
    "softmax": lambda F, x, y: x.softmax(1),
    "conv2d": lambda F, x, y: F.conv2d(x, y.new_ones(6, 3, 3, 3)),
    "conv2d, 1x1": lambda F, x, y: F.conv2d(y, y.new_ones(6, 3, 1, 1)),
    "conv2d, groups": lambda F, x, y: F.conv2d(x, y.new_ones(6, 1, 3, 3), groups=3),
    "conv2d of rows by a weight": lambda F, x, y: F.conv2d(y, x[:, :, :3, :3]),
    "conv_transpose2d": lambda F, x, y: F.conv_transpose2d(x, y.new_ones(3, 6, 2, 2)),
    "max_pool2d": lambda F, x, y: F.max_pool2d(x, 2),
    "max_pool2d, indices": lambda F, x, y: F.max_pool2d(x, 2, return_indices=True)[1],
    "avg_pool2d": lambda F, x, y: F.avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda F, x, y: F.adaptive_avg_pool2d(x, 2),
    "adaptive_avg_pool2d, one": lambda F, x, y: F.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool2d": lambda F, x, y: F.adaptive_max_pool2d(x, 2),
    "batch_norm": lambda F, x, y: F.batch_norm(x, None, None, training=True),
    "batch_norm, running": lambda F, x, y: F.batch_norm(x, y.new_zeros(3), y.new_ones(3)),
    "group_norm": lambda F, x, y: F.group_norm(x, 1),
    "instance_norm": lambda F, x, y: F.instance_norm(x),
    "layer_norm": lambda F, x, y: F.layer_norm(x, (5,)),
    "interpolate": lambda F, x, y: F.interpolate(x, scale_factor=2),
    "bilinear": lambda F, x, y: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "pad": lambda F, x, y: F.pad(x, (1, 1)),
    "reflect": lambda F, x, y: F.pad(x, (1, 1), mode="reflect"),
    "sum": lambda F, x, y: x.sum(1),
    "mean, kept": lambda F, x, y: x.mean((2, 3), keepdim=True),
    "max": lambda F, x, y: x.max(1)[0],
    "cumsum": lambda F, x, y: x.cumsum(1),
    "flip": lambda F, x, y: x.flip(1),
    "roll": lambda F, x, y: x.roll(1, 1),
    "indexed": lambda F, x, y: x[[1, 0]],
    "linear": lambda F, x, y: F.linear(x, y.new_ones(2, 5)),
    "prelu": lambda F, x, y: F.prelu(x, y.new_ones(1)),
    "to rows": lambda F, x, y: x.permute(0, 2, 3, 1).reshape(-1, 3),
    "reflect, planes": lambda F, x, y: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "replicate, planes": lambda F, x, y: F.pad(x, (1, 1, 1, 1), mode="replicate"),
    "roll, two": lambda F, x, y: x.transpose(0, 2).roll((1, 1), (0, 1)),
    "sort": lambda F, x, y: x.sort(1)[0],
    "sort of a transpose": lambda F, x, y: y.permute(2, 0, 3, 1).sort(0)[0],
    "masked_fill": lambda F, x, y: x.masked_fill(x > 0, 1.0),
    "glu": lambda F, x, y: F.glu(y.transpose(1, 2), 1),
    "rms_norm": lambda F, x, y: F.rms_norm(x, (5,)),
    "renorm": lambda F, x, y: y.transpose(0, 2).renorm(2, 0, 1.0),
    "max_unpool2d": lambda F, x, y: F.max_unpool2d(*F.max_pool2d(x[..., :4], 2, return_indices=True), 2),
    "pixel_shuffle": lambda F, x, y: F.pixel_shuffle(y.permute(0, 2, 3, 1).transpose(1, 3).repeat(1, 4, 1, 1).relu(), 2),
    "pixel_shuffle, channels last": lambda F, x, y: F.pixel_shuffle(x.repeat_interleave(8, 1).relu() + x[:, :1], 2),
    "pixel_unshuffle": lambda F, x, y: F.pixel_unshuffle(x[..., :4], 2),
    "channel_shuffle": lambda F, x, y: F.channel_shuffle(x, 3),
    "avg_pool3d": lambda F, x, y: F.avg_pool3d(x.unsqueeze(2).clone(), (1, 2, 2)),
}


@pytest.mark.parametrize("name", MADE)
def test_made(name):
    def run(lib):
        t = MADE[name](lib, *images(lib))
        return [facts(t) if t.dim() == 4 else facts(t)[:3], t.detach()]

    same(run)


@pytest.mark.parametrize("name", COMPUTED)
def test_computed(name):
    def run(lib):
        t = COMPUTED[name](lib.nn.functional, *images(lib))
        return [tuple(t.shape), tuple(t.stride()), t.is_contiguous(), t]

    same(run)


def test_joined():
    def run(lib):
        x, y = images(lib)
        return [facts(lib.cat(pair, 1)) for pair in ([x, x], [x, y], [y, y])] + [lib.cat([x, y], 1)]

    same(run)


@pytest.mark.parametrize("dim", range(-5, 5))
def test_stacked(dim):
    def run(lib):
        x, y = images(lib)
        return [facts(lib.stack(pair, dim)) for pair in ([x, x], [x, y], [y, y])] + [lib.stack([x, x], dim)]

    same(run)


def test_a_tensor_that_lies_so_already_is_itself():
    def run(lib):
        x, y = images(lib)
        return [
            x.to(memory_format=lib.channels_last) is x,
            x.contiguous(memory_format=lib.channels_last) is x,
            y.to(memory_format=lib.contiguous_format) is y,
            x.to(memory_format=lib.preserve_format) is x,
            y.contiguous(memory_format=lib.preserve_format) is y,
            lib.zeros(1, 2, 3, 4).is_contiguous(memory_format=lib.channels_last_3d),
            lib.zeros(3).is_contiguous(memory_format=lib.channels_last),
        ]

    assert same(run)[0]


@pytest.mark.parametrize(
    "run",
    [
        lambda T: T.zeros(3).to(memory_format=T.channels_last),
        lambda T: T.zeros(3).contiguous(memory_format=T.channels_last),
        lambda T: T.empty(3, memory_format=T.channels_last),
        lambda T: T.zeros(3).clone(memory_format=T.channels_last),
        lambda T: T.zeros_like(T.zeros(3, 3), memory_format=T.channels_last),
        lambda T: T.zeros(2, 3, 4, 5).to(memory_format=T.channels_last_3d),
        lambda T: T.zeros(3, 3).contiguous(memory_format="channels_last"),
        lambda T: T.nn.Conv3d(1, 2, 2).to(memory_format=T.channels_last),
    ],
)
def test_refusals(run):
    same_error(run)


def test_a_convolutional_network_trains_channels_last():
    def run(lib):
        nn = lib.nn
        lib.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2),
        ).to(memory_format=lib.channels_last)  # fmt: skip
        opt = lib.optim.Adam(model.parameters(), lr=0.01)
        x = images(lib, 4, 3, 6, 6)[0]
        losses = []
        for _ in range(4):
            opt.zero_grad()
            y = model(x)
            loss = nn.functional.cross_entropy(y, lib.tensor([0, 1, 0, 1]))
            loss.backward()
            opt.step()
            losses.append(loss.item())
        state = opt.state[model[0].weight]
        strides = [tuple(t.stride()) for t in (model[0].weight, model[0].weight.grad, state["exp_avg"], model[4].weight, model[:3](x))]
        return [losses, strides, {k: v for k, v in model.state_dict().items()}]

    same(run, rtol=1e-3, atol=1e-4)
