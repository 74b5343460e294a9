"""Every operation, recorded for one example and rebuilt for a batch of them, gives what it gives on each example."""

import warnings

import numpy as np
import pytest

from torchlike_asg.asg import batching
from torchlike_asg.asg.declare import declared
from torchlike_asg.asg.lint import lint

from .test_declarations import leaf, samples, value

SIZE = 3
OPS = [op for op in declared() if not op.multi and op.category != "random"]
#: operations whose examples are done one by one where one of these operands is batched (or always)
WHOLE = {"sum", "softmax", "matmul", "linear", "conv", "conv_grad_weight", "layer_norm", "cross_entropy", "embedding_grad", "index", "add"}


def examples(a):
    """Three variants of an operand: scaled where it is real, reversed where it counts or names something."""
    a = np.asarray(a)
    if a.dtype.kind in "fc":
        return [a, (a * 0.9).astype(a.dtype), (a * 1.1).astype(a.dtype)]
    return [a, a[..., ::-1].copy() if a.ndim else a, a]


def variants(sample, chosen):
    """Per example the operands, and which of them differ between examples."""
    tables = [examples(a) if i in chosen else [np.asarray(a)] * SIZE for i, a in enumerate(sample.operands)]
    return [[t[i] for t in tables] for i in range(SIZE)]


def check(op, sample, chosen):
    rows = variants(sample, chosen)
    nodes = [leaf(a, False) for a in rows[0]]
    n = op(*nodes, *sample.attrs)
    try:
        want = [value([n], dict(zip(nodes, row, strict=True)))[0] for row in rows]
    except (IndexError, RuntimeError, ValueError):  # an operand that does not bear the variation
        rows = [rows[0]] * SIZE
        want = [value([n], dict(zip(nodes, row, strict=True)))[0] for row in rows]
    data, values = dict(zip(nodes, rows[0], strict=True)), {}
    for i in chosen:
        stacked = np.stack([row[i] for row in rows])
        whole = leaf(stacked, False)
        data[whole], values[nodes[i]] = stacked, whole
    (out,) = batching.batched([n], values, SIZE)
    assert tuple(out.shape) == (SIZE, *n.shape) and out.dtype is n.dtype, (sample.attrs, out)
    lint([out])
    tolerance = 1e-5 if n.dtype.compute.itemsize < 8 else 1e-11
    np.testing.assert_allclose(value([out], data)[0], np.stack(want), rtol=tolerance, atol=tolerance, err_msg=f"{sample.attrs} {chosen}")


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_a_batch_equals_its_examples(op):
    for sample in samples(op):
        count = len(sample.operands)
        for chosen in {tuple(range(count)), (0,), tuple(range(1, count))} - {()}:
            check(op, sample, chosen)


def test_the_usual_operations_are_not_done_one_by_one(monkeypatch):
    monkeypatch.setattr(batching, "_slow", set())  # warned of once in a process: here anew
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for op in OPS:
            if op.name in WHOLE:
                for sample in samples(op):
                    check(op, sample, tuple(range(2 if op.name == "cross_entropy" else len(sample.operands))))
