"""Compare a function of torch.nn.functional under PyTorch and here: values, types, strides, gradients and second gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same_error  # noqa: E402

torch.set_num_threads(1)


def normal(*shape, seed=0, dtype=np.float32):
    return np.asarray(np.random.default_rng(seed + 17 * len(shape) + sum(shape)).standard_normal(shape), dtype)


def positive(*shape, seed=0, dtype=np.float32):
    """Numbers between 0 and 1."""
    return np.random.default_rng(seed + 31 * len(shape) + sum(shape)).uniform(0.05, 0.95, shape).astype(dtype)


def found(lib, function):
    return getattr(lib.nn.functional, function) if isinstance(function, str) else function(lib)


def _tensor(lib, value, tracked):
    if isinstance(value, np.ndarray):
        t = lib.tensor(value)
        return t.requires_grad_() if tracked and value.dtype.kind == "f" else t
    return value


def _weights(lib, y, phase=0.0):
    """Different for every element, so that no two gradients cancel."""
    a = np.cos(np.arange(max(y.numel(), 1)) * 0.7 + 0.3 + phase)[: y.numel()].reshape(tuple(y.shape))
    return lib.tensor(a.astype(np.float64)).to(y.dtype)


def observed(lib, function, args, kwargs, constant, order):
    args = [_tensor(lib, a, i not in constant and order > 0) for i, a in enumerate(args)]
    kwargs = {k: _tensor(lib, v, k not in constant and order > 0) for k, v in kwargs.items()}
    result = found(lib, function)(*args, **kwargs)
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    out = {"types": [str(r.dtype) for r in results], "shapes": [tuple(r.shape) for r in results]}
    out["values"] = [r.detach().float().numpy() if "bfloat" in str(r.dtype) else r.detach().numpy().copy() for r in results]
    leaves = [t for t in [*args, *kwargs.values()] if hasattr(t, "requires_grad") and t.requires_grad]
    if order and leaves and results[0].requires_grad:
        total = (results[0] * _weights(lib, results[0])).sum()
        grads = lib.autograd.grad(total, leaves, create_graph=order > 1, allow_unused=True)
        out["gradients"] = [None if g is None else g.detach().numpy().copy() for g in grads]
        if order > 1:
            again = [(g * _weights(lib, g, i + 1.0)).sum() for i, g in enumerate(grads) if g is not None and g.requires_grad]
            if again:
                second = lib.autograd.grad(sum(again), leaves, allow_unused=True)
                out["second gradients"] = [None if g is None else g.detach().numpy().copy() for g in second]
    return out


def agree(function, *args, constant=(), order=1, rtol=2e-5, atol=2e-6, **kwargs):
    """`function` (a name in torch.nn.functional, or lib -> callable) gives the same under both libraries.

    Arrays become tensors; floating ones are differentiated by, except those in `constant` (positions or names). `order` of gradients:
    0, 1 or 2.
    """
    want = observed(torch, function, args, kwargs, constant, order)
    got = observed(ours, function, args, kwargs, constant, order)
    assert got["types"] == want["types"] and got["shapes"] == want["shapes"], (got, want)
    for what in ("values", "gradients", "second gradients"):
        if what == "second gradients" and (what not in want or what not in got):  # a linear function: zeros or nothing
            present = want.get(what) or got.get(what) or []
            assert all(g is None or not np.any(g) for g in present)
            continue
        assert (what in got) == (what in want), (what, got, want)
        for i, (a, b) in enumerate(zip(got.get(what, []), want.get(what, []), strict=True)):
            if a is None or b is None:
                rest = a if b is None else b
                assert rest is None or not np.any(rest), f"{what} {i}: one is None"
                assert what == "second gradients" or (a is None) == (b is None), f"{what} {i}: one is None"
                continue
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{what} {i} of {function} {kwargs}")
    return got


def agree_twice(function, *args, constant=(), **kwargs):
    """`agree` in float64, with second gradients."""
    args = tuple(a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in args)
    kwargs = {k: v.astype(np.float64) if isinstance(v, np.ndarray) and v.dtype == np.float32 else v for k, v in kwargs.items()}
    return agree(function, *args, constant=constant, order=2, rtol=1e-7, atol=1e-8, **kwargs)


def refuses(function, *args, **kwargs):
    """Both raise the same error with the same text."""

    def run(lib):
        a = [_tensor(lib, v, False) for v in args]
        return found(lib, function)(*a, **{k: _tensor(lib, v, False) for k, v in kwargs.items()})

    same_error(run)
