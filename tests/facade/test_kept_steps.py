"""What PyTorch's steps save: for every choice of operands that need a gradient, and every operand and result that is overwritten before
the backward pass, both packages refuse the pass or neither does.
"""

import itertools

import pytest

torch = pytest.importorskip("torch")

import numpy as np  # noqa: E402

import torchlike_asg as ours  # noqa: E402


@pytest.fixture(autouse=True)
def _reference(monkeypatch):
    monkeypatch.setattr(ours.config, "backend", "reference")  # only errors are asked for: nothing need be compiled


def numbers(*shape):
    return np.random.default_rng(len(shape)).uniform(0.1, 0.9, shape)


WHERE = np.array([True, False, True])
AT = np.array([0, 2])
REGULAR = numbers(3, 3) + 3 * np.eye(3)
POSITIVE = REGULAR @ REGULAR.T


def written(lib, a, m, v):
    a = a.clone()
    a[m] = v
    return a


def solved(lib, a, b):
    return lib.linalg.lstsq(a, b)[0]


V, W, M = numbers(3), numbers(3), numbers(2, 3)
F = "nn.functional."
#: name -> function of (library, operands), operands
CASES = {
    "layer_norm": (lambda T, x, w, b: T.nn.functional.layer_norm(x, (3,), w, b), M, V, W),
    "layer_norm of planes": (lambda T, x, w, b: T.nn.functional.layer_norm(x, (2, 3), w, b), M, M, M),
    "group_norm": (lambda T, x, w, b: T.nn.functional.group_norm(x, 1, w, b), numbers(2, 3, 2), V, W),
    "batch_norm, training": (lambda T, x, w, b: T.nn.functional.batch_norm(x, None, None, w, b, True), M, V, W),
    "clamp": (lambda T, x, a, b: T.clamp(x, a, b), V, W, W),
    "clamp below": (lambda T, x, a: T.clamp(x, a), V, W),
    "clamp by numbers": (lambda T, x: T.clamp(x, 0.2, 0.5), V),
    "complex": (lambda T, a, b: T.complex(a, b), V, W),
    "polar": (lambda T, a, b: T.polar(a, b), V, W),
    "angle": (lambda T, x: T.angle(x), V),
    "outer": (lambda T, a, b: T.outer(a, b), V, W),
    "inner": (lambda T, a, b: T.inner(a, b), M, M),
    "tensordot": (lambda T, a, b: T.tensordot(a, b, 1), M, REGULAR),
    "addr": (lambda T, x, a, b: T.addr(x, a, b), REGULAR, V, W),
    "addmm": (lambda T, x, a, b: T.addmm(x, a, b), REGULAR, REGULAR, REGULAR),
    "addbmm": (lambda T, x, a, b: T.addbmm(x, a, b), REGULAR, numbers(2, 3, 3), numbers(2, 3, 3)),
    "cross": (lambda T, a, b: T.cross(a, b, dim=1), M, M),
    "linalg.cross": (lambda T, a, b: T.linalg.cross(a, b), M, M),
    "ldexp": (lambda T, a, b: T.ldexp(a, b), V, W),
    "frexp": (lambda T, x: T.frexp(x), V),
    "dist": (lambda T, a, b: T.dist(a, b), V, W),
    "rounded division": (lambda T, a, b: T.div(a, b, rounding_mode="trunc"), V, W),
    "floored division": (lambda T, a, b: T.div(a, b, rounding_mode="floor"), V, W),
    "nansum": (lambda T, x: T.nansum(x), V),
    "log_ndtr": (lambda T, x: T.special.log_ndtr(x), V),
    "cov": (lambda T, x, w: T.cov(x, aweights=w), M, V),
    "max": (lambda T, x: T.max(x, 1), M),
    "max of a number": (lambda T, x: T.max(x, 0), numbers()),
    "median": (lambda T, x: T.median(x, 1), M),
    "kthvalue": (lambda T, x: T.kthvalue(x, 2), M),
    "mode": (lambda T, x: T.mode(x), M),
    "topk": (lambda T, x: T.topk(x, 2), M),
    "sort": (lambda T, x: T.sort(x), M),
    "cummax": (lambda T, x: T.cummax(x, 1), M),
    "index_add": (lambda T, x, i, s: T.index_add(x, 0, i, s), V, AT, numbers(2)),
    "put": (lambda T, x, i, s: T.put(x, i, s), V, AT, numbers(2)),
    "take": (lambda T, x, i: T.take(x, i), V, AT),
    "masked_select": (lambda T, x, m: T.masked_select(x, m), V, WHERE),
    "x[mask]": (lambda T, x, m: x[m], V, WHERE),
    "x[indices]": (lambda T, x, i: x[i], V, AT),
    "x[mask] = v": (written, V, WHERE, numbers(2)),
    "index_put": (lambda T, x, m, v: T.index_put(x, (m,), v), V, WHERE, numbers(2)),
    "linalg.solve": (lambda T, a, b: T.linalg.solve(a, b), REGULAR, numbers(3, 2)),
    "linalg.solve of a vector": (lambda T, a, b: T.linalg.solve(a, b), REGULAR, V),
    "linalg.solve_ex": (lambda T, a, b: T.linalg.solve_ex(a, b), REGULAR, V),
    "linalg.inv_ex": (lambda T, a: T.linalg.inv_ex(a), REGULAR),
    "linalg.tensorinv": (lambda T, a: T.linalg.tensorinv(a, 1), REGULAR),
    "linalg.tensorsolve": (lambda T, a, b: T.linalg.tensorsolve(a, b), REGULAR, V),
    "linalg.cholesky_ex": (lambda T, a: T.linalg.cholesky_ex(a, upper=True), POSITIVE),
    "linalg.lu": (lambda T, a: T.linalg.lu(a), REGULAR),
    "linalg.lu_factor": (lambda T, a: T.linalg.lu_factor(a), REGULAR),
    "linalg.lu_solve": (lambda T, a, p, b: T.linalg.lu_solve(a, p, b), REGULAR, np.array([1, 2, 3], np.int32), numbers(3, 2)),
    "linalg.lstsq": (solved, REGULAR, numbers(3, 2)),
    "linalg.householder_product": (lambda T, a, t: T.linalg.householder_product(a, t), REGULAR, V),
    "ormqr": (lambda T, a, t, c: T.ormqr(a, t, c), REGULAR, V, REGULAR),
    "linalg.matrix_norm": (lambda T, a: T.linalg.matrix_norm(a, float("inf")), REGULAR),
    "fft.fft": (lambda T, x: T.fft.fft(x), V),
    "fft.fft, filled up": (lambda T, x: T.fft.fft(x, 4), V),
    "fft.fft2": (lambda T, x: T.fft.fft2(x), M),
    "fft.rfft2": (lambda T, x: T.fft.rfft2(x), M),
    "bilinear": (lambda T, a, b, w: T.nn.functional.bilinear(a, b, w), M, M, numbers(2, 3, 3)),
    "binary_cross_entropy_with_logits": (
        lambda T, x, y, w: T.nn.functional.binary_cross_entropy_with_logits(x, y, pos_weight=w.detach()), V, W, W,
    ),
    "multi_margin_loss": (lambda T, x, y: T.nn.functional.multi_margin_loss(x, y), REGULAR, np.arange(3)),
    "multilabel_margin_loss": (lambda T, x, y: T.nn.functional.multilabel_margin_loss(x, y), V, np.array([1, -1, 0])),
    "embedding_bag": (
        lambda T, w, i, o, p: T.nn.functional.embedding_bag(i, w, o, mode="sum", per_sample_weights=p), M, np.array([0, 1, 1]), AT, V,
    ),
    "grid_sample": (
        lambda T, x, g: T.nn.functional.grid_sample(x, g, "nearest", align_corners=False), numbers(1, 1, 3, 3), numbers(1, 2, 2, 2),
    ),
    "max_pool2d": (lambda T, x: T.nn.functional.max_pool2d(x, 2, return_indices=True), numbers(1, 1, 4, 4)),
    "adaptive_max_pool2d": (lambda T, x: T.nn.functional.adaptive_max_pool2d(x, 2, return_indices=True), numbers(1, 1, 4, 4)),
}  # fmt: skip


def refused(lib, case, traced, overwritten):
    """Whether backward is refused; "none" if there is no such value, or nothing to differentiate."""
    function, *data = CASES[case]
    operands = [lib.tensor(x) for x in data]
    operands = [x.requires_grad_().clone() if i in traced else x for i, x in enumerate(operands)]
    try:
        results = function(lib, *operands)
    except RuntimeError:
        return "none"
    results = [results] if isinstance(results, lib.Tensor) else list(results)
    targets = operands + results
    roots = [r for r in results if r.requires_grad]
    if overwritten >= len(targets) or not roots:
        return "none"
    with lib.no_grad():
        targets[overwritten].zero_()
    try:
        lib.autograd.backward(roots, [lib.ones_like(r) for r in roots])
    except RuntimeError as error:
        assert "inplace operation" in str(error)
        return True
    return False


def choices(case):
    floats = [i for i, x in enumerate(CASES[case][1:]) if x.dtype.kind == "f"]
    return [c for count in range(1, len(floats) + 1) for c in itertools.combinations(floats, count)]


@pytest.mark.parametrize("case", CASES)
def test_refused_where_pytorch_refuses(case):
    count = len(CASES[case]) - 1
    found = {}
    for traced in choices(case):
        for k in range(count + 3):
            pair = refused(torch, case, traced, k), refused(ours, case, traced, k)
            if pair[0] != pair[1]:
                found[traced, f"operand {k}" if k < count else f"result {k - count}"] = pair
    assert not found, "(PyTorch, this package)"
