"""Writes in place, through slices, masks and `.data`: the same numbers under PyTorch and here."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..scripts import regression, same, steady  # noqa: E402


class TestMutation:
    def test_in_place_methods(self):
        def run(T):
            x = T.arange(12.0).view(3, 4)
            before = x * 2
            x.add_(1).mul_(2).clamp_(max=15).div_(3)
            x[0].fill_(-1)
            x.t()[1].zero_()
            x.masked_fill_(x > 4, 0.5)
            y = T.zeros(3, 5).scatter_(1, T.tensor([[0], [4], [2]]), 1.0)
            z = T.zeros(4, 2)
            z.index_fill_(0, T.tensor([1, 3]), 2.0)
            z.index_add_(0, T.tensor([0, 0, 1]), T.ones(3, 2))
            label = T.empty(4)
            label.fill_(0.9)
            label.copy_(T.arange(4))
            return before, x, y, z, label

        same(run)

    def test_forward_forward_labels(self):
        def run(T):
            def overlay(x, y):
                x_ = x.clone()
                x_[:, :10] *= 0.0
                x_[range(x.shape[0]), y] = x.max()
                return x_

            x = T.arange(60.0).view(4, 15) / 10
            y = T.tensor([3, 0, 9, 5])
            return overlay(x, y), overlay(x, y.flip(0)), x

        same(run)

    def test_top_k_cut(self):
        def run(T):
            logits = T.randn(3, 11)
            v, _ = T.topk(logits, min(4, logits.size(-1)))
            logits[logits < v[:, [-1]]] = -float("Inf")
            probs = T.nn.functional.softmax(logits, dim=-1)
            return logits.isinf().sum(), probs, T.multinomial(probs, num_samples=1)

        same(run)

    def test_differentiable_slice_assignment(self):
        def run(T):
            weight = T.linspace(-1, 1, 6).view(2, 3).requires_grad_()
            x = T.linspace(0, 2, 12).view(4, 3)
            out = T.zeros(4, 2)
            for i in range(4):
                out[i] = T.tanh(x[i] @ weight.t())
            out[1:, 0] += weight.sum()
            out[out < 0] = 0.25
            (out**2).sum().backward()
            return out, weight.grad

        same(run)

    def test_manual_backprop(self):
        def run(T):
            vocabulary, embedding, hidden, n, block = 9, 4, 10, 8, 3
            g = T.Generator().manual_seed(2147483647)
            C = T.randn((vocabulary, embedding), generator=g)
            W1 = T.randn((embedding * block, hidden), generator=g) * (5 / 3) / ((embedding * block) ** 0.5)
            b1 = T.randn(hidden, generator=g) * 0.1
            W2 = T.randn((hidden, vocabulary), generator=g) * 0.1
            b2 = T.randn(vocabulary, generator=g) * 0.1
            bngain = T.randn((1, hidden)) * 0.1 + 1.0
            parameters = [C, W1, b1, W2, b2, bngain]
            for p in parameters:
                p.requires_grad = True
            Xb = T.randint(0, vocabulary, (n, block), generator=g)
            Yb = T.randint(0, vocabulary, (n,), generator=g)
            emb = C[Xb]
            embcat = emb.view(emb.shape[0], -1)
            hprebn = embcat @ W1 + b1
            bnmeani = 1 / n * hprebn.sum(0, keepdim=True)
            bndiff = hprebn - bnmeani
            bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdim=True)
            bnvar_inv = (bnvar + 1e-5) ** -0.5
            bnraw = bndiff * bnvar_inv
            hpreact = bngain * bnraw
            h = T.tanh(hpreact)
            logits = h @ W2 + b2
            logit_maxes = logits.max(1, keepdim=True).values
            norm_logits = logits - logit_maxes
            counts = norm_logits.exp()
            counts_sum = counts.sum(1, keepdims=True)
            counts_sum_inv = counts_sum**-1
            probs = counts * counts_sum_inv
            logprobs = probs.log()
            loss = -logprobs[range(n), Yb].mean()
            for p in parameters:
                p.grad = None
            watched = [
                logprobs,
                probs,
                counts_sum_inv,
                counts_sum,
                counts,
                norm_logits,
                logit_maxes,
                logits,
                h,
                hpreact,
                bnraw,
                embcat,
                emb,
            ]
            for t in watched:
                t.retain_grad()
            loss.backward()
            dlogprobs = T.zeros_like(logprobs)
            dlogprobs[range(n), Yb] = -1.0 / n
            dprobs = (1.0 / probs) * dlogprobs
            dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
            dcounts = counts_sum_inv * dprobs
            dcounts_sum = (-(counts_sum**-2)) * dcounts_sum_inv
            dcounts += T.ones_like(counts) * dcounts_sum
            dnorm_logits = counts * dcounts
            dlogits = dnorm_logits.clone()
            dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)
            dlogits += T.nn.functional.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes
            dh = dlogits @ W2.T
            dhpreact = (1.0 - h**2) * dh
            dbnraw = bngain * dhpreact
            dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
            dembcat = dhprebn @ W1.T
            demb = dembcat.view(emb.shape)
            dC = T.zeros_like(C)
            for k in range(Xb.shape[0]):
                for j in range(Xb.shape[1]):
                    ix = Xb[k, j]
                    dC[ix] += demb[k, j]
            mine = [
                dlogprobs,
                dprobs,
                dcounts_sum_inv,
                dcounts_sum,
                dcounts,
                dnorm_logits,
                dlogit_maxes,
                dlogits,
                dh,
                dhpreact,
                dbnraw,
                dembcat,
                demb,
            ]
            close = [bool(T.allclose(a, t.grad, atol=1e-5)) for a, t in zip(mine, watched, strict=True)] + [
                bool(T.allclose(dC, C.grad, atol=1e-5))
            ]
            assert all(close), close
            return loss, dC, [p.grad for p in parameters], [t.grad for t in watched]

        same(run)

    def test_data_reads_and_writes(self):
        def run(T):
            w = T.nn.Parameter(T.arange(6.0).view(2, 3) / 10)
            x = T.ones(4, 2)
            kept = w.data
            for _ in range(3):
                loss = (x @ w).pow(2).sum()
                loss.backward()
                w.data -= 0.01 * w.grad.data
                w.grad.data.zero_()
            w.data[0] = 1.0
            w.data.add_(w.data, alpha=-0.5)
            middle = w.detach().clone()
            w.data = T.full((2, 3), 2.0)
            w.data[0, 1].fill_(9)
            return loss, middle, kept, w, w.requires_grad, w.is_leaf

        same(run)

    def test_manual_updates(self):
        def run(T):
            x, y = regression(T)
            w1 = (T.ones(4, 5) * T.linspace(-1, 1, 5)).requires_grad_()
            w2 = T.full((5, 1), 0.1, requires_grad=True)
            losses = []
            for t in range(20):
                loss = (x.mm(w1).clamp(min=0).mm(w2) - y).pow(2).sum()
                losses.append(loss.item())
                loss.backward()
                with T.no_grad():
                    w1 -= 1e-3 * w1.grad
                    w2 -= 1e-3 * w2.grad
                    if t % 2:
                        w1.grad.zero_()
                        w2.grad.zero_()
                    else:
                        w1.grad = None
                        w2.grad = None
            return losses, w1, w2, w1.grad

        same(run)

    @pytest.mark.parametrize("kind", ["no_grad", "data"])
    def test_manual_updates_are_steady(self, kind):
        def make(T):
            x, y = regression(T)
            w = T.zeros(4, 1, requires_grad=True)

            def step():
                loss = (x.mm(w) - y).pow(2).sum()
                loss.backward()
                if kind == "data":
                    w.data -= 1e-3 * w.grad.data
                    w.grad.data.zero_()
                else:
                    with T.no_grad():
                        w.sub_(1e-3 * w.grad)
                        w.grad = None
                return loss.item()

            return step

        steady(make)

    def test_writing_over_what_backward_needs_raises(self):
        for T in (torch, ours):
            w = T.ones(3, requires_grad=True)
            y = (w * 2).exp()
            loss = y.sum()
            y.add_(1)
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()

    def test_writing_a_leaf_raises(self):
        for T in (torch, ours):
            w = T.ones(3, requires_grad=True)
            with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
                w += 1

    def test_a_running_buffer_of_observations(self):
        def run(T):
            obs, done = T.zeros((5, 2, 3)), T.zeros((5, 2))
            state = T.arange(6.0).view(2, 3)
            policy = T.nn.Linear(3, 1)
            values = T.zeros((5, 2))
            for step in range(5):
                obs[step] = state
                done[step] = T.tensor([step % 2, 1 - step % 2])
                with T.no_grad():
                    values[step] = policy(state).flatten()
                state = state * 0.9 + values[step].unsqueeze(1)
            advantages = T.zeros_like(values)
            last = 0
            for t in reversed(range(5)):
                last = advantages[t] = values[t] + 0.9 * (1.0 - done[t]) * last
            flat = obs.reshape((-1, 3))
            inds = np.arange(10)[::-1].copy()
            loss = (policy(flat[inds]).view(-1) - (advantages + values).reshape(-1)[inds]).pow(2).mean()
            loss.backward()
            return obs, done, values, advantages, loss, policy.weight.grad

        same(run)
