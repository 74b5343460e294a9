"""Einstein summation in every notation PyTorch has."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


EQUATIONS = [
    ("ij,jk->ik", (3, 4), (4, 2)),
    ("ij,jk", (3, 4), (4, 2)),
    (" i j , jk -> i k ", (3, 4), (4, 2)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("bhqk,bkhd->bqhd", (2, 2, 3, 5), (2, 5, 2, 4)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->ji", (3, 3, 2)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ji", (2, 3)),
    ("aB,bB", (2, 3), (4, 3)),
    ("i,j->ij", (3,), (2,)),
    ("i,i->", (3,), (3,)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ij->ij", (1, 3), (4, 1)),
    ("ij,ij", (1, 3), (4, 3)),
    ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 6)),
    ("...,...", (2, 3), (3,)),
    ("i...->...", (2, 3, 4)),
    ("i...->i", (2, 3, 4)),
    ("...ii->...i", (2, 3, 3)),
    ("bn,anm,bm->ba", (2, 3), (4, 3, 5), (2, 5)),
    ("i,j,k,l->lkji", (2,), (3,), (4,), (2,)),
    ("ij,jk,kl,lm->im", (2, 9), (9, 3), (3, 9), (9, 2)),
    ("a,a,a->a", (3,), (3,), (3,)),
    ("ij,jk->ik", (2, 0), (0, 3)),
    ("", ()),
]


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda c: c[0])
def test_values_and_gradients(case):
    equation, *shapes = case

    def run(T):
        leaves = [T.tensor(random(*s, seed=i) if s else 1.5, requires_grad=True) for i, s in enumerate(shapes)]
        y = T.einsum(equation, *[t * 1 for t in leaves])
        return y, gradients(T, y, *leaves)

    same(run, 1e-8)


@pytest.mark.parametrize("case", [EQUATIONS[i] for i in (0, 4, 6, 13, 18, 23)], ids=lambda c: c[0])
def test_second_order(case):
    equation, *shapes = case

    def run(T):
        leaves = [T.tensor(random(*s, seed=i), requires_grad=True) for i, s in enumerate(shapes)]
        return second_gradients(T, T.einsum(equation, *leaves), *leaves)

    same(run, 1e-8)


def test_lists_of_subscripts():
    same(lambda T: T.einsum(T.tensor(random(2, 3)), [0, 1], T.tensor(random(3, 4)), [1, 2], [0, 2]))
    same(lambda T: T.einsum(T.tensor(random(2, 3)), [7, 1], T.tensor(random(3, 4)), [1, 51]))
    same(lambda T: T.einsum(T.tensor(random(5, 2, 3)), [..., 1], T.tensor(random(3)), [1], [...]))
    same(lambda T: T.einsum("ij,jk", (T.tensor(random(2, 3)), T.tensor(random(3, 4)))))


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.einsum("ijk,jk", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij,jk->ik", T.ones(2, 3)),
        lambda T: T.einsum("ij->ik", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij,ij->ij", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij,jk->il", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij,jk->ii", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("i1,jk", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("i..j", T.ones(2, 3)),
        lambda T: T.einsum("...i...", T.ones(2, 3)),
        lambda T: T.einsum("ii", T.ones(2, 3)),
        lambda T: T.einsum("ij,jk->ik->", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij,jk->i$", T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.einsum("ij"),
        lambda T: T.einsum(T.ones(2)),
        lambda T: T.einsum(T.ones(2, 3), [0, 52]),
        lambda T: T.einsum("ij,jk", T.ones(2, 3), T.ones(3, 4).double()),
        lambda T: T.tensordot(T.ones(2, 3), T.ones(3, 4), dims=([0], [1])),
        lambda T: T.tensordot(T.ones(2, 3), T.ones(3, 4), dims=-1),
        lambda T: T.tensordot(T.ones(2, 3), T.ones(3, 4), dims=([1], [0, 1])),
    ],
)
def test_refuses(call):
    same_error(call)


def test_rearranging_one_operand_is_a_view():
    x = ours.arange(6.0).reshape(2, 3)
    y = ours.einsum("ij->ji", x)
    y[0, 1] = 100
    assert x[1, 0].item() == 100
    d = ours.einsum("ii->i", z := ours.zeros(3, 3))
    d += 1
    assert z.sum().item() == 3


def test_long_chains_take_the_cheap_order():
    """A vector at the end is multiplied first: no intermediate is larger than an operand."""
    from torchlike_asg.asg.rewrite import topo
    from torchlike_asg.facade.core import node_of
    from torchlike_asg.ops.einsum import einsum

    y = node_of(ours.einsum("ij,jk,k->i", ours.ones(50, 40), ours.ones(40, 60), ours.ones(60)))
    assert y.op is einsum
    assert max(n.numel for n in topo([einsum.expand(y)])) == 40 * 60
