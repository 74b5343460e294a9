"""Run one piece of code under PyTorch and under this package and compare what comes out: values, types, shapes, errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

torch.set_num_threads(1)
ERRORS = (IndexError, RuntimeError, TypeError, ValueError, AttributeError)


def plain(x):
    """What is compared of a result. Tensors: type, shape and values; containers: their items."""
    if isinstance(x, (torch.Tensor, ours.Tensor)):
        a = x.detach()
        a = (a.float() if str(x.dtype) == "torch.bfloat16" else a).numpy().copy()
        return str(x.dtype), a
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    return x if x is None or isinstance(x, (bool, int, float, complex, str)) else str(x)


def outcome(run, lib):
    try:
        return plain(run(lib))
    except ERRORS as error:
        return error.with_traceback(None)


def equal(a, b, rtol, atol):
    if isinstance(a, Exception) or isinstance(b, Exception):
        return type(a) is type(b) or (isinstance(a, Exception) and isinstance(b, type(a)))
    if isinstance(a, tuple) and len(a) == 2 and isinstance(a[1], np.ndarray):
        return (
            isinstance(b, tuple)
            and a[0] == b[0]
            and a[1].shape == b[1].shape
            and np.allclose(a[1], b[1], rtol=rtol, atol=atol, equal_nan=True)
        )
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(equal(x, y, rtol, atol) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[k], b[k], rtol, atol) for k in a)
    if isinstance(a, float):
        return isinstance(b, float) and np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    return type(a) is type(b) and a == b


def same(run, rtol=1e-5, atol=1e-6):
    """`run(lib)` gives the same under both libraries; an error must be of the same type (a subclass will do)."""
    want, got = outcome(run, torch), outcome(run, ours)
    assert equal(want, got, rtol, atol), f"\nPyTorch: {want!r}\nours:    {got!r}"
    return got


def same_error(run):
    """Both raise the same error with the same text."""
    want, got = outcome(run, torch), outcome(run, ours)
    assert isinstance(want, Exception), f"PyTorch does not raise: {want!r}"
    assert type(want) is type(got) and str(want).split("\n")[0] == str(got).split("\n")[0], f"\nPyTorch: {want!r}\nours:    {got!r}"


def gradients(lib, result, *leaves):
    """Gradients of a weighted sum of a result (or results), so that every element matters differently."""
    results = [r for r in (result if isinstance(result, (list, tuple)) else [result]) if r.requires_grad]
    total = 0.0
    for r in results:
        weights = np.cos(np.arange(r.numel()) * 0.7 + 0.3).reshape(tuple(r.shape)).astype(np.float32)
        total = total + (r * lib.tensor(weights).to(r.dtype)).sum()
    total.backward()
    return [leaf.grad for leaf in leaves]


def second_gradients(lib, result, *leaves):
    """Gradients of the squared norm of first gradients: through the gradient's own gradient."""
    weights = np.cos(np.arange(result.numel()) * 0.7 + 0.3).reshape(tuple(result.shape)).astype(np.float32)
    first = lib.autograd.grad((result * result * lib.tensor(weights)).sum(), leaves, create_graph=True)
    sum([(g * g).sum() for g in first]).backward()
    return [leaf.grad for leaf in leaves]
