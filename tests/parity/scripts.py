"""Run one script under PyTorch and under this package, and compare every number it reports."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

torch.set_num_threads(1)


def plain(x):
    """Tensors as (type, array); containers item by item; the rest as it is."""
    if isinstance(x, (torch.Tensor, ours.Tensor)):
        a = x.detach().cpu()
        return str(x.dtype), (a.float() if str(x.dtype) == "torch.bfloat16" else a).numpy().copy()
    if isinstance(x, np.ndarray):
        return str(x.dtype), x
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)) and not hasattr(x, "numel"):
        return [plain(v) for v in x]
    return x if x is None or isinstance(x, (bool, int, float, str)) else str(x)


def check(got, want, rtol, atol, where="result"):
    """`got` equals `want`: same types and structure, numbers within the tolerances."""
    assert type(got) is type(want), (where, got, want)
    if isinstance(want, tuple):
        assert got[0] == want[0] and got[1].shape == want[1].shape, (where, got, want)
        np.testing.assert_allclose(got[1], want[1], rtol=rtol, atol=atol, err_msg=where)
    elif isinstance(want, list):
        assert len(got) == len(want), (where, got, want)
        for i, (a, b) in enumerate(zip(got, want, strict=True)):
            check(a, b, rtol, atol, f"{where}[{i}]")
    elif isinstance(want, dict):
        assert list(got) == list(want), (where, list(got), list(want))
        for k in want:
            check(got[k], want[k], rtol, atol, f"{where}[{k!r}]")
    elif isinstance(want, float):
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=where)
    else:
        assert got == want, (where, got, want)


def outcome(run, lib, seed=0):
    """What `run(lib)` reports, from a fixed seed."""
    lib.manual_seed(seed)
    return plain(run(lib))


def same(run, rtol=2e-4, atol=1e-5):
    """`run(lib)` reports the same under both libraries; returns what this package reports."""
    got, want = outcome(run, ours), outcome(run, torch)
    check(got, want, rtol, atol)
    return got


def new_work(step, warm=3, more=4):
    """How many nodes, plans and compilations `step` causes after `warm` calls, in `more` further ones."""
    for _ in range(warm):
        step()
    ours.sync()
    before = ours.asg.stats()
    for _ in range(more):
        step()
    ours.sync()
    after = ours.asg.stats()
    return {k: after[k] - before[k] for k in ("nodes", "plans", "compiles")}


def steady(make, warm=3):
    """The loop body that `make(lib)` returns meets nothing new from iteration `warm` on."""
    ours.manual_seed(0)
    assert new_work(make(ours), warm) == {"nodes": 0, "plans": 0, "compiles": 0}


def regression(T, n=64, inputs=4):
    x = T.linspace(-1, 1, n * inputs).view(n, inputs)
    return x, (x[:, :1] ** 2).sin() + 0.3 * x[:, 1:2]


def mlp(T, inputs=4, outputs=1, hidden=8):
    return T.nn.Sequential(T.nn.Linear(inputs, hidden), T.nn.Tanh(), T.nn.Linear(hidden, outputs))
