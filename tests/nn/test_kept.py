"""Masks and tables that a module makes in its first call and keeps."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..facade.compare import same  # noqa: E402

X = np.random.default_rng(0).standard_normal((3, 6, 8)).astype("f")


def model(T, how):
    class Attention(T.nn.Module):
        def __init__(self):
            super().__init__()
            self.q = T.nn.Linear(8, 8)
            self.mask = self.state = None
            self.register_buffer("rates", 10.0 ** -T.arange(4.0))
            with T.no_grad():
                self.q.weight.copy_(T.tensor(X[0, :1]).expand(8, 8) / 4)
                self.q.bias.zero_()

        def make(self, n):
            if how == "mask":
                self.mask = T.tril(T.ones(n, n)) == 0
            elif how == "buffer":
                self.register_buffer("kept", T.triu(T.ones(n, n), 1).bool()[None], persistent=False)
                self.mask = self.kept
            elif how == "views":
                far = T.arange(n)[None] - T.arange(n)[:, None]
                self.far = far.t().unsqueeze(0)
                self.mask = far > 0
                far[0, 5] = 0
            elif how == "of a buffer":
                at = T.arange(n).float()[:, None] * self.rates
                self.sines = T.cat([at.sin(), at.cos()], 1)[None]
                self.mask = T.triu(T.ones(n, n), 1).bool()
            elif how == "table":
                at = T.outer(T.arange(n).float(), 10.0 ** -T.arange(4.0))
                self.sines = T.cat([at.sin(), at.cos()], 1)[None]
                self.mask = T.triu(T.ones(n, n), 1).bool()

        def forward(self, x):
            if how == "of the input":
                self.mask = (x[0] @ x[0].t() > 1) & (T.arange(6) > 2)
            if self.mask is None or how == "each":
                self.make(x.shape[1]) if how != "each" else setattr(self, "mask", T.triu(T.ones(6, 6), 1).bool())
            if how in ("table", "of a buffer"):
                x = x + self.sines
            if how == "state":
                self.state = T.zeros(3, 6, 8)
                x = x + self.state
                self.mask = T.zeros(6, 6).bool() if self.mask is None else self.mask
            scores = self.q(x) @ x.transpose(1, 2)
            return scores.masked_fill(self.mask, -1e9).softmax(-1) @ x

    return Attention()


def losses(T, how, counts=None, count="plans"):
    m, x, found = model(T, how), T.tensor(X), []
    opt = T.optim.SGD(m.parameters(), lr=0.1)
    for _ in range(5):
        before = ours.asg.stats()[count]
        opt.zero_grad()
        loss = m(x).pow(2).mean()
        loss.backward()
        opt.step()
        found.append(loss.item())
        if counts is not None:
            counts.append(ours.asg.stats()[count] - before)
    return [*found, m.mask.tolist(), m.far.tolist() if how == "views" else None]


@pytest.mark.parametrize("how", ["mask", "buffer", "views", "table", "of a buffer", "of the input", "each", "state"])
def test_the_first_step_has_the_program_of_the_others(how):
    """The mask was part of the first step's program, and data of the others': each model was planned and compiled twice."""
    same(lambda T: losses(T, how), 1e-4)
    counts = []
    losses(
        ours, how, counts, "compiles" if how in ("views", "of a buffer") else "plans"
    )  # what they read is an argument of the first step alone
    assert not any(counts[1 if how != "each" else 2 :]), counts


def test_what_is_kept_shares_its_memory():
    def run(T):
        class Keeps(T.nn.Module):
            def forward(self, x):
                whole = T.arange(6.0) * 2
                part, copy = whole[2:4], whole + 1
                self.whole = whole
                part.add_(10)
                self.whole[0] = 7
                return x + whole, part, copy, whole._version, part._is_view()

        m = Keeps()
        return [m(T.ones(6)) for _ in range(3)], m.whole

    same(run)
