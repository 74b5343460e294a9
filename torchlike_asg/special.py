"""torch.special: special functions, many of them also in the torch namespace."""

from __future__ import annotations

import math as _numbers
from typing import Any

from . import dtypes as _dtypes
from .asg.node import weak as _weak
from .errors import Unsupported
from .facade.core import Tensor, node_of, unary, wrap
from .facade.functions.pointwise import _either
from .facade.misfits import combination as _combination
from .facade.register import FUNCTIONS, function, named
from .facade.steps import step as _step
from .ops import cylinder as _cylinder
from .ops import gamma as _gamma
from .ops import math as _elementary
from .ops import polynomial as _polynomial
from .ops.formula import refuse as _refuse

#: names of functions that the torch namespace has, too, sometimes under another name
_SHARED = {
    name: name
    for name in (
        "digamma",
        "erf",
        "erfc",
        "erfinv",
        "exp2",
        "expm1",
        "i0",
        "log1p",
        "log_softmax",
        "logit",
        "logsumexp",
        "polygamma",
        "sinc",
        "softmax",
        "xlogy",
    )
}
_SHARED |= {
    "expit": "sigmoid",
    "gammainc": "igamma",
    "gammaincc": "igammac",
    "gammaln": "lgamma",
    "multigammaln": "mvlgamma",
    "psi": "digamma",
}
globals().update({ours: FUNCTIONS[theirs] for ours, theirs in _SHARED.items()})


#: those of one operand that have kernels of half precision, too
_HALF = frozenset(("entr", "i0e", "i1", "i1e", "xlog1py"))


def _full(name: str, t: Tensor) -> Tensor:
    """The operand or result of a function, which is refused in half precision."""
    if t.dtype in (_dtypes.float16, _dtypes.bfloat16):
        raise _refuse(f"{name}_cpu", t.dtype)
    return t


def _one(name: str, op: Any, doc: str) -> Any:
    def f(input: Tensor, *, out: Tensor | None = None) -> Tensor:
        return unary(op, input if any_precision else _full(name, input))

    any_precision = name in _HALF
    return function(method=False, namespace=False)(named(f, name, doc))


def _two(name: str, op: Any, doc: str) -> Any:
    def f(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        found = _either(op, input, other, f"special_{name}")
        return found if any_precision else _full(name, found)

    any_precision = name in _HALF
    return function(method=False, namespace=False)(named(f, name, doc))


def _family(name: str, kind: str, doc: str) -> Any:
    def f(input: Any, n: Any, *, out: Tensor | None = None) -> Tensor:
        if not (isinstance(input, Tensor) or isinstance(n, Tensor)):
            raise _combination(f"special_{name}", (input, n), {}, ", but expected (Tensor input, Tensor n) or (Tensor input, Number n)")
        x, degree = (node_of(v) if isinstance(v, Tensor) else _weak(v) for v in (input, n))
        return _full(name, wrap(_polynomial.orthogonal_polynomial(x, degree, kind, 0)))

    return function(method=False, namespace=False)(named(f, name, doc))


airy_ai = _one("airy_ai", _cylinder.airy_ai, "Airy's function Ai.")
bessel_j0 = _one("bessel_j0", _cylinder.bessel_j0, "The Bessel function of the first kind of order 0.")
bessel_j1 = _one("bessel_j1", _cylinder.bessel_j1, "The Bessel function of the first kind of order 1.")
bessel_y0 = _one("bessel_y0", _cylinder.bessel_y0, "The Bessel function of the second kind of order 0: NaN for negative values.")
bessel_y1 = _one("bessel_y1", _cylinder.bessel_y1, "The Bessel function of the second kind of order 1: NaN for negative values.")
entr = _one("entr", _gamma.entr, "``-x log x``: 0 at 0, -inf below.")
erfcx = _one("erfcx", _gamma.erfcx, "``exp(x^2) erfc(x)``.")
i0e = _one("i0e", _gamma.i0e, "``exp(-|x|) I0(x)``, the scaled modified Bessel function of order 0.")
i1 = _one("i1", _gamma.i1, "The modified Bessel function of the first kind of order 1.")
i1e = _one("i1e", _gamma.i1e, "``exp(-|x|) I1(x)``.")
log_ndtr = _one("log_ndtr", _gamma.log_ndtr, "The logarithm of the standard normal distribution function.")
modified_bessel_k0 = _one("modified_bessel_k0", _cylinder.bessel_k0, "The modified Bessel function of the second kind of order 0.")
modified_bessel_k1 = _one("modified_bessel_k1", _cylinder.bessel_k1, "The modified Bessel function of the second kind of order 1.")
scaled_modified_bessel_k0 = _one("scaled_modified_bessel_k0", _cylinder.bessel_k0e, "``exp(x) K0(x)``.")
scaled_modified_bessel_k1 = _one("scaled_modified_bessel_k1", _cylinder.bessel_k1e, "``exp(x) K1(x)``.")
spherical_bessel_j0 = _one("spherical_bessel_j0", _cylinder.spherical_j0, "``sin(x) / x``, the spherical Bessel function of order 0.")
ndtri = _one("ndtri", _gamma.ndtri, "The quantile of the standard normal distribution.")
modified_bessel_i0 = _one("modified_bessel_i0", _gamma.i0, "The modified Bessel function of the first kind of order 0.")
modified_bessel_i1 = _one("modified_bessel_i1", _gamma.i1, "The modified Bessel function of the first kind of order 1.")
xlog1py = _two("xlog1py", _elementary.xlog1py, "``input * log1p(other)``, and 0 where `input` is 0.")
zeta = _two("zeta", _gamma.zeta, "The Hurwitz zeta function: the sum over k >= 0 of ``(k + other) ** -input``.")


@function(method=False, namespace=False)
def round(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """Round half to even, to `decimals` places."""
    return FUNCTIONS["round"](input, decimals=decimals)  # type: ignore[no-any-return]


@function(method=False, namespace=False)
@_step("MulBackward1")
def ndtr(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The standard normal distribution function: the probability of values up to `input`."""
    return wrap(_gamma.erfc(node_of(input) * -_numbers.sqrt(0.5)) * 0.5)  # type: ignore[operator]


#: public name -> family of ops/polynomial.py
_FAMILIES = {
    "hermite_polynomial_h": "hermite_h",
    "hermite_polynomial_he": "hermite_he",
    "laguerre_polynomial_l": "laguerre_l",
    "legendre_polynomial_p": "legendre_p",
    **{f"{s}chebyshev_polynomial_{k}": f"{s}chebyshev_{k}" for s in ("", "shifted_") for k in "tuvw"},
}
globals().update(
    {
        name: _family(name, kind, f"The {name.split('_polynomial')[0].replace('_', ' ').title()} polynomial ({kind[-1]}) of degree `n`.")
        for name, kind in _FAMILIES.items()
    }
)

__all__ = [
    *_SHARED,
    *_FAMILIES,
    "airy_ai",
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "entr",
    "erfcx",
    "i0e",
    "i1",
    "i1e",
    "log_ndtr",
    "modified_bessel_i0",
    "modified_bessel_i1",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "ndtr",
    "ndtri",
    "round",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "spherical_bessel_j0",
    "xlog1py",
    "zeta",
]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torch.special.{name} is not implemented; evaluate it on x.numpy() with SciPy if no gradient is needed")
