"""Named tuples of results, printed as PyTorch's `torch.return_types`: ``values, indices = x.max(0)`` or ``x.max(0).values``."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

__all__ = ["Named", "named"]


#: where the types are offered, and found again when a result is unpickled
_HOME = f"{__name__.partition('.')[0]}.return_types"


class Named:
    """Mixin of all result tuples: how they print."""

    __slots__ = ()
    _fields: tuple[str, ...]

    def __repr__(self) -> str:
        body = ",\n".join([f"{k}={getattr(self, k)!r}" for k in self._fields])
        return f"torch.return_types.{type(self).__name__}(\n{body})"


def named(name: str, *fields: str) -> Any:
    """A new result type."""
    base: Any = namedtuple(name, fields)  # type: ignore[misc]
    return type(name, (Named, base), {"__slots__": (), "__doc__": f"The results of `{name}`: {', '.join(fields)}.", "__module__": _HOME})


max_, min_, median, nanmedian, mode, kthvalue, sort, topk, cummax, cummin = [
    named(n, "values", "indices") for n in ("max", "min", "median", "nanmedian", "mode", "kthvalue", "sort", "topk", "cummax", "cummin")
]
aminmax = named("aminmax", "min", "max")
frexp = named("frexp", "mantissa", "exponent")

slogdet = named("slogdet", "sign", "logabsdet")
triangular_solve = named("triangular_solve", "solution", "cloned_coefficient")
svd, qr = named("svd", "U", "S", "V"), named("qr", "Q", "R")
linalg_slogdet = named("linalg_slogdet", "sign", "logabsdet")
linalg_svd, linalg_qr = named("linalg_svd", "U", "S", "Vh"), named("linalg_qr", "Q", "R")
linalg_eigh = named("linalg_eigh", "eigenvalues", "eigenvectors")
linalg_eig = named("linalg_eig", "eigenvalues", "eigenvectors")
linalg_cholesky_ex = named("linalg_cholesky_ex", "L", "info")
linalg_inv_ex, linalg_solve_ex = named("linalg_inv_ex", "inverse", "info"), named("linalg_solve_ex", "result", "info")
linalg_lstsq = named("linalg_lstsq", "solution", "residuals", "rank", "singular_values")
linalg_lu_factor, linalg_lu_factor_ex = named("linalg_lu_factor", "LU", "pivots"), named("linalg_lu_factor_ex", "LU", "pivots", "info")
linalg_lu, lu_unpack, lu_with_info = (
    named("linalg_lu", "P", "L", "U"),
    named("lu_unpack", "P", "L", "U"),
    named("_lu_with_info", "LU", "pivots", "info"),
)
linalg_ldl_factor, linalg_ldl_factor_ex = named("linalg_ldl_factor", "LD", "pivots"), named("linalg_ldl_factor_ex", "LD", "pivots", "info")
geqrf = named("geqrf", "a", "tau")
histogram, histogramdd = named("histogram", "hist", "bin_edges"), named("histogramdd", "hist", "bin_edges")
