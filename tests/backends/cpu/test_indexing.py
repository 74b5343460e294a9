"""Reading and writing at places that are data: repeated indices, negative ones, ones out of range, sizes around the widths of vectors."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.indexing
from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering

from .harness import run
from .nodes import check_all, laid_out, node_of

assert torchlike_asg
TYPES = [np.int8, np.int16, np.float32, np.int64, np.complex128]
RNG = np.random.default_rng(5)


def numbers(shape, d=np.float32):
    return (np.arange(1, int(np.prod(shape)) + 1) % 113).astype(d).reshape(shape)


def picks(shape, n, d=np.int64):
    return RNG.integers(0, n, shape).astype(d)


@pytest.mark.parametrize("d", TYPES)
def test_reading(d):
    a = numbers((7, 19, 33), d)
    check_all("embedding", (a[0], picks((5, 4), 19)), -1, False)
    check_all("embedding", (a[0, :, :1], picks((70,), 19, np.int32)), -1, False)
    check_all("index_select", (a, picks(40, 33)), 2)
    check_all("index_select", (a, picks(40, 19)), 1)
    check_all("index", (a, picks((3, 5), 7) - 7, picks(5, 19)), (0, 1))
    check_all("index", (a, picks((3, 1), 7), picks(5, 33) - 33), (0, 2))
    check_all("index", (a, picks((2, 1, 1), 7), picks((4, 1), 19), picks(17, 33)), (0, 1, 2))
    check_all("gather", (a, picks((7, 40, 33), 19)), 1)
    check_all("gather", (a, picks((6, 18, 65), 33)), 2)
    check_all("window", (a, np.asarray(4)), 1, 5, 3)


@pytest.mark.parametrize("d", TYPES)
def test_writing_takes_the_last_of_repeated_places(d):
    a = numbers((7, 19, 33), d)
    check_all("scatter", (a, picks((7, 40, 33), 19), -numbers((7, 41, 35), d)), 1)
    check_all("scatter", (a, picks((6, 18, 65), 33), -numbers((6, 18, 65), d)), 2)
    check_all("scatter", (a, picks((6, 18, 65), 33), np.asarray(5).astype(d)), 2)
    check_all("index_put", (a, -numbers((7, 30, 33), d), picks(30, 19) - 19), (1,), False)
    check_all("index_put", (a, -numbers((50,), d), picks(50, 7), picks(50, 19), picks(50, 33)), (0, 1, 2), False)
    check_all("index_copy", (a, picks(9, 7), -numbers((9, 19, 33), d)), 0)
    check_all("index_fill", (a, picks(9, 33) - 33, np.asarray(5).astype(d)), 2)
    check_all("unwindow", (numbers((7, 5, 33), d), np.asarray(4)), 1, 3, 19)


@pytest.mark.parametrize("d", [np.uint8, np.float32, np.float64, np.int64])
def test_adding_counts_every_one(d):
    a = numbers((7, 19, 33), d)
    check_all("embedding_grad", (numbers((8, 30, 33), d), picks((8, 30), 19)), 19, -1, False)
    check_all("embedding_grad", (numbers((8, 30, 70), d), picks((8, 30), 19, np.int32)), 19, 3, False)
    check_all("index_add", (a, picks(40, 19), numbers((7, 40, 33), d)), 1)
    check_all("scatter_add", (a, picks((7, 40, 33), 19), numbers((7, 40, 33), d)), 1)
    check_all("scatter_add", (a, picks((6, 18, 65), 33), numbers((6, 18, 65), d)), 2)
    check_all("index_put", (a, numbers((7, 30, 33), d), picks(30, 19) - 19), (1,), True)
    check_all("unindex", (numbers((3, 5, 33), d), picks((3, 5), 7) - 7, picks(5, 19)), (0, 1), (7, 19, 33))
    check_all("unindex", (numbers((3, 5, 19), d), picks((3, 1), 7), picks(5, 33)), (0, 2), (7, 19, 33))


@pytest.mark.parametrize("d", [np.uint8, np.float32, np.int64])
@pytest.mark.parametrize("own", [True, False])
def test_reductions(d, own):
    a, v, i = numbers((7, 19, 33), d), (numbers((7, 19, 33), d) * 7) % 5 + 1, picks((7, 19, 33), 3)
    if d is np.float32:
        v[1, 4, 5] = np.nan
    for reduce in ("sum", "prod", "amax", "amin"):
        check_all("scatter_reduce", (a, i, v.astype(d)), 1, reduce, own, layouts=[("contiguous", "contiguous"), ("gaps", "gaps")])


@pytest.mark.parametrize(
    "name, operands, attrs",
    [
        ("embedding", lambda bad: (numbers((9, 4)), np.array([0, bad, 3])), (-1, False)),
        ("index_select", lambda bad: (numbers((4, 9)), np.array([0, bad, 3])), (1,)),
        ("index", lambda bad: (numbers((4, 9)), np.array([0, -1 - bad, 3])), ((1,),)),
        ("gather", lambda bad: (numbers((2, 9)), np.array([[0, 1], [bad, 3]])), (1,)),
        ("scatter", lambda bad: (numbers((2, 9)), np.array([[0, 1], [bad, 3]]), numbers((2, 2))), (1,)),
        ("embedding_grad", lambda bad: (numbers((3, 4)), np.array([0, bad, 3])), (9, 2, False)),
        ("index_fill", lambda bad: (numbers((9, 4)), np.array([0, bad, 3]), np.float32(2)), (0,)),
        ("window", lambda bad: (numbers((12, 4)), np.asarray(bad)), (0, 2, 3)),
    ],
)
@pytest.mark.parametrize("bad", [9, 2**40, -1 - 2**40])
def test_out_of_range(name, operands, attrs, bad):
    n, values = node_of(REGISTRY[name], Sample(operands(8), attrs), False)
    for index, fails in ((8, False), (bad, True)):
        arrays, views = {}, []
        for i, a in enumerate(operands(index)):
            v, arrays[i] = laid_out(i, a.shape, n.srcs[i].dtype, "contiguous", a)
            views.append(v)
        result, arrays[len(views)] = laid_out(len(views), n.shape, n.dtype, "contiguous")
        low = Lowering(len(views) + 1)
        assert LIBRARY[name](low, LibraryNode(name, n.attrs, tuple(views), result))
        assert run(low, arrays, 2) is fails
    assert len(values) == len(views)


@pytest.mark.parametrize("d", [np.int8, np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int64, np.int32])
def test_an_index_for_each_element_around_the_width_of_vectors(d, index):
    for n in (7, 8, 9, 16, 33, 50):
        x = numbers((5, 60), d)
        check_all("gather", (x, picks((5, n), 60, index)), 1)
        check_all("gather", (x, picks((3, n), 5, index)), 0)
        check_all("index_select", (x, picks((n,), 60, index)), 1)
        check_all("index", (x, picks((n,), 5, index), picks((n,), 60, index) - 60), (0, 1))


@pytest.mark.parametrize("place", [0, 15, 31, 32, 34])
@pytest.mark.parametrize("bad", [40, -1])
def test_one_of_many_out_of_range(place, bad):
    x, i = numbers((3, 40)), picks((3, 35), 40)
    i[2, place] = bad
    views, memory = zip(*[laid_out(n, a.shape, dtypes.from_numpy(a.dtype), "contiguous", a) for n, a in enumerate((x, i))], strict=True)
    result, out = laid_out(2, i.shape, dtypes.float32, "contiguous")
    low = Lowering(3)
    assert LIBRARY["gather"](low, LibraryNode("gather", (1,), views, result))
    assert run(low, {**dict(enumerate(memory)), 2: out})
