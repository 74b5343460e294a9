"""What functional operations keep for their gradient: overwriting it, or a second backward, is refused exactly where PyTorch refuses it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

ROWS, IMAGE = (
    np.sin(1.7 * np.arange(48.0, dtype=np.float32)).reshape(8, 6),
    np.sin(1.7 * np.arange(288.0, dtype=np.float32)).reshape(2, 4, 6, 6),
)
ELEMENTWISE = """relu gelu silu mish elu leaky_relu softplus softshrink hardshrink hardtanh hardsigmoid hardswish relu6 logsigmoid glu selu
tanhshrink softsign""".split()
LOSSES = """mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy_with_logits soft_margin_loss kl_div hinge_embedding_loss
cosine_similarity""".split()

CASES = {name: (ROWS, lambda lib, x, name=name: getattr(lib.nn.functional, name)(x)) for name in ELEMENTWISE}
CASES |= {name: (ROWS, lambda lib, x, name=name: getattr(lib.nn.functional, name)(x, lib.ones(8, 6))) for name in LOSSES}
CASES |= {
    f"interpolate {m}": (IMAGE, lambda lib, x, m=m: lib.nn.functional.interpolate(x, scale_factor=2, mode=m))
    for m in ("nearest", "bilinear", "bicubic")
}
CASES |= {
    f"pad {m}": (IMAGE, lambda lib, x, m=m: lib.nn.functional.pad(x, (1, 1, 1, 1), m))
    for m in ("constant", "reflect", "replicate", "circular")
}
CASES |= {
    "softmax": (ROWS, lambda lib, x: lib.softmax(x, 1)),
    "log_softmax": (ROWS, lambda lib, x: lib.log_softmax(x, 1)),
    "threshold": (ROWS, lambda lib, x: lib.threshold(x, 0.1, 2.0)),
    "prelu": (ROWS, lambda lib, x: lib.prelu(x, lib.ones(1) * 0.3)),
    "avg_pool2d": (IMAGE, lambda lib, x: lib.nn.functional.avg_pool2d(x, 2)),
    "max_pool2d": (IMAGE, lambda lib, x: lib.nn.functional.max_pool2d(x, 2)),
    "adaptive_avg_pool2d": (IMAGE, lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, 2)),
    "adaptive_avg_pool2d to one": (IMAGE, lambda lib, x: lib.nn.functional.adaptive_avg_pool2d(x, 1)),
    "adaptive_max_pool2d": (IMAGE, lambda lib, x: lib.nn.functional.adaptive_max_pool2d(x, 2)),
    "unfold": (IMAGE, lambda lib, x: lib.nn.functional.unfold(x, 2)),
    "pixel_shuffle": (IMAGE, lambda lib, x: lib.pixel_shuffle(x, 2)),
    "grid_sample": (IMAGE, lambda lib, x: lib.nn.functional.grid_sample(x, lib.zeros(2, 3, 3, 2), align_corners=False)),
    "layer_norm": (ROWS, lambda lib, x: lib.nn.functional.layer_norm(x, (6,))),
    "rms_norm": (ROWS, lambda lib, x: lib.nn.functional.rms_norm(x, (6,))),
    "group_norm": (IMAGE, lambda lib, x: lib.nn.functional.group_norm(x, 2)),
    "batch_norm": (IMAGE, lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True)),
    "instance_norm": (IMAGE, lambda lib, x: lib.nn.functional.instance_norm(x)),
    "normalize": (ROWS, lambda lib, x: lib.nn.functional.normalize(x)),
    "conv2d": (IMAGE, lambda lib, x: lib.conv2d(x, lib.ones(3, 4, 3, 3))),
    "conv2d trained": (IMAGE, lambda lib, x: lib.conv2d(x, lib.ones(3, 4, 3, 3, requires_grad=True))),
    "conv_transpose2d": (IMAGE, lambda lib, x: lib.conv_transpose2d(x, lib.ones(4, 3, 3, 3))),
    "cross_entropy": (ROWS, lambda lib, x: lib.nn.functional.cross_entropy(x, lib.zeros(8, dtype=lib.int64))),
    "nll_loss": (ROWS, lambda lib, x: lib.nn.functional.nll_loss(x, lib.zeros(8, dtype=lib.int64))),
    "attention": (ROWS, lambda lib, x: lib.nn.functional.scaled_dot_product_attention(x, x, x)),
    "attention of heads": (IMAGE, lambda lib, x: lib.nn.functional.scaled_dot_product_attention(x, x, x)),
    "bilinear": (ROWS, lambda lib, x: lib.bilinear(x, x, lib.ones(2, 6, 6))),
}


def refusal(lib, values, function, what):
    """Which complaint follows when the input or the result is overwritten, or the graph is used twice."""
    x = lib.tensor(values, requires_grad=True) * 1
    y = function(lib, x)
    try:
        if what == "input":
            x.add_(1)
        elif what == "output":
            y.add_(1)
        total = y.sum()
        total.backward()
        if what == "twice":
            total.backward()
    except RuntimeError as error:
        return "second time" if "second time" in str(error) else "inplace" if "inplace" in str(error) else str(error)
    return "fine"


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("what", ["input", "output", "twice"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_refusals(case, what):
    values, function = CASES[case]
    assert refusal(ours, values, function, what) == refusal(torch, values, function, what)
