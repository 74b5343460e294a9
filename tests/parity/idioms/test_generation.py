"""Sampling while contexts grow, episodes, and depths drawn at random: the same numbers under PyTorch and here."""

import math

import pytest

torch = pytest.importorskip("torch")

from ..scripts import regression, same, steady  # noqa: E402


class TestGeneration:
    @staticmethod
    def bigram(T):
        class Model(T.nn.Module):
            def __init__(self):
                super().__init__()
                self.token = T.nn.Embedding(12, 8)
                self.position = T.nn.Embedding(6, 8)
                self.head = T.nn.Linear(8, 12)
                self.register_buffer("mask", T.tril(T.ones(6, 6)).view(1, 6, 6))

            def forward(self, idx):
                _, n = idx.size()
                x = self.token(idx) + self.position(T.arange(0, n, dtype=T.long).unsqueeze(0))
                att = (x @ x.transpose(-2, -1)) * (1.0 / math.sqrt(x.size(-1)))
                att = att.masked_fill(self.mask[:, :n, :n] == 0, float("-inf"))
                return self.head(T.nn.functional.softmax(att, dim=-1) @ x)

        return Model()

    def test_growing_context(self):
        def run(T):
            model = self.bigram(T).eval()
            idx = T.zeros((2, 1), dtype=T.long)
            with T.no_grad():
                for _ in range(9):
                    logits = model(idx[:, -6:])[:, -1, :] / 0.8
                    v, _ = T.topk(logits, 5)
                    logits[logits < v[:, [-1]]] = -float("Inf")
                    probs = T.nn.functional.softmax(logits, dim=-1)
                    idx = T.cat((idx, T.multinomial(probs, num_samples=1)), dim=1)
            return idx, "".join("abcdefghijkl"[i] for i in idx[0].tolist())

        same(run)

    def test_a_full_window_is_steady(self):
        def make(T):
            model = self.bigram(T).eval()
            state = {"idx": T.zeros((1, 6), dtype=T.long)}

            def step():
                with T.no_grad():
                    probs = T.nn.functional.softmax(model(state["idx"][:, -6:])[:, -1, :], dim=-1)
                    state["idx"] = T.cat((state["idx"], T.multinomial(probs, 1)), dim=1)[:, -6:]
                return state["idx"][0, -1].item()

            return step

        steady(make)

    def test_generators(self):
        def run(T):
            g = T.Generator().manual_seed(2147483647)
            P = T.rand((5, 5), generator=g)
            P = P / P.sum(1, keepdim=True)
            ix, out = 0, []
            for _ in range(20):
                ix = T.multinomial(P[ix], num_samples=1, replacement=True, generator=g).item()
                out.append(ix)
            state = g.get_state()
            a = T.randn(3, generator=g)
            g.set_state(state)
            return out, a, T.randn(3, generator=g), T.randperm(10, generator=g), T.randint(0, 9, (4,), generator=g), g.initial_seed()

        same(run, rtol=1e-6)

    def test_sampled_characters(self):
        """Names by counts, as in a bigram model trained by gradient descent on one-hot rows."""

        def run(T):
            F = T.nn.functional
            xs, ys = T.tensor([0, 5, 2, 2, 1]), T.tensor([5, 2, 2, 1, 0])
            g = T.Generator().manual_seed(7)
            W = T.randn((6, 6), generator=g, requires_grad=True)
            for _ in range(15):
                xenc = F.one_hot(xs, num_classes=6).float()
                counts = (xenc @ W).exp()
                probs = counts / counts.sum(1, keepdims=True)
                loss = -probs[T.arange(5), ys].log().mean() + 0.01 * (W**2).mean()
                W.grad = None
                loss.backward()
                W.data += -1.0 * W.grad
            N = T.zeros((6, 6), dtype=T.int32)
            for a, b in zip(xs, ys, strict=True):
                N[a, b] += 1
            return loss.item(), W, N, (N + 1).float() / (N + 1).sum(1, keepdim=True)

        same(run)

    def test_policy_gradient_episodes(self):
        def run(T):
            D = T.distributions
            policy = T.nn.Sequential(T.nn.Linear(2, 8), T.nn.ReLU(), T.nn.Linear(8, 3), T.nn.Softmax(dim=-1))
            optimizer = T.optim.Adam(policy.parameters(), lr=0.02)
            out = []
            for length in (3, 5, 4):
                state, log_probs, rewards = T.tensor([0.1, -0.2]), [], []
                for _ in range(length):
                    m = D.Categorical(policy(state.unsqueeze(0)))
                    action = m.sample()
                    log_probs.append(m.log_prob(action))
                    rewards.append(1.0 if action.item() == 1 else 0.1)
                    state = T.tensor([state[1].item(), 0.5 * action.item() - 0.3])
                R, returns = 0, []
                for r in rewards[::-1]:
                    R = r + 0.9 * R
                    returns.insert(0, R)
                returns = T.tensor(returns)
                returns = (returns - returns.mean()) / (returns.std() + 1e-6)
                loss = T.cat([-lp * R for lp, R in zip(log_probs, returns, strict=True)]).sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                out.append((loss.item(), rewards))
            return out

        same(run)

    def test_random_depth(self):
        """A number of layers drawn at every step, with a shared weight."""

        def run(T):
            import random

            random.seed(3)
            first, middle, last = T.nn.Linear(4, 6), T.nn.Linear(6, 6), T.nn.Linear(6, 1)
            params = [p for m in (first, middle, last) for p in m.parameters()]
            optimizer = T.optim.SGD(params, lr=1e-2, momentum=0.9)
            x, y = regression(T)
            losses = []
            for _ in range(8):
                h = first(x).clamp(min=0)
                for _ in range(random.randint(0, 3)):
                    h = middle(h).clamp(min=0)
                loss = (last(h) - y).pow(2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        same(run)
