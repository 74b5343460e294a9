"""autograd.Function: forward and backward in Python, inside the graph."""

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def functions(T):
    class Exp(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    class Polar(T.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, r, phi):
            ctx.save_for_backward(r, phi)
            return r * phi.cos(), r * phi.sin(), 7

        @staticmethod
        def backward(ctx, gx, gy, _):
            Polar.calls += 1
            r, phi = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, True)
            return gx * phi.cos() + gy * phi.sin(), -gx * r * phi.sin() + gy * r * phi.cos()

    class Scale(T.autograd.Function):
        @staticmethod
        def forward(x, k):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.k, None

    return Exp, Polar, Scale


def both(run):
    a, b = run(ours), run(torch)
    np.testing.assert_allclose(np.concatenate([np.ravel(v) for v in a]), np.concatenate([np.ravel(v) for v in b]), rtol=1e-6)


def leaf(T, *values):
    return T.tensor(values, dtype=T.float64, requires_grad=True)


def test_first_and_second_derivatives():
    def run(T):
        Exp, _, _ = functions(T)
        x = leaf(T, 0.3, -1.0)
        y = (Exp.apply(x) * x).sum()
        (g,) = T.autograd.grad(y, x, create_graph=True)
        (h,) = T.autograd.grad(g.sum(), x)
        return [y.detach().numpy(), g.detach().numpy(), h.numpy()]

    both(run)


def test_several_outputs_run_backward_once():
    def run(T):
        _, Polar, _ = functions(T)
        r, phi = leaf(T, 1.0, 2.0), leaf(T, 0.5, -0.3)
        x, y, seven = Polar.apply(r, phi)
        (x * 2 + y * y).sum().backward()
        assert Polar.calls == 1 and seven == 7
        r2, phi2 = leaf(T, 1.5), leaf(T, 0.1)
        Polar.apply(r2, phi2)[1].sum().backward()
        return [r.grad.numpy(), phi.grad.numpy(), r2.grad.numpy(), phi2.grad.numpy()]

    both(run)


def test_the_same_call_twice_keeps_two_contexts():
    def run(T):
        _, _, Scale = functions(T)
        x = leaf(T, 1.0, 2.0)
        (Scale.apply(x, 3.0) + Scale.apply(x, 5.0)).sum().backward()
        return [x.grad.numpy()]

    both(run)


def test_python_state_may_change_between_iterations_and_nothing_new_is_recorded():
    class Scale(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x, box):
            ctx.box = box
            return x * 1.0

        @staticmethod
        def backward(ctx, g):
            return g * ctx.box, None

    x = ours.randn(3, requires_grad=True)
    counts = []
    for i in range(6):
        Scale.apply(x, ours.tensor(float(i))).sum().backward()
        assert x.grad.tolist() == [float(i)] * 3
        x.grad = None
        counts.append(ours.asg.stats()["nodes"])
    assert counts[2:] == [counts[2]] * 4


def test_a_history_through_a_function_survives_an_optimizer_step():
    def run(T):
        Exp, _, _ = functions(T)
        w, v = leaf(T, 0.5), leaf(T, 1.5)
        opt = T.optim.SGD([v], lr=0.1)
        kept = Exp.apply(w) * 2
        (v * v).sum().backward()
        opt.step()
        (kept * 3).sum().backward()
        return [w.grad.numpy(), v.detach().numpy()]

    both(run)


def test_what_is_no_tensor_is_no_gradient():
    class Number(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return 3.0

    with pytest.raises(RuntimeError, match=r"expected Variable or None \(got float\)"):
        Number.apply(leaf(ours, 1.0)).backward()


def test_mistakes_are_named():
    class Wrong(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            return g

    x, y = leaf(ours, 1.0), leaf(ours, 2.0)
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Wrong.apply(x, y).backward()
    with pytest.raises(RuntimeError, match="should not be instantiated"):
        Wrong()

    class Once(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @ours.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 2

    z = leaf(ours, 1.0)
    (g,) = ours.autograd.grad(Once.apply(z) ** 2, z, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()
