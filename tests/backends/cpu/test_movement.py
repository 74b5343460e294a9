"""Joining, padding, turning and repeating at sizes around the widths of vectors, and of every size of element."""

import numpy as np
import pytest

import torchlike_asg.backends.cpu.movement
import torchlike_asg.backends.cpu.triangle
from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering

from .nodes import check_all, laid_out, node_of

TYPES = [np.bool_, np.int16, np.float32, np.float64, np.complex128]
assert torchlike_asg


def numbers(shape, d=np.float32):
    return (np.arange(1, int(np.prod(shape)) + 1) % 253).astype(d).reshape(shape)


@pytest.mark.parametrize("d", TYPES)
def test_joined(d):
    a, b, c = numbers((5, 33, 4), d), numbers((5, 1, 4), d), numbers((5, 70, 4), d)
    check_all("cat", (a, b, c), 1)
    check_all("cat", (a[:, :17], a[:, 16:]), 1)
    check_all("stack", (c, c[::-1], c), 1)
    check_all("stack", (c, c[::-1], c), 3)
    check_all("block_diag", (a[0], c[1], b[2]))


def test_many_operands_are_one_launch():
    low = Lowering(40)
    views, result = (
        [laid_out(i, (3, 8), dtypes.float32, "contiguous")[0] for i in range(35)],
        laid_out(35, (35, 3, 8), dtypes.float32, "gaps")[0],
    )
    n, _ = node_of(REGISTRY["stack"], Sample((numbers((3, 8)),) * 35, (0,)), True)
    assert LIBRARY["stack"](low, LibraryNode("stack", n.attrs, tuple(views), result))
    assert len(low.calls) == 1


@pytest.mark.parametrize("d", TYPES)
def test_turned_and_repeated(d):
    a = numbers((3, 35, 18), d)
    check_all("flip", (a,), 0, 2)
    check_all("flip", (a,), -2)
    check_all("roll", (a,), (4, -40, 5), (0, 1, 2))
    check_all("roll", (a,), (3, 4), (1, 1))
    check_all("repeat", (a,), 2, 1, 3, 2)
    check_all("repeat_interleave", (a,), 3, 1)
    check_all("repeat_interleave", (a,), 2, 2)


@pytest.mark.parametrize("d", TYPES)
def test_triangles(d):
    a = numbers((2, 3, 37, 70), d)
    for k in (0, 5, -5, 33, -36, 100, -100):
        check_all("tril", (a,), k, layouts=[("contiguous", "contiguous"), ("gaps", "contiguous")])
        check_all("triu", (a,), k, layouts=[("contiguous", "contiguous"), ("reversed", "contiguous")])


@pytest.mark.parametrize("d", TYPES)
def test_padded(d):
    a = numbers((2, 9, 33), d)
    check_all("pad_constant", (a,), ((0, 1), (2, 3), (17, 1)), 1.0)
    check_all("pad_constant", (a,), ((0, 0), (-2, 3), (-17, -1)), 1.0)
    for mode in ("reflect", "replicate", "circular"):
        check_all("pad_mirror", (a,), ((0, 0), (8, 3), (1, 32)), mode)
    check_all("shift", (a,), 1, 4, 1.0)
    check_all("shift", (a,), 2, -30, 0.0)


def test_gradients_of_padding():
    for mode in ("reflect", "replicate", "circular"):
        check_all("pad_mirror_grad", (numbers((2, 20, 66)),), ((0, 0), (8, 3), (1, 32)), mode)
        check_all("pad_mirror_grad", (numbers((2, 20, 66), np.int64),), ((0, 0), (8, 3), (1, 32)), mode)


def test_writes_through_views():
    a = numbers((6, 40))
    check_all("restride_scatter", (a, -a[:3, 1:31]), ((3, 30), (40, 1), 45), (40, 1), False)
    check_all("restride_scatter", (a, -a[:1, :30]), ((5, 30), (40, 1), 2), (40, 1), False)
    check_all("restride_scatter", (a, -a[:5, :3]), ((5, 3), (1, 6), 0), (1, 6), False)
    check_all("restride", (a,), (5, 6, 3), (1, 40, 2), 3, (40, 1))
    check_all("restride", (a,), (20, 11), (12, 1), 0, (1, 6))
    for op, attrs, shape in (
        ("select", (1, 7), (6,)),
        ("slice", (1, 3, 33, 3), (6, 10)),
        ("slice", (0, 2, 4, 1), (2, 40)),
        ("slice", (1, 5, 5, 1), (6, 0)),
        ("diagonal", (3, 0, 1), (6,)),
        ("unfold", (1, 4, 2), (6, 19, 4)),
        ("unfold", (1, 2, 2), (6, 20, 2)),
        ("restride", ((5, 7), (1, 6), 2, (1, 6)), (5, 7)),
    ):
        check_all("unview", (numbers(shape),), op, attrs, ((6, 40), (40, 1), 0))


def test_overlapping_writes_are_left_to_the_reference():
    n, _ = node_of(REGISTRY["restride_scatter"], Sample((numbers((6,)), numbers((2, 3))), (((2, 3), (1, 1), 0), (1,), False)), True)
    views = [laid_out(i, s.shape, s.dtype, "contiguous")[0] for i, s in enumerate(n.srcs)]
    result = laid_out(2, n.shape, n.dtype, "contiguous")[0]
    assert not LIBRARY["restride_scatter"](Lowering(3), LibraryNode(n.op.name, n.attrs, tuple(views), result))


@pytest.mark.parametrize("case", [((3, 3), (1, 1), (1, 1), (1, 1)), ((2, 5), (2, 1), (1, 3), (3, 2)), ((4, 1), (1, 1), (0, 0), (4, 1))])
def test_sliding_blocks(case):
    x = numbers((2, 3, 13, 17))
    check_all("im2col", (x,), *case)
    columns = REGISTRY["im2col"].ref(x, *case)
    check_all("col2im", (columns,), (13, 17), *case)
