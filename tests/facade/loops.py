"""The same script under both packages, and what a loop goes on to record."""

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def both(run):
    """`run(T)` under both packages."""
    ours.manual_seed(0)
    torch.manual_seed(0)
    return run(ours), run(torch)


def agree(run, rtol=1e-5, atol=1e-6):
    a, b = both(run)
    np.testing.assert_allclose(np.array(a, dtype=np.float64), np.array(b, dtype=np.float64), rtol=rtol, atol=atol)


def settled(step, steps=6):
    """New nodes and plans of each step."""
    found, before = [], ours.asg.stats()
    for _ in range(steps):
        step()
        after = ours.asg.stats()
        found.append((after["nodes"] - before["nodes"], after["plans"] - before["plans"]))
        before = after
    return found


def small_training(T, read="after", items=None):
    model = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 1))
    opt = T.optim.Adam(model.parameters(), lr=0.05)
    x, y = T.randn(16, 4), T.randn(16, 1)
    losses = [] if items is None else items

    def step():
        opt.zero_grad()
        out = model(x)
        if read == "forward":
            out.mean().item()
        loss = ((out - y) ** 2).mean()
        if read == "before":
            losses.append(loss.item())
        loss.backward()
        if read == "between":
            losses.append(loss.item())
        opt.step()
        if read in ("after", "forward"):
            losses.append(loss.item())

    return step, losses
