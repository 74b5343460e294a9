"""What is suggested where shapes do not fit: a table of mistakes, each with the operand to blame, and with the advice followed."""

import string

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.asg import scope
from torchlike_asg.asg.trace import current
from torchlike_asg.i18n import catalog
from torchlike_asg.viewer import failure

F = nn.functional


def r(*shape):
    return torch.randn(*shape)


def long(*shape):
    return torch.zeros(*shape, dtype=torch.long)


#: what is wrong, the key of the advice, the shape of the operand to blame (None: all alike), and the same as advised
TABLE = {
    "in_features": (lambda: nn.Linear(9, 3)(r(2, 8)), "linear", [2, 8], lambda: nn.Linear(8, 3)(r(2, 8))),
    "not flattened": (lambda: nn.Linear(12, 3)(r(2, 3, 4)), "flatten", [2, 3, 4], lambda: nn.Linear(12, 3)(r(2, 3, 4).flatten(1))),
    "F.linear, weight turned": (lambda: F.linear(r(2, 8), r(8, 3)), "linear_turned", [8, 3], lambda: F.linear(r(2, 8), r(8, 3).T)),
    "linear, input turned": (lambda: nn.Linear(8, 3)(r(8, 2)), "linear_input_turned", [8, 2], lambda: nn.Linear(8, 3)(r(8, 2).T)),
    "right factor turned": (lambda: r(2, 3) @ r(4, 3), "transpose", [4, 3], lambda: r(2, 3) @ r(4, 3).mT),
    "left factor turned": (lambda: r(3, 2) @ r(3, 4), "transpose_left", [3, 2], lambda: r(3, 2).mT @ r(3, 4)),
    "matmul": (lambda: r(2, 3) @ r(4, 5), "matmul", None, None),
    "matrix and vector": (lambda: r(2, 3) @ r(4), "vector", [4], lambda: r(2, 3) @ r(3)),
    "batches of matmul": (lambda: r(2, 3, 4) @ r(5, 4, 6), "matmul_batch", [5, 4, 6], lambda: r(2, 3, 4) @ r(1, 4, 6)),
    "bmm without a batch": (
        lambda: torch.bmm(r(3, 4), r(1, 4, 5)),
        "batch_missing",
        [3, 4],
        lambda: torch.bmm(r(3, 4).unsqueeze(0), r(1, 4, 5)),
    ),
    "mm of a batch": (lambda: torch.mm(r(2, 3, 4), r(4, 5)), "mm_dims", [2, 3, 4], lambda: r(2, 3, 4) @ r(4, 5)),
    "channels": (lambda: nn.Conv2d(3, 8, 3)(r(2, 1, 8, 8)), "channels", [2, 1, 8, 8], lambda: nn.Conv2d(1, 8, 3)(r(2, 1, 8, 8))),
    "channels last": (
        lambda: nn.Conv2d(3, 8, 3)(r(2, 8, 8, 3)),
        "channels_last",
        [2, 8, 8, 3],
        lambda: nn.Conv2d(3, 8, 3)(r(2, 8, 8, 3).permute(0, 3, 1, 2)),
    ),
    "conv1d, channels last": (
        lambda: nn.Conv1d(4, 8, 3)(r(2, 10, 4)),
        "channels_last",
        [2, 10, 4],
        lambda: nn.Conv1d(4, 8, 3)(r(2, 10, 4).permute(0, 2, 1)),
    ),
    "an image alone": (lambda: nn.Conv2d(1, 8, 3)(r(28, 28)), "conv_missing", [28, 28], lambda: nn.Conv2d(1, 8, 3)(r(28, 28)[None, None])),
    "a small image": (
        lambda: nn.Conv2d(1, 8, 5)(r(2, 1, 3, 3)),
        "kernel_large",
        [2, 1, 3, 3],
        lambda: nn.Conv2d(1, 8, 5, padding=1)(r(2, 1, 3, 3)),
    ),
    "broadcast": (lambda: r(2, 3) + r(2, 4), "broadcast", None, lambda: r(2, 3) + r(2, 1)),
    "keepdim": (lambda: r(5, 3) - r(5, 3).mean(1), "unsqueeze", [5], lambda: r(5, 3) - r(5, 3).mean(1).unsqueeze(-1)),
    "unsqueeze inside": (lambda: r(2, 7, 3) * r(2, 3), "unsqueeze", [2, 3], lambda: r(2, 7, 3) * r(2, 3).unsqueeze(1)),
    "turned": (lambda: r(4, 5, 6) * r(4, 6, 5), "broadcast_turned", [4, 6, 5], lambda: r(4, 5, 6) * r(4, 6, 5).mT),
    "where": (lambda: torch.where(r(2, 3) > 0, r(2, 3), r(2, 4)), "broadcast", [2, 4], None),
    "cat": (lambda: torch.cat([r(2, 3), r(2, 4), r(2, 3)], 0), "cat_size", [2, 4], lambda: torch.cat([r(2, 3), r(2, 4), r(2, 3)], 1)),
    "cat, dimensions": (
        lambda: torch.cat([r(2, 3), r(2, 3), r(3)]),
        "cat_dims",
        [3],
        lambda: torch.cat([r(2, 3), r(2, 3), r(3).unsqueeze(0)]),
    ),
    "stack": (lambda: torch.stack([r(2, 3), r(2, 3), r(2, 4)]), "cat_size", [2, 4], None),
    "view": (lambda: r(2, 3).view(7), "reshape", [2, 3], lambda: r(2, 3).view(-1)),
    "view before a layer": (lambda: r(32, 16, 5, 5).view(32, 256), "reshape_rest", [32, 16, 5, 5], lambda: r(32, 16, 5, 5).view(32, 400)),
    "heads": (lambda: r(2, 10, 96).view(2, 10, 5, 32), "reshape_rest", [2, 10, 96], lambda: r(2, 10, 96).view(2, 10, -1, 32)),
    "-1": (lambda: r(2, 3).reshape(4, -1), "reshape_divide", [2, 3], None),
    "view after a transpose": (lambda: r(3, 4).t().view(12), "contiguous", [4, 3], lambda: r(3, 4).t().reshape(12)),
    "batch sizes": (lambda: F.cross_entropy(r(4, 3), long(5)), "batch_size", [5], lambda: F.cross_entropy(r(4, 3), long(4))),
    "a target without its 1": (
        lambda: F.binary_cross_entropy_with_logits(r(4, 1), r(4)),
        "target_ones",
        [4],
        lambda: F.binary_cross_entropy_with_logits(r(4, 1), r(4).view(4, 1)),
    ),
    "layer norm": (lambda: nn.LayerNorm(8)(r(2, 6)), "features", [2, 6], lambda: nn.LayerNorm(6)(r(2, 6))),
    "batch norm": (lambda: nn.BatchNorm2d(4)(r(2, 3, 5, 5)), "features", [2, 3, 5, 5], lambda: nn.BatchNorm2d(3)(r(2, 3, 5, 5))),
    "batch norm, dimensions": (lambda: nn.BatchNorm1d(4)(r(2, 4, 5, 5)), "dims", [2, 4, 5, 5], lambda: nn.BatchNorm2d(4)(r(2, 4, 5, 5))),
    "lstm": (lambda: nn.LSTM(4, 5)(r(3, 2, 6)), "features", [3, 2, 6], lambda: nn.LSTM(6, 5)(r(3, 2, 6))),
    "attention": (
        lambda: nn.MultiheadAttention(8, 2)(*[r(3, 2, 6)] * 3),
        "features",
        [3, 2, 6],
        lambda: nn.MultiheadAttention(6, 2)(*[r(3, 2, 6)] * 3),
    ),
    "queries and keys": (lambda: F.scaled_dot_product_attention(r(2, 3, 4), r(2, 3, 5), r(2, 3, 4)), "attention_width", [2, 3, 5], None),
    "embedding": (lambda: nn.Embedding(5, 3)(torch.ones(2)), "indices", [2], lambda: nn.Embedding(5, 3)(torch.ones(2).long())),
    "einsum": (lambda: torch.einsum("ij,jk->ik", r(2, 3), r(4, 3)), "einsum", [4, 3], lambda: torch.einsum("ij,kj->ik", r(2, 3), r(4, 3))),
    "expand": (lambda: r(2, 3).expand(2, 4), "expand", [2, 3], lambda: r(2, 1).expand(2, 4)),
    "permute": (lambda: r(2, 3).permute(0, 2, 1), "permute", [2, 3], lambda: r(2, 3).permute(1, 0)),
    "mask": (lambda: r(3, 4)[torch.zeros(5, dtype=torch.bool)], "mask", [5], lambda: r(3, 4)[torch.zeros(3, dtype=torch.bool)]),
    "gather": (lambda: r(3, 4).gather(1, long(5, 2)), "gather", [5, 2], lambda: r(3, 4).gather(1, long(3, 2))),
    "types": (lambda: r(2, 3) @ r(3, 4).double(), "dtype", [3, 4], lambda: r(2, 3) @ r(3, 4).double().to(torch.float32)),
}


def told(broken):
    """What the viewer makes of the failure."""
    modules = []
    old, scope.on_failure = scope.on_failure, lambda error, stack: modules.append(tuple(stack))
    try:
        broken()
    except Exception as error:
        return failure.explain(error, modules[0] if modules else (), current())
    finally:
        scope.on_failure = old
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("name", TABLE)
def test_advice(name):
    broken, key, blamed, fixed = TABLE[name]
    message, step, operands = told(broken)
    assert message.key == key
    assert [list(n.shape) for n in operands] == message.shapes
    assert message.file == __file__
    assert message.source
    snapshot, index = failure.partial(step, {}, "")
    snapshot = failure.with_failed(snapshot, message, index, operands)
    marked = [list(snapshot.shape(int(snapshot.src[e]))) for e in message.edges]
    assert marked == (message.shapes if blamed is None else [blamed])
    assert set(snapshot.dst[message.edges].tolist()) == {message.node} == {len(snapshot) - 1}
    assert len(snapshot.inputs(message.node)) == len(operands)
    for lang in catalog.languages():
        said = catalog.text(f"ui.viewer.fix.{key}", lang, **message.fields)
        assert "{" not in said
        assert not said.startswith("ui.")
    if fixed is not None:
        fixed()


def test_texts_have_the_fields_that_advice_fills():
    keys = {key for _, key, _, _ in TABLE.values()}
    fields = {key: set(told(broken)[0].fields) for broken, key, _, _ in TABLE.values()}
    for lang in catalog.languages():
        for key in keys:
            text = catalog.entries(lang)[f"ui.viewer.fix.{key}"]
            assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= fields[key], (lang, key)


def test_what_is_not_known_gets_general_advice():
    message, _, _ = told(lambda: torch.linalg.inv(r(2, 3)))
    assert message.key == "general"
