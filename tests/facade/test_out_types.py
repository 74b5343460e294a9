"""The element types that ``out=`` may have: what is refused, and in which type a result is computed for it."""

import pytest

torch = pytest.importorskip("torch")

from .compare import same  # noqa: E402

#: functions of a matrix x, and of an ``out`` that PyTorch wants to be of the result's type
EXACT = {
    "nonzero": lambda T, x, out: T.nonzero(x, out=out),
    "searchsorted": lambda T, x, out: T.searchsorted(x[0], x, out=out),
    "bucketize": lambda T, x, out: T.bucketize(x, x[0], out_int32=True, out=out),
    "inner": lambda T, x, out: T.inner(x, x, out=out),
    "tensordot": lambda T, x, out: T.tensordot(x, x, 1, out=out),
    "take": lambda T, x, out: T.take(x, T.tensor([0]), out=out),
    "take_along_dim": lambda T, x, out: T.take_along_dim(x, T.zeros(2, 1, dtype=T.long), 1, out=out),
    "where": lambda T, x, out: T.where(x > 1, x, x, out=out),
    "tril": lambda T, x, out: T.tril(x, out=out),
    "clamp": lambda T, x, out: T.clamp(x, 0, 1, out=out),
    "clamp by tensors": lambda T, x, out: T.clamp(x, x, x, out=out),
    "inverse": lambda T, x, out: T.inverse(x, out=out),
    "det": lambda T, x, out: T.linalg.det(x, out=out),
    "solve": lambda T, x, out: T.linalg.solve(x, x, out=out),
    "vector_norm": lambda T, x, out: T.linalg.vector_norm(x, out=out),
    "matrix_norm": lambda T, x, out: T.linalg.matrix_norm(x, out=out),
    "multi_dot": lambda T, x, out: T.linalg.multi_dot([x, x], out=out),
    "index_add": lambda T, x, out: T.index_add(x, 0, T.tensor([0]), x[:1], out=out),
    "scatter_add": lambda T, x, out: T.scatter_add(x, 1, T.zeros(2, 1, dtype=T.long), x, out=out),
    "float_power": lambda T, x, out: T.float_power(x, x, out=out),
    "narrow_copy": lambda T, x, out: T.narrow_copy(x, 0, 0, 1, out=out),
    "t_copy": lambda T, x, out: T.t_copy(x, out=out),
    "values of sort": lambda T, x, out: T.sort(x, 1, out=(out, T.empty(0, dtype=T.long)))[0],
    "indices of topk": lambda T, x, out: T.topk(x, 1, out=(T.empty(0, dtype=x.dtype), out))[1],
    "indices of kthvalue": lambda T, x, out: T.kthvalue(x, 1, out=(T.empty(0, dtype=x.dtype), out))[1],
    "values of max": lambda T, x, out: T.max(x, 1, out=(out, T.empty(0, dtype=T.long)))[0],
    "the larger": lambda T, x, out: T.max(x, x, out=out),
    "median": lambda T, x, out: T.median(x, 1, out=(out, T.empty(0, dtype=T.long)))[0],
    "joined": lambda T, x, out: T.cat([x, x], out=out),
    "stacked": lambda T, x, out: T.hstack([x, x], out=out),
    "nonzero_static": lambda T, x, out: T.nonzero_static(x, size=3, out=out),
    "slice_scatter": lambda T, x, out: T.slice_scatter(x, x[:1], 0, 1, 2, out=out),
    "cholesky": lambda T, x, out: T.linalg.cholesky(x, out=out),
    "triangles": lambda T, x, out: T.linalg.lu(x, out=(T.empty(0), out, T.empty(0)))[1],
    "lu_factor_ex": lambda T, x, out: T.linalg.lu_factor_ex(x, out=(out, T.empty(0, dtype=T.int32), T.empty(0, dtype=T.int32)))[0],
    "ldl_factor": lambda T, x, out: T.linalg.ldl_factor(x, out=(out, T.empty(0, dtype=T.int32)))[0],
    "irfft": lambda T, x, out: T.fft.irfft(x + 0j, out=out),
    "hfft2": lambda T, x, out: T.fft.hfft2(x + 0j, out=out),
    "fftfreq": lambda T, x, out: T.fft.fftfreq(5, 0.5, out=out),
    "rfftfreq": lambda T, x, out: T.fft.rfftfreq(5, 0.5, out=out),
    "differences": lambda T, x, out: T.diff(x, out=out),
}


@pytest.mark.parametrize("call", EXACT.values(), ids=EXACT)
def test_types_that_are_refused(call):
    for given in ("float32", "float64", "int64", "int32", "complex64"):
        same(lambda T, given=given: call(T, T.tensor([[3.0, 1.0], [1.0, 2.0]]), T.empty(0, dtype=getattr(T, given))))


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "nansum", "nanmean", "logsumexp", "std", "var"])
@pytest.mark.parametrize("given", ["float32", "float64", "bool"])
def test_reductions_are_computed_in_the_type_of_out(reduce, given):
    def run(T):
        x = T.tensor([[0.1, 1.7, 3.3], [4.9, 5.2, -0.6]])
        return getattr(T, reduce)(x, 1, out=T.empty(0, dtype=getattr(T, given)))

    if given == "bool" and reduce.startswith("nan"):
        pytest.skip("refused by both, in PyTorch because there is no kernel")
    same(run, rtol=1e-6 if given == "float32" else 1e-8, atol=0)


@pytest.mark.parametrize("make", ["zeros", "ones", "eye"])
def test_booleans_are_made(make):
    same(lambda T: getattr(T, make)(2, out=T.empty(0, dtype=T.bool)))


FILL = {
    "arange": lambda T, out: T.arange(0, 4, out=out),
    "range": lambda T, out: T.range(0, 3, out=out),
    "linspace": lambda T, out: T.linspace(0, 3, 4, out=out),
    "logspace": lambda T, out: T.logspace(0, 3, 4, base=2, out=out),
    "randperm": lambda T, out: T.randperm(4, out=out).shape,
}


@pytest.mark.filterwarnings("ignore:torch.range is deprecated", "ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("fill", FILL.values(), ids=FILL)
def test_numbers_in_a_row_keep_the_shape_that_they_fill(fill):
    def run(T):
        whole = T.zeros(2, 3)
        out = whole[:, 1:]
        fill(T, out)
        return out.shape, None if len(out.shape) == 1 else whole

    same(run)
