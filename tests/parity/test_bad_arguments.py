"""Arguments of a wrong type: every argument of the most used functions in turn, replaced by what no function takes for it."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def ones(*shape):
    return lambda T: T.ones(*shape)


def zeros(*shape):
    return lambda T: T.zeros(*shape, dtype=T.int64)


ROW, TABLE, BATCH, IMAGE, MASK, INDEX = ones(2), ones(2, 3), ones(1, 2, 3), ones(1, 3, 5, 5), zeros(2), zeros(2, 1)
WEIGHT, BIAS, BITS = ones(4, 3, 3, 3), ones(4), lambda T: T.ones(2) > 0

#: function -> arguments: makers of tensors, or values
CALLS = {
    "add": (ROW, ROW),
    "addmm": (ones(2, 2), TABLE, ones(3, 2)),
    "allclose": (ROW, ROW),
    "argmax": (TABLE, 1),
    "bernoulli": (ROW,),
    "bincount": (MASK,),
    "bmm": (BATCH, ones(1, 3, 2)),
    "cat": ([ROW, ROW], 0),
    "chunk": (ones(4), 2),
    "cumsum": (TABLE, 1),
    "diag": (ROW,),
    "dot": (ROW, ROW),
    "equal": (ROW, ROW),
    "exp": (ROW,),
    "flatten": (TABLE, 0, 1),
    "gather": (TABLE, 1, INDEX),
    "index_select": (TABLE, 1, MASK),
    "meshgrid": (ROW, ROW),
    "masked_select": (ROW, BITS),
    "matmul": (TABLE, ones(3, 2)),
    "mm": (TABLE, ones(3, 2)),
    "multinomial": (ones(4), 2),
    "nonzero": (ROW,),
    "outer": (ROW, ROW),
    "permute": (TABLE, (1, 0)),
    "scatter_add": (TABLE, 1, INDEX, ones(2, 1)),
    "softmax": (TABLE, 1),
    "sort": (TABLE, 1),
    "squeeze": (TABLE,),
    "stack": ([ROW, ROW], 0),
    "topk": (TABLE, 2, 1),
    "transpose": (TABLE, 0, 1),
    "tril": (TABLE, 0),
    "unique": (ROW,),
    "unsqueeze": (TABLE, 0),
    "where": (BITS, ROW, ROW),
    "zeros_like": (ROW,),
    "nn.functional.adaptive_avg_pool2d": (IMAGE,),
    "nn.functional.avg_pool2d": (IMAGE, 2),
    "nn.functional.bilinear": (ones(2, 3), ones(2, 4), ones(5, 3, 4)),
    "nn.functional.batch_norm": (TABLE, ones(3), ones(3)),
    "nn.functional.binary_cross_entropy": (ROW, ROW),
    "nn.functional.conv1d": (ones(1, 3, 5), ones(4, 3, 3), BIAS),
    "nn.functional.conv2d": (IMAGE, WEIGHT, BIAS, 1),
    "nn.functional.conv_transpose2d": (IMAGE, ones(3, 4, 3, 3), BIAS),
    "nn.functional.cosine_similarity": (TABLE, TABLE),
    "nn.functional.cross_entropy": (TABLE, MASK),
    "nn.functional.dropout": (ROW,),
    "nn.functional.embedding": (MASK, TABLE),
    "nn.functional.gelu": (ROW,),
    "nn.functional.glu": (ones(4), 0),
    "nn.functional.group_norm": (ones(2, 4), 2),
    "nn.functional.interpolate": (IMAGE,),
    "nn.functional.kl_div": (ROW, ROW),
    "nn.functional.layer_norm": (TABLE, (3,)),
    "nn.functional.leaky_relu": (ROW,),
    "nn.functional.linear": (TABLE, ones(4, 3), BIAS),
    "nn.functional.max_pool2d": (IMAGE, 2),
    "nn.functional.mse_loss": (ROW, ROW),
    "nn.functional.nll_loss": (TABLE, MASK),
    "nn.functional.one_hot": (MASK, 2),
    "nn.functional.pad": (TABLE, (1, 1)),
    "nn.functional.pixel_shuffle": (ones(1, 4, 2, 2), 2),
    "nn.functional.relu": (ROW,),
    "nn.functional.scaled_dot_product_attention": (ones(1, 2, 3, 4), ones(1, 2, 3, 4), ones(1, 2, 3, 4)),
    "nn.functional.softmax": (TABLE, 1),
    "nn.functional.unfold": (IMAGE,),
}
#: an attribute of the argument that PyTorch's Python code asks for, before any parser sees it
_ASKED = {"AttributeError"}
BAD = {"None": None, "text": "a", "a fraction": 1.5, "an object": object(), "a list": [1, "a"], "a dictionary": {}}


def made(T, value):
    return value(T) if callable(value) else [made(T, v) for v in value] if isinstance(value, list) else value


def outcome(T, name, arguments, position, bad):
    given = [made(T, a) for a in arguments]
    given[position] = bad
    function = T
    for part in name.split("."):
        function = getattr(function, part)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            str(function(*given))
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("name", CALLS)
def test_the_same_error(name):
    for position in range(len(CALLS[name])):
        for kind, bad in BAD.items():
            want, got = (outcome(T, name, CALLS[name], position, bad) for T in (torch, ours))
            same = type(got) is type(want) or (type(want).__name__ in _ASKED and isinstance(got, TypeError))
            assert same, (name, position, kind, want, got)


def test_messages_name_the_argument():
    """Where PyTorch's parser names it; of functions with several signatures it lists them instead."""
    named = found = 0
    for name, arguments in CALLS.items():
        for position in range(len(arguments)):
            for bad in BAD.values():
                want = str(outcome(torch, name, arguments, position, bad))
                if "(): argument '" in want:
                    argument = want.split("(): ")[1].split("'")[1]
                    named += 1
                    found += f"argument '{argument}'" in str(outcome(ours, name, arguments, position, bad))
    assert named > 200, named
    assert found >= 0.9 * named, (found, named)
