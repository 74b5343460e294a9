"""Sorting, ranking, medians, quantiles and searching, against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error  # noqa: E402

X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)
TIES = np.array([[3.0, 1.0, 2.0, 1.0, 3.0], [0.5, -1.0, 0.5, 2.0, 0.5]], np.float32)
NAN = np.array([[3.0, np.nan, 1.0, 2.0, np.nan], [0.5, -1.0, 7.0, 2.0, 0.5]], np.float32)
ALL_NAN = np.array([[np.nan, np.nan], [1.0, np.nan]], np.float32)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("data", [X, TIES, NAN, TIES.astype(np.int64), TIES > 1], ids=["random", "ties", "nan", "integers", "booleans"])
def test_sort(data, dim, descending):
    def run(T):
        x = T.tensor(data)
        return x.sort(dim, descending), T.sort(x, stable=True, dim=dim), T.argsort(x, dim=dim, descending=descending, stable=True)

    same(run)


def test_sort_gradient():
    def run(T):
        x = T.tensor(X, requires_grad=True)
        values, index = x.sort(1)
        assert not index.requires_grad
        return gradients(T, [values, x.msort()], x)

    same(run)


def test_scalars():
    same(lambda T: T.sort(T.tensor(2.0)))
    same(lambda T: T.topk(T.tensor(2.0), 1))
    same(lambda T: T.tensor(2.0).median(0))
    same(lambda T: T.kthvalue(T.tensor(2.0), 1))
    same(lambda T: T.tensor(2.0).mode())
    same(lambda T: T.msort(T.tensor(2.0)))


@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("largest", [True, False])
def test_topk(k, dim, largest):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        found = x.topk(k, dim, largest)
        return found, gradients(T, found.values, x) if k else None

    same(run)


@pytest.mark.parametrize("largest", [True, False])
def test_topk_of_a_long_row(largest):
    data = np.random.default_rng(1).permutation(1000).astype(np.float32).reshape(2, 500)
    data[0, 7] = np.nan
    same(lambda T: T.topk(T.tensor(data), 6, largest=largest))


@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("data", [X, TIES, NAN, ALL_NAN, TIES.astype(np.int64)], ids=["random", "ties", "nan", "all nan", "integers"])
def test_medians(name, data):
    def run(T):
        x = T.tensor(data)
        return getattr(x, name)(), getattr(x, name)(1).values, getattr(x, name)(0, keepdim=True).values

    same(run)


@pytest.mark.parametrize("name", ["median", "nanmedian"])
def test_median_gradients(name):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        y = T.tensor([1.0, 2.0, 2.0, 2.0, 3.0], requires_grad=True)
        z = T.tensor([1.0, 2.0, np.nan, np.nan, 3.0], requires_grad=True)
        return gradients(T, [getattr(x, name)(1).values, getattr(y, name)(), getattr(z, name)()], x, y, z)

    same(run)


def test_median_index_points_at_the_median():
    x = ours.tensor(TIES)
    for found in (x.median(1), x.kthvalue(3, 1), x.mode(1), x.topk(2, 1)):
        index = found.indices if found.indices.ndim == 2 else found.indices.unsqueeze(1)
        values = found.values if found.values.ndim == 2 else found.values.unsqueeze(1)
        assert (x.gather(1, index) == values).all()


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("dim", [1, -2])
def test_kthvalue(k, dim):
    def run(T):
        x = T.tensor(X, requires_grad=True)
        found = x.kthvalue(k, dim, keepdim=True)
        return found, gradients(T, found.values, x)

    same(run)


@pytest.mark.parametrize("data", [X, TIES, TIES.astype(np.int64), np.array([[2.0, 1.0], [1.0, 2.0]], np.float32)])
def test_mode(data):
    same(lambda T: T.mode(T.tensor(data), 1))
    same(lambda T: T.tensor(data).mode(0, True))


@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("q", [0.0, 0.3, 1.0, [0.1, 0.5, 0.9]], ids=str)
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_quantiles(name, interpolation, q, dim):
    def run(T):
        out = []
        for data in (TIES, NAN):
            x = T.tensor(data, requires_grad=True)
            level = T.tensor(q) if isinstance(q, list) else q
            y = getattr(T, name)(x, level, dim, keepdim=True, interpolation=interpolation)
            z = getattr(x.detach(), name)(level, dim, interpolation=interpolation)
            out += [y, z, gradients(T, y, x) if data is TIES else None]
        return out

    same(run)


def test_quantile_refuses():
    for call in (
        lambda T: T.quantile(T.tensor([1, 2]), 0.5),
        lambda T: T.quantile(T.ones(3), 1.5),
        lambda T: T.quantile(T.ones(3), T.tensor([1.5])),
        lambda T: T.quantile(T.ones(3), T.ones(1, 1)),
        lambda T: T.quantile(T.ones(3), 0.5, interpolation="cubic"),
        lambda T: T.quantile(T.ones(3), T.tensor(0.5).double()),
        lambda T: T.quantile(T.ones(0), 0.5),
    ):
        same_error(call)
    same(lambda T: T.quantile(T.ones(3), [0.5]))


def test_sort_refuses():
    same_error(lambda T: T.kthvalue(T.ones(2, 3), 4))
    same_error(lambda T: T.kthvalue(T.ones(2, 3), 0))
    same_error(lambda T: T.topk(T.ones(2, 3), 4))
    same_error(lambda T: T.topk(T.tensor([True]), 1))
    same_error(lambda T: T.median(T.ones(2, 0), 1))
    same_error(lambda T: T.mode(T.ones(0, 3), 0))
    same(lambda T: T.sort(T.ones(2), True))
    same(lambda T: T.sort(T.ones(2), 3))


EDGES = np.array([1.0, 3.0, 3.0, 5.0, 9.0], np.float32)
VALUES = np.array([[3.0, 0.0, 9.5], [np.nan, 5.0, 1.0]], np.float32)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("int32", [False, True])
def test_searching(right, int32):
    same(lambda T: T.searchsorted(T.tensor(EDGES), T.tensor(VALUES), right=right, out_int32=int32))
    same(lambda T: T.bucketize(T.tensor(VALUES), T.tensor(EDGES), right=right, out_int32=int32))
    rows = np.sort(X[0, :2], 1)
    same(lambda T: T.searchsorted(T.tensor(rows), T.tensor(VALUES), right=right))
    same(lambda T: T.searchsorted(T.tensor([1, 3, 5]), T.tensor([2.5, 3.0]), right=right))
    same(lambda T: T.searchsorted(T.tensor([1.0, 3.0, 5.0]), T.tensor([3, 6]), right=right))
    same(lambda T: T.searchsorted(T.tensor(EDGES), 3.0, right=right))
    same(lambda T: T.bucketize(3, T.tensor([1, 3, 5]), right=right))


def test_searching_other_arguments():
    same(lambda T: T.searchsorted(T.tensor(EDGES), T.tensor(VALUES), side="right"))
    same(lambda T: T.searchsorted(T.tensor([5.0, 1.0, 3.0]), T.tensor([2.0]), sorter=T.tensor([1, 2, 0])))
    for call in (
        lambda T: T.searchsorted(T.tensor(EDGES), T.ones(2), side="up"),
        lambda T: T.searchsorted(T.tensor(EDGES), T.ones(2), side="left", right=True),
        lambda T: T.searchsorted(T.ones(2, 3), T.ones(3, 1)),
        lambda T: T.searchsorted(T.tensor(1.0), T.ones(2)),
        lambda T: T.searchsorted(T.ones(2, 3), T.ones(2, 1), sorter=T.ones(2, 3)),
        lambda T: T.searchsorted(T.ones(2, 3), T.ones(2, 1), sorter=T.ones(2, 2).long()),
        lambda T: T.bucketize(T.ones(2), T.ones(2, 2)),
    ):
        same_error(call)


def test_result_types_print_as_in_pytorch():
    assert repr(torch.sort(torch.ones(1))).split("\n")[0] == repr(ours.sort(ours.ones(1))).split("\n")[0]
    values, indices = ours.ones(2, 3).topk(2)
    assert values.shape == indices.shape == (2, 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, np.nan, np.inf, -np.inf]), min_size=1, max_size=12), st.booleans())
def test_stable_order_of_anything(values, descending):
    same(lambda T: T.sort(T.tensor(values), 0, descending))
    same(lambda T: T.tensor(values).nanmedian())
    same(lambda T: T.tensor(values).median())


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "uint8", "bool", "float16"])
def test_equal_elements_stand_as_in_pytorch(kind):
    """Beyond 16 elements the unstable sort does not keep them as they stood."""
    rng = np.random.default_rng(5)
    for n in (16, 17, 40, 41, 300):
        a = rng.integers(0, 2 if kind == "bool" else 5, (3, n)).astype(kind)
        if kind.startswith("float"):
            a[:, :: n // 4] = np.nan
        for descending in (False, True):
            x, y = (T.from_numpy(a.copy()) for T in (torch, ours))
            assert ours.sort(y, 1, descending).indices.tolist() == torch.sort(x, 1, descending).indices.tolist()
            assert y.t().argsort(0, descending).tolist() == x.t().argsort(0, descending).tolist()
            kept = {"dim": 1, "descending": descending, "stable": True}
            assert y.sort(**kept).indices.tolist() == x.sort(**kept).indices.tolist()


def test_kth_of_nothing():
    same(lambda T: T.kthvalue(T.ones(2, 0, 4), 1, 1))
    same(lambda T: T.kthvalue(T.ones(2, 0, 4), 1, 2)[0])


@pytest.mark.parametrize("n", [3, 16, 40, 150, 700])
@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
def test_selections_pick_as_pytorch_does_among_equals(n, dtype):
    data = np.random.default_rng(n).integers(0, 1 + n // 8, (3, n)).astype(dtype)
    if dtype != "int64":
        data[0, [0, n // 2]] = np.nan
        data[1, 1] = -0.0

    def run(T):
        x, found = T.tensor(data), []
        for k in sorted({1, n // 64 or 1, n // 3, n - 1, n}):
            for largest in (True, False):
                found += [x.topk(k, 1, largest).indices, x.topk(k, 1, largest, sorted=False).indices, x.T.topk(k, 0, largest).indices]
            found.append(x.kthvalue(k, 1).indices)
        return [f.tolist() for f in found], x[2].mode().indices.item()

    same(run)


@pytest.mark.parametrize("d", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("n", [2, 5, 16, 17, 40, 200, 700])
def test_mode_among_missing_numbers(n, d):
    """PyTorch sorts by comparing, and a NaN compares with nothing: where the numbers stand around it decides."""
    r = np.random.default_rng(n)
    lines = r.choice([np.nan, 1.0, 2.0, -1.0, np.inf, 3.0, -2.0, 0.5], (20, n), p=[0.25, 0.2, 0.2, 0.1, 0.05, 0.05, 0.1, 0.05])
    single = r.permuted(np.tile(np.arange(float(n)), (20, 1)), axis=1)
    single[:, n // 2] = np.nan
    for x in (lines, single):
        same(lambda T, x=x: [v.double() if v.is_floating_point() else v for v in T.tensor(x).to(getattr(T, d)).mode(1)])
        same(lambda T, x=x: T.tensor(x.T.copy()).to(getattr(T, d)).mode(0).indices)
