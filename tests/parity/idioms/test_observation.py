"""Reading values while a script records: the same numbers under PyTorch and here."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..scripts import mlp, regression, same, steady  # noqa: E402


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
