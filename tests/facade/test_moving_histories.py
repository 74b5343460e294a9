"""Writes at places that change from step to step, into what has a history or of what has one."""

import gc
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.facade import moving  # noqa: E402

from .compare import equal, outcome, same  # noqa: E402
from .test_moving import PLACES, WRITES, counts  # noqa: E402


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("traced", ["both", "value", "storage"])
def test_a_write_at_a_moving_place_has_gradients(name, traced):
    """The graph stays the same, and values and gradients are those of PyTorch."""
    start = np.arange(36, dtype=np.float32).reshape(6, 6) / 9

    def loop(T, seen):
        w, b = T.tensor(start, requires_grad=True), T.tensor(start[0] + 0.5, requires_grad=True)

        def step(i):
            y = w * 2 if traced != "value" else w.detach() * 2
            v = b * 1.5 if traced != "storage" else b.detach() * 1.5
            row, whole = y[2], y.view(-1)
            for at in (PLACES[i], PLACES[-1 - i]):
                WRITES[name](y, v, at)
            y[1] = 7.0
            loss = (y * y).sum() + row.sum() * whole[3] + y._version + (w.sum() + b.sum())
            loss.backward()
            seen.extend([loss.item(), w.grad.numpy().copy(), b.grad.numpy().copy()])
            w.grad = b.grad = None

        return step

    found, wanted = [], []
    assert counts(loop(ours, found))[8:] == [(0, 0)] * 6
    step = loop(torch, wanted)
    for i in range(len(found) // 3):
        step(i)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5)


def test_the_rows_of_a_solver():
    """``solution[i] = state`` in a loop that reads values on its way, a different number of times before each row: an adaptive solver's."""

    def run(T, plans=None):
        rng, found = np.random.default_rng(1), []
        w = T.tensor(rng.standard_normal((3, 3)) / 4, requires_grad=True)
        for _ in range(8):
            state = T.tensor(rng.standard_normal((2, 3))) @ w
            solution = T.empty(9, 2, 3, dtype=T.float64)
            solution[0] = state
            for i in range(1, 9):
                while True:
                    state = state + (state @ w).tanh() * 0.1
                    if state.abs().sum().item() >= 0 and rng.random() < 0.6:
                        break
                solution[i] = state
            (solution[rng.integers(9)] * solution).sum().backward()
            found.append(w.grad.tolist())
            w.grad = None
            if plans is not None:
                plans.append(ours.asg.stats()["plans"])
        return found

    plans = []
    np.testing.assert_allclose(run(ours, plans), run(torch), rtol=1e-9)
    assert plans[-1] == plans[3], plans


def names(t):
    found, f = [], t.grad_fn
    while f is not None and len(found) < 5:
        found.append((f.name(), len(f.next_functions)))
        f = next((g for g, _ in f.next_functions if g is not None), None)
    return found


def test_names_hooks_and_second_passes():
    def run(T):
        w, found = T.tensor(np.arange(12.0).reshape(6, 2), requires_grad=True), []
        for i in PLACES:
            y = w * 2
            row, part = y[i], y[i % 3 : i % 3 + 2]
            found += [names(row), names(part), names(y[i, 1])]
            y[i] = w[1] * 5
            found += [names(y), names(row), y._version, row._version]
            y.grad_fn.register_hook(lambda given, _, found=found: found.append(given))
            z = y[i].exp()
            loss = (y * y).sum() + z.sum() + row.sum()
            loss.backward()
            found.append(w.grad.clone())
            for again in (loss, y.sum()):
                with pytest.raises(RuntimeError, match="a second time"):
                    again.backward()
            q = y * y
            y[i] = 1.0
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                q.sum().backward()
            y = w * 2
            y[:, i % 2] = w[i, 0] ** 3
            (g,) = T.autograd.grad((y**3).sum(), w, create_graph=True)
            (g**2).sum().backward()
            found.append(w.grad)
            w.grad = None
        return found

    same(run, 1e-5)


def test_complex_numbers():
    def run(T):
        w, found = T.tensor(np.arange(12.0).reshape(6, 2), requires_grad=True), []
        for i in PLACES[:6]:
            c = T.complex(w * 1, w * 2)
            c[i] = T.complex(w[0], w[1]) * c[i - 1]
            (c * c.conj() * c[i].abs().sum()).real.sum().backward()
            found.append(w.grad)
            w.grad = None
        return found

    same(run)


# ---------------------------------------------------------------- random programs
_BASES = ["w * 2", "w.exp()", "(w * 2).t().contiguous().t()", "T.zeros(5, 3, dtype=T.float64)", "w.detach() * 3",
          "(w * 2).view(-1).view(5, 3)"]  # fmt: skip
_VALUES = ["b * s", "c", "b * 2", "w[p] * s", "s", "2.5", "y[k] * b", "y[p] + b", "w[k].detach()", "c * y[k].detach()"]
_WRITES = ["y[p] = {}", "y[k] = {}", "y[p - 5] = {}", "y[p % 4 : p % 4 + 2] = {}", "y[:, p % 3] = s", "y[p, p % 3] = s", "y[p] += {}",
           "y[k].mul_({})", "y[p][:1].add_(s)", "row = y[p]; row.mul_({}); found.append(row.sum())", "y[p].zero_()", "y[..., p % 3] += s",
           "y.view(-1)[p] = s", "y.narrow(0, p, 1).add_({})"]  # fmt: skip
_OTHERS = ["s = T.tanh(s + w[p].sum())", "found.append(s.item())", "found.append(s.item())", "found.append(y.sum().item())",
           "kept.append(y[p].exp().sum())", "kept.append((y * y).sum())", "seen.append(y[p])", "seen.append(y[p : p + 1])",
           "seen.append(y.detach())", "found.append([v._version for v in seen])", "found.append([v.sum().item() for v in seen])",
           "with T.no_grad(): y[p] = c", "y.data[p] = c", "y.detach()[k] = 1.5", "y = y * 1.5", "y.mul_(1.25)",
           "y[p].sum().backward(retain_graph=True)"]  # fmt: skip
_ENDS = ["(y * y).sum() + s", "y.sum() * s + sum(kept)", "(y ** 3).sum() + sum(v.sum() for v in seen)"]
_PASSES = ["loss.backward(); found.append(w.grad)", "loss.backward(retain_graph=True); loss.backward(); found.append(w.grad)",
           "loss.backward(); loss.backward()",
           "g, = T.autograd.grad(loss, w, create_graph=True); (g * g).sum().backward(); found += [g, w.grad]"]  # fmt: skip


def program(seed):
    r = random.Random(seed)
    lines = [r.choice(_WRITES).format(r.choice(_VALUES)) if r.random() < 0.5 else r.choice(_OTHERS) for _ in range(r.randint(2, 6))]
    places = [[r.randrange(5) for _ in range(r.choice([1, 2, 3]))] for _ in range(r.randint(4, 6))]
    return "\n".join(
        ["for ps in places:", "  w.grad = b.grad = None", f"  y, s, k, kept, seen = {r.choice(_BASES)}, b.sum(), ps[-1], [], []"]
        + ["  try:", "    for p in ps:", *[f"      {line}" for line in lines]]
        + [f"    loss = {r.choice(_ENDS)}", f"    {r.choice(_PASSES)}", "    found += [b.grad, y, y._version]"]
        + ["  except RuntimeError as error: found.append(str(error)[:24])"]
    ), places


def execute(T, code, places):
    w = T.tensor(np.arange(15).reshape(5, 3) % 4 / 4 + 0.5, dtype=T.float64, requires_grad=True)
    b, c = T.tensor(np.arange(3) / 3 - 0.4, requires_grad=True), T.tensor(np.arange(3) / 5 + 0.1)
    found = []
    exec(code, {"T": T, "w": w, "b": b, "c": c, "found": found, "places": places})
    return found


@pytest.mark.parametrize("always", [False, True], ids=["found", "always"])
def test_random_programs(always, monkeypatch):
    if always:
        monkeypatch.setattr(moving, "moves", lambda *_: True)
    for seed in range(20 if always else 15):
        code, places = program(seed)
        want, got = [outcome(lambda T, code=code, places=places: execute(T, code, places), T) for T in (torch, ours)]
        assert equal(want, got, 1e-6, 1e-8), (seed, code, places, want, got)
        del want, got
        gc.collect(0)
