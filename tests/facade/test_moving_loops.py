"""Random loops in which places move from turn to turn: values and gradients are PyTorch's, and late turns build no plan."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg import arena  # noqa: E402

TURNS, STEADY = 22, 18
#: of a 6 x 6 matrix; `i` goes from 0 to 3
PICKS = [
    lambda T, x, i: x[i],
    lambda T, x, i: x[-1 - i],
    lambda T, x, i: x[:, i],
    lambda T, x, i: x[i, 5 - i],
    lambda T, x, i: x[i : i + 2],
    lambda T, x, i: x.narrow(1, i, 3),
    lambda T, x, i: x.select(1, i),
    lambda T, x, i: x.t()[i],
    lambda T, x, i: x.view(-1)[i : i + 5],
    lambda T, x, i: x.unbind(0)[i],
    lambda T, x, i: x.t().unbind(1)[i],
    lambda T, x, i: x.split(1)[i],
    lambda T, x, i: x.split([i, 2, 4 - i], 1)[1],
    lambda T, x, i: x.chunk(6, 1)[i],
    lambda T, x, i: x.tensor_split((i, i + 3))[1],
    lambda T, x, i: list(x)[i],
    lambda T, x, i: x.unbind(0)[i].unbind(0)[5 - i],
    lambda T, x, i: x.as_strided((2, 3), (6, 1), i),
    lambda T, x, i: x.roll(i, 0)[:2],
    lambda T, x, i: x.select_scatter(x[5], 0, i),
    lambda T, x, i: x.slice_scatter(x[4:], 0, i, i + 2),
    lambda T, x, i: x[i : i + 3].flip(0),
    lambda T, x, i: x[i : i + 3].reshape(-1),
    lambda T, x, i: x.unfold(0, 2, 1)[i],
    lambda T, x, i: T.nn.functional.pad(x, (i, 4 - i)),
    lambda T, x, i: T.nn.functional.pad(x[None], (i, 4 - i, 1, 0), mode="replicate"),
    lambda T, x, i: x.tril(i - 2),
    lambda T, x, i: x.triu(i),
    lambda T, x, i: x * T.arange(i, i + 6),
    lambda T, x, i: x[T.arange(i, i + 2)],
    lambda T, x, i: x.masked_fill(T.arange(6) < i, 0.5),
    lambda T, x, i: T.where(T.arange(6) == i, x, -x),
    lambda T, x, i: x.index_select(0, T.tensor([i])),
    lambda T, x, i: x.t() @ T.nn.functional.one_hot(T.tensor(i), 6).to(x.dtype),
]
OF = [lambda w, d: w, lambda w, d: w * 1.5, lambda w, d: (w * 2).t(), lambda w, d: d * 2, lambda w, d: w.detach()]


def loop(T, seed, plans):
    pick, rng = random.Random(seed), np.random.default_rng(seed)
    w, b, d = (
        T.tensor(rng.standard_normal((6, 6)), requires_grad=True),
        T.tensor(0.75, dtype=T.float64, requires_grad=True),
        rng.standard_normal((6, 6)),
    )
    d = T.tensor(d, dtype=T.float64)
    of, picks, pair = pick.choice(OF), pick.sample(PICKS, 3), pick.random() < 0.4
    found = []
    for _ in range(TURNS):
        i, j = pick.randrange(4), pick.randrange(4)
        x, before = of(w, d), ours.asg.stats()["plans"]
        parts = [p(T, x, i) for p in picks] + [picks[0](T, x, j)] * pair
        loss = sum([(part * b).tanh().sum() * (k + 1) for k, part in enumerate(parts)])
        loss.backward()
        found += [loss.item(), b.grad.item(), None if w.grad is None else w.grad.numpy().copy()]
        w.grad = b.grad = None
        plans.append(ours.asg.stats()["plans"] - before)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_random_loops(seed):
    arena.collect()
    want, plans = loop(torch, seed, []), []
    got = loop(ours, seed, plans)
    for a, b in zip(want, got, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9)
    assert not any(plans[STEADY:]), plans
