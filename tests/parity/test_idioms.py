"""Eager habits of real scripts, each as a small script that must report the same numbers under PyTorch and here."""

import copy
import io
import math
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .scripts import same, steady  # noqa: E402


def regression(T, n=64, inputs=4):
    x = T.linspace(-1, 1, n * inputs).view(n, inputs)
    return x, (x[:, :1] ** 2).sin() + 0.3 * x[:, 1:2]


def mlp(T, inputs=4, outputs=1, hidden=8):
    return T.nn.Sequential(T.nn.Linear(inputs, hidden), T.nn.Tanh(), T.nn.Linear(hidden, outputs))


# ---------------------------------------------------------------- observations
class TestObservation:
    def test_item_at_every_step(self):
        def run(T):
            x, y = regression(T)
            model = mlp(T)
            optimizer = T.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            losses = []
            for _ in range(10):
                optimizer.zero_grad()
                loss = T.nn.functional.mse_loss(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses

        same(run)

    def test_item_at_every_step_is_steady(self):
        def make(T):
            x, y = regression(T)
            model = mlp(T)
            optimizer = T.optim.Adam(model.parameters(), lr=0.1)

            def step():
                optimizer.zero_grad()
                loss = T.nn.functional.mse_loss(model(x), y)
                loss.backward()
                optimizer.step()
                return loss.item()

            return step

        steady(make)

    def test_formatting_without_item(self):
        def run(T):
            loss = T.tensor(2.0) / 7
            count, flag = T.tensor(3), T.tensor(True)
            whole = T.tensor([[1.0, 2.5], [-3.0, 1e-3]])
            return [
                f"{loss:.4f}",
                "{:.4f} after {:d} of {}".format(loss, count, flag),  # noqa: UP032
                "%.3f %d %s" % (loss, count, count),  # noqa: UP031
                f"{loss}",
                f"{count:>5}",
                str(whole),
                repr(whole.requires_grad_()),
                str(whole.sum()),
                str(T.tensor([1, 2, 3])),
            ]

        same(run)

    def test_branches_on_tensors(self):
        def run(T):
            taken = []
            for t in T.arange(4):
                if t == 0:
                    taken.append("zero")
                elif t % 2:
                    taken.append("odd")
                else:
                    taken.append(int(t))
            correct = T.tensor([True, False])
            taken += [i for i in range(2) if not correct[i]]
            taken.append(bool((T.ones(3) > 0).all()))
            a, b = T.tensor(2.0), T.tensor(3.0)
            taken.append(max(a, b) is b)
            taken.append([1, 2, 3][T.tensor(1)])
            taken.append(list(range(T.tensor(3))))
            return taken

        same(run)

    def test_a_tensor_of_several_values_is_no_condition(self):
        for T in (torch, ours):
            with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
                if T.zeros(2):
                    pass

    def test_loop_until_the_loss_is_small(self):
        def run(T):
            x, _ = regression(T)
            target = T.tensor([[1.0], [-2.0], [0.5], [3.0]])
            weight = T.zeros(4, 1, requires_grad=True)
            i = 0
            while True:
                i += 1
                loss = ((x @ weight - x @ target) ** 2).mean()
                loss.backward()
                with T.no_grad():
                    weight -= 0.5 * weight.grad
                    weight.grad.zero_()
                if loss.item() < 1e-2:
                    break
            return i, loss, weight

        same(run)

    def test_numpy_round_trips(self):
        def run(T):
            class Net(T.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.first, self.second = T.nn.Linear(3, 4), T.nn.Linear(4, 2)

                def forward(self, x):
                    h = self.first(x).tanh()
                    scale = float(np.abs(h.data.numpy()).max())
                    order = T.from_numpy(np.argsort(h.detach().cpu().numpy().sum(1)).copy())
                    return self.second(h / scale)[order]

            net = Net()
            x = T.from_numpy(np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3))
            out = net(x)
            (out**2).sum().backward()
            array = np.asarray(out.detach())
            return out, array, [p.grad for p in net.parameters()], float(np.mean(out.data.numpy())), out.tolist()

        same(run)

    def test_numpy_shares_memory(self):
        def run(T):
            t = T.zeros(3)
            a = t.numpy()
            t.add_(2)
            seen = a.copy()
            a[1] = 7
            total = (t * 2).sum()
            b = np.ones(3)
            u = T.from_numpy(b)
            b[0] = 5
            u[2] = -1
            return seen, total, t, u, b

        same(run)

    def test_numpy_numbers_and_arrays_as_operands(self):
        def run(T):
            x, n = T.ones(3), T.ones(3, dtype=T.int32)
            numbers = [np.float64(2.5), np.float32(2.5), np.int64(2), np.uint8(2)]
            out = [
                [x * v, v * x, x + v, x - v, v - x, x / v, x > v, x == v, T.mul(x, v), x.clamp(v), x.masked_fill(x > 0, v), n * v]
                for v in numbers
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch's own, about NumPy 2
                return [*out, x * np.arange(3.0), np.sqrt(x * 4), T.tensor(2.0) * np.float64(2) + np.ones(2)]

        same(run)

    def test_an_array_times_a_tensor_that_requires_grad_raises(self):
        for T in (torch, ours):
            with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
                T.ones(2, requires_grad=True) * np.ones(2)

    def test_numpy_of_a_tensor_that_requires_grad_raises(self):
        for T in (torch, ours):
            with pytest.raises(RuntimeError, match=r"Can't call numpy\(\) on Tensor that requires grad"):
                T.ones(2, requires_grad=True).numpy()


# ---------------------------------------------------------------- mutation
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


# ---------------------------------------------------------------- backward in all its uses
class TestBackward:
    def gan(self, T, detach):
        G, D = mlp(T, 3, 4, 6), T.nn.Sequential(mlp(T, 4, 1, 6), T.nn.Sigmoid())
        opt_g, opt_d = T.optim.Adam(G.parameters(), lr=0.01), T.optim.Adam(D.parameters(), lr=0.01)
        bce = T.nn.BCELoss()
        real = T.linspace(0, 1, 32).view(8, 4)
        ones, zeros = T.ones(8, 1), T.zeros(8, 1)

        def step():
            fake = G(T.randn(8, 3))
            g_loss = bce(D(fake), ones)
            opt_g.zero_grad()
            g_loss.backward(retain_graph=not detach)
            opt_g.step()
            opt_d.zero_grad()  # `fake` is of the generator before its step
            d_loss = (bce(D(real), ones) + bce(D(fake.detach() if detach else fake.data), zeros)) / 2
            d_loss.backward()
            opt_d.step()
            return g_loss.item(), d_loss.item()

        return step

    @pytest.mark.parametrize("detach", [True, False])
    def test_gan_with_older_activations(self, detach):
        def run(T):
            step = self.gan(T, detach)
            return [step() for _ in range(6)]

        same(run)

    def test_gan_is_steady(self):
        steady(lambda T: self.gan(T, True), warm=4)

    def test_gan_on_lines(self):
        """Both losses from activations made before either optimizer's step."""

        def run(T):
            G, D = mlp(T, 5, 15, 8), T.nn.Sequential(mlp(T, 15, 1, 8), T.nn.Sigmoid())
            opt_d, opt_g = T.optim.Adam(D.parameters(), lr=0.01), T.optim.Adam(G.parameters(), lr=0.01)
            points = T.linspace(-1, 1, 15).unsqueeze(0).repeat(6, 1)
            out = []
            for _ in range(5):
                artist = points * points * 1.5
                paintings = G(T.randn(6, 5, requires_grad=True))
                judged = D(paintings)
                g_loss = T.mean(T.log(1.0 - judged))
                opt_g.zero_grad()
                g_loss.backward()
                opt_g.step()
                d_loss = -T.mean(T.log(D(artist)) + T.log(1.0 - D(paintings.detach())))
                opt_d.zero_grad()
                d_loss.backward(retain_graph=True)
                opt_d.step()
                out.append((g_loss.item(), d_loss.item(), D(artist).data.numpy().mean().item()))
            return out

        same(run)

    def test_retain_graph(self):
        def run(T):
            w = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
            loss = (w**3).sum()
            loss.backward(retain_graph=True)
            first = w.grad.clone()
            loss.backward()
            return first, w.grad

        same(run)

    def test_a_second_backward_needs_retain_graph(self):
        for T in (torch, ours):
            w = T.tensor([1.0, 2.0], requires_grad=True)
            loss = w.exp().sum()
            loss.backward()
            with pytest.raises(RuntimeError, match="backward through the graph a second time"):
                loss.backward()

    def accumulate(self, T):
        model = mlp(T)
        optimizer = T.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
        x, y = regression(T)

        def step():
            total = 0.0
            optimizer.zero_grad(set_to_none=True)
            for i in range(4):
                part = slice(16 * i, 16 * (i + 1))
                loss = T.nn.functional.mse_loss(model(x[part]), y[part]) / 4
                loss.backward()
                total += loss.item()
            norm = T.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return total, norm.item()

        return step

    def test_gradient_accumulation(self):
        def run(T):
            step = self.accumulate(T)
            return [step() for _ in range(5)]

        same(run)

    def test_gradient_accumulation_is_steady(self):
        steady(self.accumulate)

    def test_identity_of_grad(self):
        def run(T):
            w = T.ones(2, requires_grad=True)
            (w * 3).sum().backward()
            g = w.grad
            (w * 2).sum().backward()
            same_object = w.grad is g
            w.grad = None
            (w * 5).sum().backward()
            return same_object, g, w.grad, w.grad is g

        same(run)

    def test_higher_order_scalar(self):
        def run(T):
            x = T.tensor(0.7, requires_grad=True)
            y = T.sin(x) * x.exp()
            out = [y]
            for _ in range(4):
                (y,) = T.autograd.grad(y, x, create_graph=True)
                out.append(y)
            return out

        same(run)

    def penalty(self, T):
        D = mlp(T, 4, 1, 8)
        optimizer = T.optim.Adam(D.parameters(), lr=1e-2, betas=(0.5, 0.9))
        real = T.linspace(-1, 1, 24).view(6, 4)

        def step():
            fake = T.randn(6, 4)
            alpha = T.rand(6, 1)
            mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
            judged = D(mixed)
            gradients = T.autograd.grad(
                outputs=judged, inputs=mixed, grad_outputs=T.ones(6, 1), create_graph=True, retain_graph=True, only_inputs=True
            )[0]
            penalty = ((gradients.view(6, -1).norm(2, dim=1) - 1) ** 2).mean()
            loss = -D(real).mean() + D(fake).mean() + 10 * penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return penalty.item(), loss.item()

        return step

    def test_gradient_penalty(self):
        def run(T):
            step = self.penalty(T)
            return [step() for _ in range(5)]

        same(run)

    def test_gradient_penalty_is_steady(self):
        steady(self.penalty)

    def test_hamiltonian_network(self):
        def run(T):
            model = mlp(T, 2, 1, 12)
            optimizer = T.optim.Adam(model.parameters(), 1e-2, weight_decay=1e-4)
            angle = T.linspace(0, 6, 20)
            x = T.stack([angle.cos(), angle.sin()], 1).requires_grad_()
            target = T.stack([-angle.sin(), angle.cos()], 1)
            M = T.eye(2)
            M = T.cat([M[1:], -M[:1]])
            losses = []
            for _ in range(6):
                H = model(x)
                dH = T.autograd.grad(H.sum(), x, create_graph=True)[0]
                loss = ((dH @ M.t() - target) ** 2).mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                losses.append(loss.item())
            return losses

        same(run)

    def maml(self, T):
        F = T.nn.functional
        params = [T.nn.Parameter(p) for p in (T.randn(8, 1) * 0.5, T.zeros(8), T.randn(1, 8) * 0.5, T.zeros(1))]
        optimizer = T.optim.SGD(params, lr=0.05)

        def net(x, w):
            return F.linear(F.linear(x, w[0], w[1]).tanh(), w[2], w[3])

        def step():
            losses = []
            for _ in range(2):
                phase = T.rand(1)
                xs, xq = T.linspace(-2, 2, 5).view(-1, 1), T.linspace(-2, 2, 7).view(-1, 1)
                fast = params
                for _ in range(2):
                    loss = F.mse_loss(net(xs, fast), (xs + phase).sin())
                    grads = T.autograd.grad(loss, fast, create_graph=True)
                    fast = [p - 0.1 * g for p, g in zip(fast, grads, strict=True)]
                losses.append(F.mse_loss(net(xq, fast), (xq + phase).sin()))
            loss = sum(losses) / len(losses)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    def test_maml(self):
        def run(T):
            step = self.maml(T)
            return [step() for _ in range(4)]

        same(run)

    def test_maml_is_steady(self):
        steady(self.maml)

    def test_custom_function(self):
        def run(T):
            class MyReLU(T.autograd.Function):
                @staticmethod
                def forward(ctx, x):
                    ctx.save_for_backward(x)
                    return x.clamp(min=0)

                @staticmethod
                def backward(ctx, grad_output):
                    (x,) = ctx.saved_tensors
                    grad_x = grad_output.clone()
                    grad_x[x < 0] = 0
                    return grad_x

            class Mul(T.autograd.Function):
                @staticmethod
                def forward(ctx, a, b, scale):
                    ctx.scale = scale
                    ctx.save_for_backward(a, b)
                    return a * b * scale

                @staticmethod
                def backward(ctx, g):
                    a, b = ctx.saved_tensors
                    needs.append(ctx.needs_input_grad)
                    return g * b * ctx.scale, (g * a * ctx.scale if ctx.needs_input_grad[1] else None), None

            needs = []
            x = T.linspace(-1, 1, 6).view(2, 3).requires_grad_()
            w = T.ones(3, 2, requires_grad=True)
            loss = MyReLU.apply(x.mm(w)).pow(2).sum() + Mul.apply(x, T.full((2, 3), 2.0), 3.0).sum()
            loss.backward()
            return loss, x.grad, w.grad, [list(n) for n in needs]

        same(run)

    def test_tensor_hooks(self):
        def run(T):
            x = T.ones(3, requires_grad=True)
            h = x * 2
            seen = []
            handle = h.register_hook(lambda g: seen.append(g.clone()) or g * 10)
            (h * T.arange(3.0)).sum().backward()
            handle.remove()
            return x.grad, seen

        same(run)

    def test_hooks_and_retained_gradients_outlive_another_model_s_step(self):
        def run(T):
            x, seen = T.ones(3, requires_grad=True), []
            h = x * 2
            column = h.view(3, 1)
            h.register_hook(lambda g: seen.append(g.sum().item()))
            h.retain_grad()
            other = T.nn.Linear(2, 1)
            optimizer = T.optim.SGD(other.parameters(), lr=0.1)
            other(T.ones(1, 2)).sum().backward()
            optimizer.step()
            other.weight.sum().item()
            (column * 3).sum().backward()
            return seen, h.grad, x.grad

        same(run)

    def test_a_gradient_assigned_to_a_view_is_not_its_base_s(self):
        def run(T):
            x = T.ones(4)
            part = x[:2]
            part.grad = T.full((2,), 7.0)
            return x.grad, part.grad, x[:2].grad

        same(run)


# ---------------------------------------------------------------- modules
class TestModules:
    def test_weight_tying(self):
        def run(T):
            class LM(T.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.wte = T.nn.Embedding(7, 5)
                    self.head = T.nn.Linear(5, 7, bias=False)
                    self.wte.weight = self.head.weight

                def forward(self, i):
                    return self.head(self.wte(i).mean(1))

            lm = LM()
            optimizer = T.optim.SGD(lm.parameters(), lr=0.5)
            i, y = T.tensor([[0, 1], [2, 2], [6, 3]]), T.tensor([1, 0, 5])
            losses = []
            for _ in range(4):
                optimizer.zero_grad()
                loss = T.nn.functional.cross_entropy(lm(i), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return losses, len(list(lm.parameters())), list(lm.state_dict()), lm.wte.weight is lm.head.weight, lm.wte.weight

        same(run)

    def test_deepcopy(self):
        def run(T):
            model = mlp(T)
            x, _ = regression(T)
            clones = T.nn.ModuleList([copy.deepcopy(model) for _ in range(2)])
            with T.no_grad():
                for p in model.parameters():
                    p.mul_(2)
            target = copy.deepcopy(model)
            for p, q in zip(target.parameters(), clones[1].parameters(), strict=True):
                p.data.copy_(0.9 * p.data + 0.1 * q.data)
            out = clones[0](x).sum() + clones[1](x).sum()
            out.backward()
            return out, model(x).sum(), target(x).sum(), [p.grad is None for p in model.parameters()], len(list(clones.parameters()))

        same(run)

    def test_initialisation_by_class(self):
        def run(T):
            nn = T.nn

            def weights_init(m):
                name = m.__class__.__name__
                if name.find("Conv") != -1:
                    m.weight.data.normal_(0.0, 0.02)
                elif name.find("BatchNorm") != -1:
                    m.weight.data.normal_(1.0, 0.02)
                    m.bias.data.fill_(0)
                elif isinstance(m, nn.Linear):
                    nn.init.xavier_uniform_(m.weight)
                    m.bias.data.zero_()

            net = nn.Sequential(
                nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(0.2, inplace=True), nn.MaxPool2d(2),
                nn.ConvTranspose2d(4, 2, 4, 2, 1, bias=False), nn.Flatten(), nn.Linear(128, 3),
            )  # fmt: skip
            net.apply(weights_init)
            for m in net.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    n = m.weight.size(0)
                    m.weight.data.mul_(math.sqrt(2.0 / n))
            out = net(T.linspace(-1, 1, 128).view(2, 1, 8, 8))
            out.pow(2).sum().backward()
            net.eval()
            return out, {k: v for k, v in net.state_dict().items()}, [p.grad for p in net.parameters()], net(T.ones(1, 1, 8, 8))

        same(run, rtol=2e-3, atol=2e-5)

    def test_freezing(self):
        def run(T):
            model = mlp(T)
            for p in model[0].parameters():
                p.requires_grad = False
            optimizer = T.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=0.1)
            x, y = regression(T)
            for _ in range(3):
                optimizer.zero_grad()
                T.nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
            return [p.grad is None for p in model.parameters()], [p for p in model.parameters()]

        same(run)

    def test_module_hooks(self):
        def run(T):
            seen = []
            model = mlp(T)
            model[0].register_forward_hook(lambda m, i, o: seen.append(o.detach().clone()))
            model[2].register_forward_pre_hook(lambda m, i: (i[0] * 2,))
            model[1].register_full_backward_hook(lambda m, gi, go: seen.append(go[0].clone()))
            x, _ = regression(T, 3)
            model(x).sum().backward()
            return seen, [p.grad for p in model.parameters()]

        same(run)

    def test_lstm_cells_unrolled(self):
        def run(T):
            class Sequence(T.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm1, self.lstm2 = T.nn.LSTMCell(1, 6), T.nn.LSTMCell(6, 6)
                    self.linear = T.nn.Linear(6, 1)

                def forward(self, input, future=0):
                    outputs = []
                    h_t, c_t = (T.zeros(input.size(0), 6, dtype=T.double) for _ in range(2))
                    h_t2, c_t2 = (T.zeros(input.size(0), 6, dtype=T.double) for _ in range(2))
                    for input_t in input.split(1, dim=1):
                        h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                        h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                        output = self.linear(h_t2)
                        outputs += [output]
                    for _ in range(future):
                        h_t, c_t = self.lstm1(output, (h_t, c_t))
                        h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                        output = self.linear(h_t2)
                        outputs += [output]
                    return T.cat(outputs, dim=1)

            seq = Sequence()
            seq.double()
            data = T.sin(T.arange(36, dtype=T.double).view(3, 12) / 2)
            criterion = T.nn.MSELoss()
            optimizer = T.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=4)
            losses = []

            def closure():
                optimizer.zero_grad()
                loss = criterion(seq(data[:, :-1]), data[:, 1:])
                losses.append(loss.item())
                loss.backward()
                return loss

            for _ in range(2):
                optimizer.step(closure)
            with T.no_grad():
                pred = seq(data[:, :-1], future=3)
            return losses, pred

        same(run, rtol=1e-4, atol=1e-6)

    def test_long_recurrence(self):
        def run(T):
            cell = T.nn.RNNCell(2, 3)
            h = T.zeros(1, 3)
            for i in range(1200):
                h = cell(T.full((1, 2), math.sin(i)), h)
            h.sum().backward()
            return h, [p.grad for p in cell.parameters()]

        same(run)

    def test_packed_sequences(self):
        def run(T):
            rnn = T.nn.utils.rnn
            lstm = T.nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True)
            x = T.linspace(-1, 1, 60).view(4, 5, 3)
            packed = rnn.pack_padded_sequence(x, T.tensor([5, 4, 2, 1]), batch_first=True)
            out, (h, c) = lstm(packed)
            padded, lengths = rnn.pad_packed_sequence(out, batch_first=True)
            padded.pow(2).sum().backward()
            return padded, lengths, h, c, [p.grad for p in lstm.parameters()]

        same(run)


# ---------------------------------------------------------------- saving
class TestSaving:
    def test_state_dicts(self):
        def run(T):
            model = mlp(T)
            optimizer = T.optim.Adam(model.parameters(), lr=0.1)
            x, y = regression(T)

            def step(m, o):
                o.zero_grad()
                loss = T.nn.functional.mse_loss(m(x), y)
                loss.backward()
                o.step()
                return loss.item()

            losses = [step(model, optimizer) for _ in range(3)]
            file = io.BytesIO()
            T.save({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "best": T.tensor(losses[-1])}, file)
            file.seek(0)
            checkpoint = T.load(file, map_location="cpu")
            other = mlp(T)
            other_optimizer = T.optim.Adam(other.parameters(), lr=0.5)
            report = str(other.load_state_dict(checkpoint["model"]))
            other_optimizer.load_state_dict(checkpoint["optimizer"])
            more = [[step(m, o) for _ in range(2)] for m, o in ((model, optimizer), (other, other_optimizer))]
            assert more[0] == more[1]
            return losses, report, checkpoint["epoch"], checkpoint["best"], more

        same(run)

    def test_files_are_exchanged_with_pytorch(self, tmp_path):
        def make(T):
            return T.nn.Sequential(T.nn.Conv2d(1, 2, 3), T.nn.BatchNorm2d(2), T.nn.Flatten(), T.nn.Linear(8, 3))

        models = {T: make(T) for T in (torch, ours)}
        for writer, reader in ((ours, torch), (torch, ours)):
            path = str(tmp_path / f"{writer.__name__}.pt")
            writer.save(models[writer].state_dict(), path)
            read = reader.load(path, weights_only=True)
            fresh = make(reader)
            assert str(fresh.load_state_dict(read)) == "<All keys matched successfully>"
            x = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 1, 4, 4)
            want, got = models[writer].eval()(writer.from_numpy(x)), fresh.eval()(reader.from_numpy(x))
            np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-5, atol=1e-6)

    def test_optimizer_state_is_exchanged_with_pytorch(self, tmp_path):
        def trained(T):
            T.manual_seed(1)
            model = mlp(T)
            optimizer = T.optim.Adam(model.parameters(), lr=0.1)
            return model, optimizer

        def step(T, model, optimizer):
            x, y = regression(T)
            optimizer.zero_grad()
            loss = T.nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.item()

        for writer, reader in ((ours, torch), (torch, ours)):
            path = tmp_path / f"{writer.__name__}.pt"
            model, optimizer = trained(writer)
            for _ in range(3):
                step(writer, model, optimizer)
            writer.save([model.state_dict(), optimizer.state_dict()], path)
            other, other_optimizer = trained(reader)
            weights, state = reader.load(path)
            other.load_state_dict(weights)
            other_optimizer.load_state_dict(state)
            want = [step(writer, model, optimizer) for _ in range(3)]
            got = [step(reader, other, other_optimizer) for _ in range(3)]
            np.testing.assert_allclose(got, want, rtol=1e-4)

    def test_whole_module(self):
        def run(T):
            model = mlp(T)
            x, _ = regression(T)
            file = io.BytesIO()
            T.save(model, file)
            file.seek(0)
            return model(x), T.load(file, weights_only=False)(x)

        same(run)


# ---------------------------------------------------------------- data
class TestData:
    @staticmethod
    def loader(T, **options):
        x = T.arange(42.0).view(21, 2) / 42
        return T.utils.data.DataLoader(T.utils.data.TensorDataset(x, T.arange(21) % 3), batch_size=8, **options)

    def test_ragged_batches(self):
        def run(T):
            model = T.nn.Linear(2, 3)
            optimizer = T.optim.RMSprop(model.parameters(), lr=0.01)
            out = []
            for _ in range(3):
                for x, y in self.loader(T, shuffle=True):
                    optimizer.zero_grad()
                    loss = T.nn.functional.cross_entropy(model(x), y)
                    loss.backward()
                    optimizer.step()
                    out.append((len(x), loss.item()))
            return out

        same(run)

    def test_ragged_epochs_are_steady(self):
        def make(T):
            model = T.nn.Linear(2, 3)
            optimizer = T.optim.SGD(model.parameters(), lr=0.01)
            loader = self.loader(T, shuffle=True)

            def epoch():
                correct = 0
                for x, y in loader:
                    optimizer.zero_grad()
                    out = model(x)
                    T.nn.functional.cross_entropy(out, y).backward()
                    optimizer.step()
                    correct += (out.argmax(1) == y).sum().item()

            return epoch

        steady(make, warm=3)

    def test_workers(self):
        def run(T):
            return [(x, y) for x, y in self.loader(T, num_workers=2)]

        same(run)

    def test_datasets_of_arrays(self):
        def run(T):
            class Pairs(T.utils.data.Dataset):
                def __len__(self):
                    return 7

                def __getitem__(self, i):
                    return {"x": np.full(3, i, np.float32), "y": i, "name": f"n{i}"}

            train, test = T.utils.data.random_split(Pairs(), [5, 2])
            batches = list(T.utils.data.DataLoader(train, batch_size=2, shuffle=True, drop_last=True))
            return [(b["x"], b["y"], b["name"]) for b in batches], [test[i]["y"] for i in range(2)]

        same(run)

    def test_constructors_from_lists_of_arrays(self):
        def run(T):
            rows = [np.array([1, 2, 3]), np.array([4, 5, 6])]
            floats = [np.eye(3)[[0, 2]], np.eye(3)[[1, 1]]]
            return [
                T.LongTensor(np.array(rows)),
                T.LongTensor([list(r) for r in rows]),
                T.FloatTensor(np.array(floats)),
                T.Tensor([[1, 2], [3, 4]]),
                T.Tensor(2, 3).shape,
                T.LongTensor([3]),
                T.FloatTensor(2, 2).fill_(1),
                T.tensor(rows[0]),
                T.tensor(np.float32(2.5)),
                T.tensor([np.float64(1.5), 2]),
                T.ones(3) * np.float64(2.5),
                np.float32(2) * T.ones(2) + np.int64(3),
                T.tensor(3.0) / np.int64(2),
                T.from_numpy(np.array(floats)).float().sum((0, 1)),
                T.tensor([[True, False]]).long(),
                T.autograd.Variable(T.FloatTensor([1.0, 2.0]), requires_grad=True).requires_grad,
            ]

        same(run)

    def test_numpy_spellings(self):
        def run(T):
            x = T.arange(6.0).view(2, 3)
            return [
                x.sum(axis=1),
                x.mean(axis=0, keepdims=True),
                x.argmax(axis=1),
                x.std(axis=0),
                T.cumprod(x, axis=1),
                T.cat([x, x], axis=1),
            ]

        same(run)


# ---------------------------------------------------------------- generation and random numbers
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
