"""The kernels of recurrent layers against the operations' NumPy references: sizes, directions, strides, choices of results, threads."""

import itertools

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import get
from torchlike_asg.backends.cpu import isa, recurrent
from torchlike_asg.backends.cpu.calls import LIBRARY, SELECTORS, LibraryNode, Lowering, View

from .harness import LEVELS, run

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
PARTS = {
    "lstm": ("hidden", "cell", "gates"),
    "gru": ("hidden", "gates"),
    "lstm_grad": ("input", "cell"),
    "gru_grad": ("input", "state", "hidden"),
}
TOLERANCE = {"float32": 3e-5, "float64": 1e-12}


def _view(slot, a):
    """The view of an array whose memory begins at its first element."""
    return View(slot, a.shape, tuple(s // a.itemsize for s in a.strides), 0, getattr(dtypes, str(a.dtype)))


def _run(op, arrays, attrs, results, threads=1, level=None):
    """Run the lowering of a node into `results`, arrays by the selecting attribute (None for an operation without one)."""
    lowering = Lowering(100)
    if level:
        lowering.isa = isa.describe(level)
    operands = tuple(_view(i, a) for i, a in enumerate(arrays))
    places = [(part, _view(50 + i, a)) for i, (part, a) in enumerate(results.items())]
    selected = (places[0][0],) if op in SELECTORS else ()
    node = LibraryNode(op, (*attrs, *selected), operands, places[0][1], siblings=tuple(places[1:]))
    assert LIBRARY[op](lowering, node)
    memory = dict(enumerate(arrays)) | {50 + i: a for i, a in enumerate(results.values())}
    assert not run(lowering, memory, threads)
    return lowering


def _expected(op, arrays, attrs, parts):
    return {part: get(op).ref(*arrays, *attrs, *(() if part is None else (part,))) for part in parts}


def _check(op, arrays, attrs, parts=None, **options):
    """All parts at once, or those named."""
    want = _expected(op, arrays, attrs, parts or PARTS.get(op, (None,)))
    got = {part: np.full_like(value, 7) for part, value in want.items()}
    lowering = _run(op, arrays, attrs, got, **options)
    for part, value in got.items():
        np.testing.assert_allclose(value, want[part], TOLERANCE[str(value.dtype)], TOLERANCE[str(value.dtype)], err_msg=f"{op} {part}")
    return lowering


def _draw(op, steps, batch, width, dtype=np.float32):
    """The operands of a layer."""
    r, gates = np.random.default_rng(2), GATES[op]
    shapes = [(steps, batch, gates * width), *[(batch, width)] * (2 if op == "lstm" else 1), (gates * width, width)]
    shapes += [(gates * width,)] if op == "gru" else []
    return [
        (r.standard_normal(s) / (width**0.5 if i == len(shapes) - 1 - (op == "gru") else 1)).astype(dtype) for i, s in enumerate(shapes)
    ]


def _backward(op, operands, attrs):
    """The operands of the layer's gradient (of the states h)."""
    reverse = attrs[-1]
    g = np.random.default_rng(3).standard_normal((*operands[0].shape[:2], operands[1].shape[1])).astype(operands[0].dtype)
    if op == "rnn":
        x, h, w = operands
        return [g, w, get(op).ref(x, h, w, *attrs)]
    parts = _expected(op, operands, (reverse,), PARTS[op])
    if op == "lstm":
        x, h, c, w = operands
        return [g, c, w, parts["cell"], parts["gates"]]
    _, h, w, _ = operands
    return [g, h, w, parts["hidden"], parts["gates"]]


def _both(op, steps, batch, width, reverse=False, dtype=np.float32, nonlinearity="tanh", **options):
    operands = _draw(op, steps, batch, width, dtype)
    attrs = (nonlinearity, reverse) if op == "rnn" else (reverse,)
    _check(op, operands, attrs, **options)
    arrays = _backward(op, operands, attrs)
    for wrt in (("cell",), ("hidden",)) if op == "lstm" else ((),):
        _check(f"{op}_grad", arrays, (*attrs, *wrt), **options)


# ---------------------------------------------------------------- the registry's samples
@pytest.mark.parametrize("op", ["rnn", "lstm", "gru", "rnn_grad", "lstm_grad", "gru_grad"])
def test_samples(op):
    for sample in get(op).samples():
        arrays = [np.ascontiguousarray(a) for a in sample.operands]
        attrs, parts = (sample.attrs[:-1], sample.attrs[-1:]) if op in SELECTORS else (sample.attrs, None)
        _check(op, arrays, attrs, parts)


# ---------------------------------------------------------------- sizes and instruction sets
SIZES = [(1, 1, 1), (1, 20, 5), (3, 2, 16), (4, 3, 17), (2, 60, 33), (5, 14, 40), (2, 4, 100), (7, 29, 15)]


@pytest.mark.parametrize("op", list(GATES))
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(op, sizes):
    _both(op, *sizes)


@pytest.mark.parametrize("op", list(GATES))
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_vector_width(op, level, dtype):
    _both(op, 3, 5, 19, dtype=dtype, level=level)


@pytest.mark.parametrize("op", list(GATES))
def test_reverse(op):
    _both(op, 4, 3, 9, reverse=True)


def test_relu():
    _both("rnn", 4, 3, 9, nonlinearity="relu")
    _both("rnn", 4, 3, 9, nonlinearity="relu", reverse=True)


# ---------------------------------------------------------------- parts, strides, values
CHOICES = [(op, parts) for op, all_ in PARTS.items() for n in (1, 2) for parts in itertools.permutations(all_, n)]


@pytest.mark.parametrize(("op", "parts"), CHOICES, ids=str)
def test_any_choice_of_parts(op, parts):
    layer = op.removesuffix("_grad")
    arrays = _draw(layer, 4, 3, 9)
    attrs = (False,)
    if op != layer:
        arrays = _backward(layer, arrays, attrs)
        attrs = (False, "hidden") if layer == "lstm" else attrs
    _check(op, arrays, attrs, parts)


def _apart(a):
    """The same values, no two elements of the last dimension beside each other."""
    return np.repeat(a[..., None], 2, -1)[..., 0]


@pytest.mark.parametrize("op", list(GATES))
@pytest.mark.parametrize("reverse", [False, True])
def test_strides(op, reverse):
    """Batch first in memory, and features that are not adjacent, for operands and results."""
    attrs = ("tanh", reverse) if op == "rnn" else (reverse,)
    operands = _draw(op, 4, 3, 9)
    grad = (*attrs, "hidden") if op == "lstm" else attrs
    for name, arrays, all_ in ((op, operands, attrs), (f"{op}_grad", _backward(op, operands, attrs), grad)):
        want = _expected(name, arrays, all_, PARTS.get(name, (None,)))
        for change in (lambda a: np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1) if a.ndim == 3 else np.asfortranarray(a), _apart):
            got = {part: change(np.full_like(v, 7)) for part, v in want.items()}
            _run(name, [change(a) for a in arrays], all_, got)
            for part, v in got.items():
                np.testing.assert_allclose(v, want[part], 3e-5, 3e-5, err_msg=f"{name} {part}")


def test_a_state_that_is_one_number():
    x, h, _, w = _draw("lstm", 3, 4, 8)
    zeros = np.broadcast_to(np.zeros((), np.float32), h.shape)
    _check("lstm", [x, zeros, zeros, w], (False,))


@pytest.mark.parametrize("op", list(GATES))
def test_nan_and_saturation(op):
    arrays = _draw(op, 3, 4, 8)
    arrays[0][0, 0, 0] = np.nan
    arrays[0][:, 1] = 1e4
    arrays[0][:, 2] = -1e4
    _check(op, arrays, ("tanh", False) if op == "rnn" else (False,))
    arrays[0][1, 3, 2] = np.nan
    _check(op, arrays, ("relu", False) if op == "rnn" else (False,))


@pytest.mark.parametrize("op", list(GATES))
def test_bits_do_not_depend_on_threads(op):
    arrays = _draw(op, 3, 37, 20)
    attrs = ("tanh", False) if op == "rnn" else (False,)
    back = _backward(op, arrays, attrs)
    grad = (*attrs, "hidden") if op == "lstm" else attrs
    for name, operands, all_ in ((op, arrays, attrs), (f"{op}_grad", back, grad)):
        found = []
        for threads in (1, 2, 5):
            got = {p: np.empty_like(v) for p, v in _expected(name, operands, all_, PARTS.get(name, (None,))).items()}
            _run(name, operands, all_, got, threads)
            found.append(got)
        assert all(np.array_equal(found[0][p], other[p]) for other in found[1:] for p in got)


def test_one_code_for_all_sizes():
    keys = set()
    for sizes in SIZES:
        arrays = _draw("lstm", *sizes)
        keys.add(_run("lstm", arrays, (sizes[0] > 3,), {"hidden": np.empty((*sizes,), np.float32)}).calls[-1].source.key)
    assert len(keys) == 1


def test_other_element_types_go_to_the_reference():
    x, h, w = (np.zeros(s, np.float32) for s in ((2, 3, 4), (3, 4), (4, 4)))
    half = [View(i, a.shape, tuple(s // 4 for s in a.strides), 0, dtypes.float16) for i, a in enumerate((x, h, w, x))]
    assert not recurrent.lowering.lower_rnn(Lowering(9), LibraryNode("rnn", ("tanh", False), tuple(half[:3]), half[3]))
    empty = [View(i, s, (1,) * len(s), 0, dtypes.float32) for i, s in enumerate(((2, 0, 4), (0, 4), (4, 4), (2, 0, 4)))]
    assert not recurrent.lowering.lower_rnn(Lowering(9), LibraryNode("rnn", ("tanh", False), tuple(empty[:3]), empty[3]))
