"""`backward` and `autograd.grad` in all their uses: the same numbers under PyTorch and here."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..scripts import mlp, regression, same, steady  # noqa: E402


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
