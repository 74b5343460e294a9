"""What each operation keeps for its backward pass: a second pass and a write in place raise exactly where PyTorch's do."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def other(T):
    return T.tensor([[2.0, 1.0], [0.5, 3.0]])


CASES = {
    "sum": lambda T, a: a.sum(1),
    "mean": lambda T, a: a.mean(1),
    "max": lambda T, a: a.max(),
    "max along": lambda T, a: a.max(1).values,
    "amax": lambda T, a: a.amax(1),
    "aminmax": lambda T, a: T.aminmax(a, dim=1).min,
    "var": lambda T, a: a.var(1),
    "std": lambda T, a: a.std(1),
    "prod": lambda T, a: a.prod(1),
    "norm": lambda T, a: a.norm(dim=1),
    "norm 1": lambda T, a: a.norm(1, dim=1),
    "logsumexp": lambda T, a: a.logsumexp(1),
    "cdist": lambda T, a: T.cdist(a, other(T)),
    "renorm": lambda T, a: a.renorm(2, 0, 1.0),
    "cumsum": lambda T, a: a.cumsum(1),
    "cumprod": lambda T, a: a.cumprod(1),
    "logcumsumexp": lambda T, a: a.logcumsumexp(1),
    "cummax": lambda T, a: a.cummax(1).values,
    "diff": lambda T, a: a.diff(),
    "sort": lambda T, a: a.sort(1).values,
    "topk": lambda T, a: a.topk(1).values,
    "kthvalue": lambda T, a: a.kthvalue(1).values,
    "median": lambda T, a: a.median(),
    "median along": lambda T, a: a.median(1).values,
    "mode": lambda T, a: a.mode(1).values,
    "quantile": lambda T, a: a.quantile(0.5, 1),
    "matmul": lambda T, a: a @ other(T),
    "matmul with itself": lambda T, a: a @ a,
    "linear": lambda T, a: T.nn.functional.linear(a, other(T)),
    "einsum": lambda T, a: T.einsum("ij,jk->ik", a, other(T)),
    "addmm": lambda T, a: T.addmm(a, other(T), other(T)),
    "outer": lambda T, a: T.outer(a[0], a[1]),
    "kron": lambda T, a: T.kron(a, other(T)),
    "trace": lambda T, a: T.trace(a),
    "inverse": lambda T, a: a.inverse(),
    "det": lambda T, a: a.det(),
    "solve": lambda T, a: T.linalg.solve(a, other(T)),
    "cholesky": lambda T, a: T.linalg.cholesky(a @ a.mT),
    "sin": lambda T, a: a.sin(),
    "tan": lambda T, a: a.tan(),
    "asin": lambda T, a: (a / 9).asin(),
    "acosh": lambda T, a: (a + 1).acosh(),
    "tanh": lambda T, a: a.tanh(),
    "sigmoid": lambda T, a: a.sigmoid(),
    "atan2": lambda T, a: T.atan2(a, other(T)),
    "hypot": lambda T, a: T.hypot(a, other(T)),
    "frac": lambda T, a: a.frac(),
    "deg2rad": lambda T, a: a.deg2rad(),
    "sinc": lambda T, a: a.sinc(),
    "erf": lambda T, a: a.erf(),
    "erfinv": lambda T, a: (a / 9).erfinv(),
    "lgamma": lambda T, a: a.lgamma(),
    "i0": lambda T, a: a.i0(),
    "logit": lambda T, a: (a / 9).logit(),
    "logaddexp": lambda T, a: T.logaddexp(a, other(T)),
    "xlogy": lambda T, a: T.xlogy(a, other(T)),
    "copysign": lambda T, a: T.copysign(a, other(T)),
    "nan_to_num": lambda T, a: a.nan_to_num(),
    "frexp": lambda T, a: T.frexp(a).mantissa,
    "lerp": lambda T, a: T.lerp(a, other(T), 0.3),
    "lerp by a tensor": lambda T, a: T.lerp(a, other(T), other(T)),
    "addcmul": lambda T, a: T.addcmul(a, other(T), other(T)),
    "addcmul of a factor": lambda T, a: T.addcmul(other(T), a, other(T)),
    "addcdiv": lambda T, a: T.addcdiv(a, other(T), other(T)),
}


def outcomes(T, f):
    def run(then):
        a = T.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True) + 0
        result = f(T, a)
        total = result.sum()
        try:
            then(a, result, total)
            total.backward()
        except RuntimeError as error:
            return "second time" if "second time" in str(error) else "overwritten" if "inplace" in str(error) else str(error)
        return "fine"

    return [
        run(lambda a, result, total: total.backward()),
        run(lambda a, result, total: a.mul_(2)),
        run(lambda a, result, total: result.mul_(2)),
    ]


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_errors_are_those_of_pytorch(f):
    assert outcomes(ours, f) == outcomes(torch, f)


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_write_through_detach_is_noticed_after_an_earlier_one(lib):
    """The earlier write ended an iteration, after which the leaf and its detached alias are looked up anew."""
    w, x = lib.tensor([[0.5, 1.0], [0.5, -0.5]], requires_grad=True), lib.tensor([[1.5, -1.0], [1.0, -0.5]], requires_grad=True)
    alias = w.detach()
    alias.zero_()
    y = w @ x
    alias.fill_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (y * y).sum().backward()
