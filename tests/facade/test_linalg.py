"""Products of vectors and matrices: every pair of ranks, gradients of first and second order, errors as PyTorch's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.rewrite import topo  # noqa: E402
from torchlike_asg.facade.core import node_of  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


PAIRS = [
    ((4,), (4,)),
    ((3, 4), (4,)),
    ((4,), (4, 2)),
    ((3, 4), (4, 2)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 3)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((1, 3, 4), (5, 4, 2)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((2, 5, 3, 4), (4, 2)),
    ((0, 4), (4, 2)),
    ((3, 0), (0, 2)),
    ((0, 3, 4), (4, 2)),
]


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_matmul(shapes):
    def run(T):
        a, b = (T.tensor(random(*s, seed=i), requires_grad=True) for i, s in enumerate(shapes))
        y = T.matmul(a * 1, b * 1)
        return y, a @ b, gradients(T, y, a, b)

    same(run, 1e-4, 1e-5)


@pytest.mark.parametrize("shapes", [s for s in PAIRS if 0 not in s[0]], ids=str)
def test_matmul_second_order(shapes):
    def run(T):
        a, b = (T.tensor(random(*s, seed=i).astype(np.float64), requires_grad=True) for i, s in enumerate(shapes))
        return second_gradients(T, T.matmul(a, b), a, b)

    same(run, 1e-8)


@pytest.mark.parametrize(
    "shapes",
    [
        ((2, 3), (4, 4)),
        ((3,), (4, 4)),
        ((3,), (4,)),
        ((3, 4), (3,)),
        ((2, 3, 4), (3,)),
        ((2, 3, 4), (2, 3, 5)),
        ((2, 3, 4), (3, 4, 5)),
        ((), (3, 4)),
    ],
    ids=str,
)
def test_matmul_refuses_shapes(shapes):
    same_error(lambda T: T.matmul(*[T.ones(s) for s in shapes]))


@pytest.mark.parametrize("shapes", [((3, 3), (3, 3)), ((3,), (3,)), ((2, 3, 3), (2, 3, 3))], ids=str)
def test_matmul_refuses_types(shapes):
    same_error(lambda T: T.matmul(T.ones(shapes[0]), T.ones(shapes[1], dtype=T.float64)))
    same_error(lambda T: T.matmul(T.ones(shapes[0]).bool(), T.ones(shapes[1]).bool()))
    same(lambda T: T.matmul(T.ones(shapes[0]).long(), T.full(shapes[1], 3)))


def test_matmul_refuses_numbers():
    same_error(lambda T: T.matmul(T.ones(2), 3))
    with pytest.raises(TypeError, match="unsupported operand"):
        ours.ones(2) @ 3


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.mm(T.ones(3), T.ones(3)),
        lambda T: T.mm(T.ones(3, 2), T.ones(3, 2)),
        lambda T: T.bmm(T.ones(3, 2), T.ones(3, 2)),
        lambda T: T.bmm(T.ones(3, 2, 2), T.ones(4, 2, 3)),
        lambda T: T.mv(T.ones(3, 2), T.ones(3, 2)),
        lambda T: T.mv(T.ones(3, 2), T.ones(3)),
        lambda T: T.dot(T.ones(3, 2), T.ones(3)),
        lambda T: T.dot(T.ones(2), T.ones(3)),
        lambda T: T.outer(T.ones(2), T.ones(2, 3)),
        lambda T: T.inner(T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.addmm(T.ones(3), T.ones(2, 3), T.ones(3, 4)),
        lambda T: T.addmm(T.ones(4), T.ones(3), T.ones(3, 4)),
        lambda T: T.addmv(T.ones(2), T.ones(2, 3), T.ones(2, 3)),
        lambda T: T.addr(T.ones(3), T.ones(2, 3), T.ones(3)),
        lambda T: T.trace(T.ones(3)),
        lambda T: T.linalg.cross(T.ones(2, 3), T.ones(3)),
        lambda T: T.linalg.multi_dot([T.ones(2, 2)]),
        lambda T: T.ones(4).addmm_(T.ones(2, 3), T.ones(3, 4)),
    ],
)
def test_named_products_refuse(call):
    same(call)


LINEAR = [
    ((3, 4), (2, 4), (2,)),
    ((3, 4), (2, 4), None),
    ((2, 3, 4), (5, 4), (5,)),
    ((4,), (2, 4), (2,)),
    ((2, 3), (3,), None),
    ((0, 4), (2, 4), (2,)),
    ((2, 3, 4), (5, 4), (1,)),
]


@pytest.mark.parametrize("shapes", LINEAR, ids=str)
def test_linear(shapes):
    def run(T):
        leaves = [T.tensor(random(*s, seed=i), requires_grad=True) for i, s in enumerate(shapes) if s is not None]
        y = T.nn.functional.linear(*[t * 1 for t in leaves])
        return y, gradients(T, y, *leaves)

    same(run, 1e-4, 1e-5)


@pytest.mark.parametrize("shapes", [s for s in LINEAR if 0 not in s[0]], ids=str)
def test_linear_second_order(shapes):
    def run(T):
        leaves = [T.tensor(random(*s, seed=i).astype(np.float64), requires_grad=True) for i, s in enumerate(shapes) if s is not None]
        return second_gradients(T, T.nn.functional.linear(*leaves), *leaves)

    same(run, 1e-8)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (4, 5)), ((2, 3, 3), (4, 5)), ((2, 3), (4, 3), (5,)), ((2, 2, 3), (3,), (1,)), ((2, 2, 3), (2, 4, 3)), ((), (4, 3))],
    ids=str,
)
def test_linear_refuses(shapes):
    same_error(lambda T: T.nn.functional.linear(*[T.ones(s) for s in shapes]))


def test_gradient_of_a_weight_is_one_product():
    """Gradients summed over a batch are one matrix product over all rows: no product per batch element, and no sum afterwards."""
    x, w = ours.ones(6, 5, 4, requires_grad=True), ours.ones(4, 3, requires_grad=True)
    g = ours.autograd.grad((x @ w).sum(), w)[0]
    ops = [n.op.name for n in topo([node_of(g)])]
    assert ops.count("matmul") == 1 and "sum_to" not in ops
    a, b = ours.ones(4, 3, requires_grad=True), ours.ones(6, 3, 5)
    g = ours.autograd.grad((a @ b).sum(), a)[0]
    assert max(n.numel for n in topo([node_of(g)])) <= 6 * 5 * 4


ADDED = {
    "addmm": ((2, 4), (2, 3), (3, 4)),
    "addmv": ((2,), (2, 3), (3,)),
    "addr": ((2, 3), (2,), (3,)),
    "baddbmm": ((2, 2, 4), (2, 2, 3), (2, 3, 4)),
    "addbmm": ((2, 4), (2, 2, 3), (2, 3, 4)),
}


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("factors", [dict(), dict(beta=2, alpha=0.5), dict(beta=0)], ids=str)
def test_added_products(name, factors):
    def run(T):
        leaves = [T.tensor(random(*s, seed=i), requires_grad=True) for i, s in enumerate(ADDED[name])]
        y = getattr(T, name)(*leaves, **factors)
        z = T.tensor(random(*ADDED[name][0]))
        getattr(z, name + "_")(*[t.detach() for t in leaves[1:]], **factors)
        # with beta = 0 PyTorch leaves the gradient of the first operand at zeros
        return y, z, gradients(T, y, *leaves[1:])

    same(run, 1e-4, 1e-5)


def test_beta_zero_ignores_nan():
    same(lambda T: T.addmm(T.full((4,), float("nan")), T.ones(2, 3), T.ones(3, 4), beta=0))


PRODUCTS = {
    "outer": (lambda T, a, b: T.outer(a, b), (3,), (4,)),
    "ger": (lambda T, a, b: T.ger(a, b), (3,), (4,)),
    "inner": (lambda T, a, b: T.inner(a, b), (2, 3, 4), (5, 4)),
    "inner of vectors": (lambda T, a, b: a.inner(b), (4,), (4,)),
    "inner with a number": (lambda T, a, b: T.inner(a, b), (), (2, 3)),
    "vdot": (lambda T, a, b: T.vdot(a, b), (3,), (3,)),
    "kron": (lambda T, a, b: T.kron(a, b), (2, 3), (3, 2)),
    "kron of other ranks": (lambda T, a, b: T.kron(a, b), (3,), (2, 3, 2)),
    "cross": (lambda T, a, b: T.cross(a, b, 1), (2, 3), (2, 3)),
    "cross along the first": (lambda T, a, b: T.cross(a, b, dim=0), (3, 2), (3, 1)),
    "linalg.cross": (lambda T, a, b: T.linalg.cross(a, b), (4, 1, 3), (1, 2, 3)),
    "trace": (lambda T, a, b: T.trace(a) * b.sum(), (3, 4), (1,)),
    "multi_dot": (lambda T, a, b: T.linalg.multi_dot([a, b, a, b]), (2, 5), (5, 2)),
    "multi_dot with vectors": (lambda T, a, b: T.linalg.multi_dot([a, b, a[:4]]), (5,), (5, 4)),
    "tensordot": (lambda T, a, b: T.tensordot(a, b, 2), (2, 3, 4), (3, 4, 5)),
    "tensordot with lists": (lambda T, a, b: T.tensordot(a, b, dims=([0, 2], [1, 0])), (2, 3, 4), (4, 2, 5)),
    "tensordot of nothing": (lambda T, a, b: T.tensordot(a, b, 0), (2,), (3,)),
    "vecdot": (lambda T, a, b: T.linalg.vecdot(a, b), (2, 3), (3,)),
    "matrix_power": (lambda T, a, b: T.matrix_power(a, 3) + b, (3, 3), (1,)),
}


@pytest.mark.parametrize("case", PRODUCTS.values(), ids=PRODUCTS)
def test_products(case):
    f, first, second = case

    def run(T):
        a, b = T.tensor(random(*first), requires_grad=True), T.tensor(random(*second, seed=1), requires_grad=True)
        y = f(T, a, b)
        return y, gradients(T, y, a, b)

    same(run, 1e-4, 1e-5)


def test_integer_products():
    same(lambda T: T.trace(T.arange(9).reshape(3, 3)))
    same(lambda T: T.tensor([[1, 2], [3, 4]]).matrix_power(3))
    same(lambda T: T.addmm(T.ones(2).long(), T.ones(2, 2).long(), T.ones(2, 2).long(), beta=2))


def test_deprecated_spellings_warn():
    with pytest.warns(UserWarning, match="dim arg is deprecated"):
        ours.cross(ours.ones(2, 3), ours.ones(2, 3))
    assert ours.chain_matmul(ours.ones(2, 3), ours.ones(3, 4)).shape == (2, 4)  # whose warning is given once


def test_out():
    same(lambda T: T.mm(T.ones(2, 3), T.ones(3, 4), out=T.empty(0)))


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (2,), (1,), (3, 1)]),
    st.sampled_from([(), (2,), (1,), (3, 2)]),
)
def test_matmul_of_any_layout(sizes, swap_left, swap_right, left, right):
    m, k, n, _ = sizes
    a, b = random(*left, *((k, m) if swap_left else (m, k))), random(*right, *((n, k) if swap_right else (k, n)), seed=1)

    def run(T):
        x, y = T.tensor(a.astype(np.float64), requires_grad=True), T.tensor(b.astype(np.float64), requires_grad=True)
        z = (x.mT if swap_left else x) @ (y.mT if swap_right else y)
        return z, gradients(T, z, x, y)

    same(run, 1e-8)
