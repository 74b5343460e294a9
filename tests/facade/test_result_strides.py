"""Strides of results of Fourier transforms and of linear algebra, and where PyTorch's are others on purpose."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same  # noqa: E402


class Inputs:
    """Functions that make operands: `a` real, `c` complex numbers, `spd` symmetric positive definite matrices."""

    def __init__(self, lib):
        self.lib, self.T, self.L, self.F = lib, lib, lib.linalg, lib.fft

    def a(self, *shape):
        return self.lib.from_numpy(np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape))

    def c(self, *shape):
        return self.lib.complex(self.a(*shape), self.a(*shape) + 1)

    def spd(self, *shape):
        m = self.a(*shape)
        return m @ m.transpose(-1, -2) + 5 * self.lib.eye(shape[-1], dtype=self.lib.float64)


def layouts(lib, expression):
    inputs = Inputs(lib)
    found = eval(expression, {name: getattr(inputs, name) for name in ("T", "L", "F", "a", "c", "spd")})
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    return [(tuple(r.shape), tuple(r.stride())) for r in results]


REAL, COMPLEX = ("a(4,5,6)", "a(4,5,6).transpose(0,2)", "a(4,5).t()"), ("c(4,5,6)", "c(4,5,6).permute(2,0,1)", "c(4,5).t()")
ONE = ("", "dim=0", "dim=1", "n=3,dim=0", "n=8,dim=1")
SEVERAL = ("", "dim=(0,1)", "dim=(1,0)", "dim=(1,)")
TRANSFORMS = [
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("fft", "ifft"), REAL + COMPLEX, ONE)],
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("rfft", "ihfft"), REAL, ONE)],
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("irfft", "hfft"), COMPLEX, ONE)],
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("fft2", "fftn", "ifft2", "ifftn"), REAL[:2] + COMPLEX, SEVERAL)],
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("rfft2", "rfftn"), REAL, SEVERAL)],
    *[f"F.{f}({x},{k})" for f, x, k in itertools.product(("irfft2", "irfftn"), COMPLEX, SEVERAL)],
]


def test_transforms():
    different = {e: (got, want) for e in TRANSFORMS if (got := layouts(ours, e)) != (want := layouts(torch, e))}
    assert different == {}


MATRICES = """
    L.cholesky(spd(3,3)); L.cholesky(spd(3,3),upper=True); L.cholesky(spd(2,3,3),upper=True)
    L.cholesky_ex(spd(2,3,3),upper=True);
    L.solve(spd(3,3),a(3)); L.solve(spd(2,3,3),a(2,3)); L.solve(spd(2,2,3,3),a(2,2,3)); L.solve(spd(2,3,3),a(2,3,4))
    L.solve(spd(3,3),a(3,4)); L.solve(spd(3,3),a(4,3),left=False); L.inv(spd(2,3,3)); L.qr(a(4,3)); L.qr(a(2,4,3),'complete')
    L.svd(a(2,4,3)); L.svd(a(4,3),full_matrices=False); L.eigh(spd(2,3,3)); L.eig(a(2,3,3)); L.lu(a(2,3,3))
    L.lu_factor(a(2,3,3)); L.pinv(a(4,3))
    L.matrix_power(spd(2,3,3),3); L.solve_triangular(spd(3,3),a(3,2),upper=True); L.matrix_exp(a(2,3,3)); L.slogdet(spd(2,3,3))
    T.cholesky_solve(a(3,2),L.cholesky(spd(3,3))); T.cholesky_inverse(L.cholesky(spd(3,3))); L.householder_product(a(4,3),a(3))
    L.ldl_factor(spd(2,3,3)); L.vander(a(3),N=4); L.cross(a(4,3),a(4,3)); L.multi_dot([a(2,3),a(3,4),a(4,2)]); T.geqrf(a(4,3))
    T.svd(a(2,3,4)); T.stft(a(40),8,return_complex=True,window=T.ones(8,dtype=T.float64)); L.tensorsolve(a(6,2,3),a(6)); L.inv(spd(3,3).t())
    L.tensorinv(a(2,3,6),ind=2); L.lstsq(a(4,4),a(4,3))[:1]; L.lstsq(a(2,3,5),a(2,3,2))[:1]
    L.solve_triangular(spd(3,3),a(4,3),upper=False,left=False)
    L.solve_triangular(spd(2,3,3).mT,a(2,4,3).mT.contiguous().mT,upper=True,left=False)
"""
#: results that PyTorch leaves as a part of LAPACK's larger workspace, or in the order in which it happened to compute
DIFFERENT = ("L.lstsq(a(5,3),a(5,2))",)


@pytest.mark.parametrize("expression", [e.strip() for line in MATRICES.strip().splitlines() for e in line.split(";") if e.strip()])
def test_matrices(expression):
    assert layouts(ours, expression) == layouts(torch, expression)


@pytest.mark.parametrize("expression", DIFFERENT)
def test_what_differs_is_contiguous_here(expression):
    """Whoever has mended one moves it to the table above."""
    (shape, strides), want = layouts(ours, expression)[0], layouts(torch, expression)[0]
    assert shape == want[0] and strides != want[1]
    assert tuple(ours.empty(shape).stride()) == strides or tuple(ours.empty(shape).mT.contiguous().mT.stride()) == strides


#: results that lie row by row whatever lies otherwise: what calls `view` on them runs
ROWS = {
    "addmm": lambda T: T.addmm(T.ones(3, 2).t(), T.ones(2, 4), T.ones(4, 3)),
    "addmm with beta": lambda T: T.addmm(T.ones(3, 2).t(), T.ones(2, 4), T.ones(4, 3), beta=2),
    "addmm expanded": lambda T: T.addmm(T.ones(2, 1).expand(2, 3), T.ones(2, 4), T.ones(4, 3)),
    "baddbmm": lambda T: T.baddbmm(T.ones(2, 4, 3).mT, T.ones(2, 3, 5), T.ones(2, 5, 4)),
    "addbmm": lambda T: T.addbmm(T.ones(4, 3).t(), T.ones(2, 3, 5), T.ones(2, 5, 4)),
    "rot90": lambda T: T.rot90(T.ones(3, 2).t(), 4),
    "narrow_copy": lambda T: T.narrow_copy(T.ones(3, 4).t(), 0, 1, 2),
    "pad circular": lambda T: T.nn.functional.pad(T.ones(1, 2, 3, 4).to(memory_format=T.channels_last), (1, 1, 1, 1), mode="circular"),
    "adaptive_avg_pool3d": lambda T: T.nn.functional.adaptive_avg_pool3d(T.ones(1, 2, 3, 4, 5).to(memory_format=T.channels_last_3d), 2),
    "adaptive_max_pool3d": lambda T: T.nn.functional.adaptive_max_pool3d(T.ones(1, 2, 3, 4, 5).to(memory_format=T.channels_last_3d), 2),
    "adaptive_avg_pool3d to one": lambda T: T.nn.functional.adaptive_avg_pool3d(
        T.ones(1, 2, 3, 4, 5).to(memory_format=T.channels_last_3d), 1
    ),
}
#: those that a step of PyTorch's leaves behind
LEFT = {
    "nonzero": lambda T: T.nonzero(T.eye(3)),
    "nonzero of zeros": lambda T: T.nonzero(T.zeros(2, 3)),
    "nonzero of a number": lambda T: T.nonzero(T.tensor(0.0)),
    "argwhere of zeros": lambda T: T.argwhere(T.zeros(2, 3, 4).bool()),
    "a diagonal of one element": lambda T: T.diag(T.ones(3, 5), -2),
    "a diagonal, copied": lambda T: T.diag(T.ones(3, 5), -2).clone(),
    "unravel_index": lambda T: T.unravel_index(T.arange(6).reshape(2, 3).t(), (3, 4, 5))[1],
    "unravel_index of a number": lambda T: T.unravel_index(T.tensor(7), (3, 4))[0],
    "quantile": lambda T: T.quantile(T.ones(4, 6), T.tensor([0.1, 0.5])),
    "quantile of all": lambda T: T.quantile(T.ones(4, 6), T.tensor([0.1, 0.5]), keepdim=True),
    "quantile of one level": lambda T: T.quantile(T.ones(4, 6), T.tensor([0.5]), dim=0, keepdim=True),
    "nanquantile": lambda T: T.nanquantile(T.ones(4, 6, 8).permute(1, 2, 0), T.tensor([0.5, 0.1]), dim=1, keepdim=True),
}
#: those that follow their input
FOLLOWING = {
    "atleast_3d": lambda T: T.atleast_3d(T.ones(3, 2).t()),
    "atleast_3d of a vector": lambda T: T.atleast_3d(T.ones(6)[::2]),
    "atleast_2d": lambda T: T.atleast_2d(T.ones(6)[::2]),
    "float": lambda T: T.ones(3, 2).t().float(memory_format=T.contiguous_format),
    "double": lambda T: T.ones(3, 2).t().double(memory_format=T.contiguous_format),
    "to": lambda T: T.ones(1, 2, 3, 4).to(memory_format=T.channels_last).to(memory_format=T.contiguous_format),
    "msort": lambda T: T.msort(T.ones(2, 3, 4).permute(2, 0, 1)),
    "adaptive_avg_pool2d": lambda T: T.nn.functional.adaptive_avg_pool2d(T.ones(1, 2, 3, 4).to(memory_format=T.channels_last), 2),
}


def test_rows():
    cases = ROWS | LEFT | FOLLOWING
    assert {n: f(ours).stride() for n, f in cases.items()} == {n: f(torch).stride() for n, f in cases.items()}


#: results that lie as PyTorch's do, beside those above
LAID_OUT = """
    T.unique(T.zeros(3,4,5),dim=1)
    T.unique(T.arange(60.).reshape(3,4,5),dim=1)
    T.unique(T.arange(60.).reshape(3,4,5),dim=2)
    T.unique_consecutive(T.arange(60.).reshape(3,4,5),dim=1)
    T.ones(()).expand(1,1)
    T.ones(()).expand(1,3)
    T.ones(()).expand(3,1)
    T.ones(2).expand(1,2)
    F.conv1d(T.ones(2,5,4).transpose(1,2),T.ones(3,4,2))
    F.conv1d(T.ones(4,2).t(),T.ones(3,2,2))
    F.conv1d(T.ones(2,4,5),T.ones(3,2,4).transpose(1,2))
    F.conv_transpose1d(T.ones(2,5,4).transpose(1,2),T.ones(4,3,2))
    F.avg_pool1d(T.ones(2,6,4).transpose(1,2),2)
    F.avg_pool1d(T.ones(6,4).t(),2)
    F.adaptive_avg_pool1d(T.ones(2,6,4).transpose(1,2),3)
    F.adaptive_max_pool1d(T.ones(2,6,4).transpose(1,2),3)
    F.adaptive_avg_pool1d(T.ones(2,6,4).transpose(1,2),1)
    F.lp_pool1d(T.ones(2,6,4).transpose(1,2),2,2)
    F.interpolate(T.ones(2,6,4).transpose(1,2),3,mode="area")
    F.interpolate(T.ones(2,6,4).transpose(1,2),3)
    F.adaptive_avg_pool3d(T.ones(1,8,4,4,4).contiguous(memory_format=T.channels_last_3d),2)
    F.max_unpool2d(*F.max_pool2d(T.ones(1,3,4,4).contiguous(memory_format=T.channels_last),2,return_indices=True),2)
    F.conv_transpose2d(T.ones(1,3,4,4).contiguous(memory_format=T.channels_last),T.ones(3,2,2,2))
    F.conv_transpose3d(T.ones(1,3,4,4,4).contiguous(memory_format=T.channels_last_3d),T.ones(3,2,2,2,2))
    T.addr(T.ones(5,4).t(),T.ones(4),T.ones(5))
    T.put(T.ones(5,4).t(),T.tensor([0]),T.ones(1))
    T.mvlgamma(T.ones(5,4).t()+3,2)
    T.ones(5,4).t().__radd__(T.ones(4,5))
    T.linalg.matrix_power(T.ones(3,3).t(),0)
    T.linalg.lu_solve(*T.linalg.lu_factor(T.eye(3)),T.ones(3,2))
    T.quantile(T.ones(3,4),T.tensor([.1,.2]),dim=1,keepdim=True)
    T.quantile(T.ones(3,4),T.tensor([.1,.2]),dim=0,keepdim=True)
"""


@pytest.mark.parametrize("expression", LAID_OUT.split("\n")[1:-1], ids=str.strip)
def test_results(expression):
    def found(lib):
        results = eval(expression.strip(), {"T": lib, "F": lib.nn.functional})
        return [(tuple(r.shape), tuple(r.stride())) for r in (results if isinstance(results, (tuple, list)) else [results])]

    assert found(ours) == found(torch)


@pytest.mark.parametrize(
    "run",
    [
        lambda T, x, c, out: T.add(x, x, out=out),
        lambda T, x, c, out: T.exp(x, out=out),
        lambda T, x, c, out: T.eq(x, x, out=T.empty(0, dtype=T.bool)),
        lambda T, x, c, out: T.sub(x, x, out=T.ones(2, 3)),
        lambda T, x, c, out: T.where(x > 0, x, -x, out=out),
        lambda T, x, c, out: T.cat([c, c], 1, out=out),
        lambda T, x, c, out: T.mul(c, 2, out=out),
        lambda T, x, c, out: T.sort(x, 1, out=(out, T.empty(0, dtype=T.int64)))[0],
        lambda T, x, c, out: T.sum(x, 1, keepdim=True, out=out),
        lambda T, x, c, out: T.cumsum(x, 1, out=out),
        lambda T, x, c, out: T.abs(x + 0j, out=out),
        lambda T, x, c, out: T.fft.fft(x + 0j, dim=1, out=T.empty(0, dtype=T.complex64)),
        lambda T, x, c, out: T.add(x, x, out=T.ones(4, 2, 3)),
        lambda T, x, c, out: T.linalg.inv(c[0], out=out),
    ],
)
@pytest.mark.filterwarnings("ignore:An output")
def test_outputs_that_take_another_shape_take_the_layout_too(run):
    def layout(T):
        x = T.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)
        c = (T.arange(96.0) % 7).reshape(2, 3, 4, 4).contiguous(memory_format=T.channels_last) + 9 * T.eye(4)
        out = run(T, x, c, T.empty(0))
        return out, out.stride()

    same(layout)
