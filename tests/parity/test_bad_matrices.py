"""Functions of matrices refuse the types that PyTorch refuses, with the same errors."""

import pytest

from .test_bad_calls import differs, ours, outcome, torch

FLOAT, HALF, WHOLE = "T.ones(2, 2)", "T.ones(2, 2).half()", "T.ones(2, 2).long()"
#: functions that are given a matrix of integers, and one of low precision
OF_ONE = "cholesky eigh eigvalsh eig svd svdvals qr lu lu_factor det slogdet inv matrix_rank pinv ldl_factor cond"
CALLS = [
    *[f"T.linalg.{name}({x})" for name in OF_ONE.split() for x in (WHOLE, HALF)],
    *[f"T.{name}({x})" for name in ("pinverse", "geqrf", "cholesky_inverse") for x in (WHOLE, HALF)],
    f"T.linalg.solve({HALF}, {HALF})",
    f"T.linalg.solve_triangular({WHOLE}, {WHOLE}, upper=True)",
    f"T.linalg.lstsq({WHOLE}, {FLOAT})",
    f"T.linalg.lstsq({WHOLE}, {WHOLE})",
    f"T.linalg.lstsq({HALF}, {HALF})",
    f"T.linalg.lstsq({FLOAT}, {WHOLE})",
    f"T.linalg.vecdot({WHOLE}, {WHOLE})",
    f"T.linalg.vecdot({FLOAT}, {FLOAT}.double())",
    f"T.linalg.vecdot({FLOAT} > 0, {FLOAT})",
    f"T.linalg.vecdot({HALF}, {HALF})",
    f"T.linalg.multi_dot({FLOAT})",
    f"T.linalg.multi_dot([{FLOAT}, np.ones((2, 2))])",
    f"T.linalg.multi_dot([{FLOAT}, 1])",
    "T.linalg.multi_dot(1)",
]


@pytest.mark.parametrize("code", CALLS)
def test_the_same_error(code):
    want, got = outcome(torch, code), outcome(ours, code)
    assert not differs(want, got), f"{want!r} there, {got!r} here"
    if isinstance(want, NotImplementedError):
        assert str(got) == str(want)
