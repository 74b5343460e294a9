"""Recording must never be noticed: idioms of eager scripts that collide with laziness."""

import copy
import itertools

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

from .loops import agree, small_training

torch = pytest.importorskip("torch")


def test_an_activation_keeps_the_weights_it_was_made_with():
    def run(T):
        w = T.tensor([[2.0]], requires_grad=True)
        opt = T.optim.SGD([w], lr=1.0)
        x = T.tensor([[3.0]])
        before = x @ w
        (before * before).sum().backward(retain_graph=True)
        opt.step()
        return [before.item(), w.item(), (x @ w).item()]

    agree(run)


def test_two_optimizers_and_a_history_that_outlives_a_step():
    """The GAN order of things: a generated batch is used, with its history, after the other network has stepped."""

    def run(T):
        g, d = T.nn.Linear(2, 3), T.nn.Linear(3, 1)
        og, od = T.optim.SGD(g.parameters(), lr=0.1), T.optim.SGD(d.parameters(), lr=0.1)
        out = []
        for _ in range(5):
            z, real = T.randn(4, 2), T.randn(4, 3)
            fake = T.tanh(g(z))
            od.zero_grad()
            loss_d = (d(real) - 1).pow(2).mean() + d(fake.detach()).pow(2).mean()
            loss_d.backward()
            od.step()
            og.zero_grad()
            loss_g = (d(fake) - 1).pow(2).mean()
            loss_g.backward()
            og.step()
            out += [loss_d.item(), loss_g.item()]
        return out

    agree(run, rtol=1e-4)


@pytest.mark.parametrize("write", ["none", "counted", "through .data"])
def test_a_parameter_that_began_as_a_computed_value_is_one_leaf_in_a_history_kept_aside(write):
    """Its iteration ends between two uses; `autograd.grad` finds both."""

    def run(T):
        kept = T.ones(2, 2, requires_grad=True)
        living = (kept * kept).sum()  # so that what follows joins a trace that has a history already
        w = T.nn.Linear(2, 2).double().weight
        x = T.tensor([[1.0, 2.0], [-0.5, 1.0]], dtype=T.float64) * living.detach()
        first = x @ w + 1
        other = T.nn.Parameter(T.ones(1))
        (other * 2).sum().backward()
        T.optim.SGD([other], lr=0.1).step()
        if write == "counted":
            with T.no_grad():
                w *= 2
        elif write == "through .data":
            w.data.mul_(2)
        y = first.cos() @ w
        (g,) = T.autograd.grad(y.sum(), w, create_graph=True)
        (h,) = T.autograd.grad((g * g).sum(), w)
        return [*g.flatten().tolist(), *h.flatten().tolist()]

    agree(run)


@pytest.mark.parametrize("update", ["data +=", "data =", "data.add_", "copy_ under no_grad"])
def test_every_way_to_write_a_parameter(update):
    def run(T):
        w = T.tensor([1.0, -2.0], requires_grad=True)
        out = []
        for _ in range(4):
            loss = (w * w * T.tensor([1.0, 3.0])).sum()
            loss.backward()
            g = w.grad
            if update == "data +=":
                w.data += -0.1 * g
            elif update == "data =":
                w.data = w.data - 0.1 * g
            elif update == "data.add_":
                w.data.add_(g, alpha=-0.1)
            else:
                with T.no_grad():
                    w.copy_(w - 0.1 * g)
            w.grad = None
            out += [loss.item(), *w.tolist()]
        return out

    agree(run)


def test_an_acting_loop_that_reads_and_keeps_histories():
    def run(T):
        policy = T.nn.Linear(3, 2)
        opt = T.optim.SGD(policy.parameters(), lr=0.1)
        out = []
        for episode in range(3):
            kept, state = [], T.ones(3) * (episode + 1)
            for _ in range(4):
                p = T.softmax(policy(state), -1)
                action = int(p.argmax().item())
                kept.append(T.log(p[action]))
                state = state * 0.5 + action
            loss = -T.stack(kept).sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            out.append(loss.item())
        return out

    agree(run, rtol=1e-4)


def test_elements_of_a_value_are_read_without_a_plan_for_each():
    """The returns of an episode are read one by one while the histories of its actions keep the trace open."""
    plans = []

    def run(T):
        net, out = T.nn.Linear(3, 2), []
        opt = T.optim.SGD(net.parameters(), lr=0.01)
        for length in range(3, 9):
            values = [net(T.ones(3) * i)[0] for i in range(length)]
            out += [value.item() for value in values]
            returns = T.arange(float(length)) * 2
            returns = (returns - returns.mean()) / returns.std()
            pair = T.stack([returns, -returns]).t()
            losses = []
            for i, (value, r) in enumerate(zip(values, returns, strict=True)):
                advantage = r - value.item()
                losses.append((value - T.tensor([r])) ** 2 + advantage * value + pair[i, 1].item() + float(pair[:, 0][i]))
            opt.zero_grad()
            T.cat(losses).sum().backward()
            opt.step()
            out += [loss.item() for loss in losses]
            plans.append(ours.asg.stats()["plans"] if T is ours else 0)
        return out

    agree(run)
    built = [b - a for a, b in itertools.pairwise(p for p in plans if p)]
    assert len(built) == 5 and built[-1] < 8  # the longest has 8 elements


def test_gradients_accumulate_over_backwards():
    def run(T):
        w = T.tensor([1.0, 2.0], requires_grad=True)
        out = []
        for i in range(3):
            (w * w * (i + 1)).sum().backward()
            out += w.grad.tolist()
        first = w.grad
        (w * 3).sum().backward()
        return out + first.tolist()  # the same tensor was added to in place

    agree(run)


def test_a_second_backward_is_refused_unless_the_graph_is_retained():
    x = ours.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()
    ours.sync()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_overwritten_values_are_reported():
    w = ours.tensor([1.0, 2.0], requires_grad=True)
    y = w * 2
    z = y * y
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    h = (w * w).sum()
    with ours.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.backward()


def test_tied_weights_share_one_gradient():
    def run(T):
        a, b = T.nn.Linear(3, 3, bias=False), T.nn.Linear(3, 3, bias=False)
        b.weight = a.weight
        x = T.randn(2, 3)
        b(T.tanh(a(x))).sum().backward()
        return [*a.weight.grad.flatten().tolist(), float(len(list(T.nn.Sequential(a, b).parameters())))]

    agree(run)


def test_deepcopy_makes_an_independent_model():
    model = nn.Linear(2, 2)
    twin = copy.deepcopy(model)
    before = twin.weight.tolist()
    with ours.no_grad():
        model.weight.add_(1)
    assert twin.weight.tolist() == before and model.weight.tolist() != before
    assert twin.weight.requires_grad and twin.weight.is_leaf


def test_values_appear_wherever_python_looks():
    x = ours.tensor([1.5])
    y = ours.tensor(3) * 2
    assert f"{(x * 2).sum():.2f}" == "3.00" and "%d" % y == "6" and "%.1f" % x.sum() == "1.5"  # noqa: UP031
    assert float(x) == 1.5 and int(y) == 6 and bool(y == 6) and [10, 20, 30, 40, 50, 60, 70][y] == 70
    assert round(float(x * 2), 1) == 3.0 and np.asarray(x * 2).tolist() == [3.0] and list(range(y))[-1] == 5
    if x.sum() > 1:
        x = x + 1
    assert x.item() == 2.5
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(ours.ones(2) > 0)


def test_numpy_memory_is_shared_and_results_are_not_changed_by_it():
    a = np.ones(3, np.float32)
    t = ours.from_numpy(a)
    y = t * 2
    a[0] = 5
    assert y.tolist() == [2.0, 2.0, 2.0] and t.tolist() == [5.0, 1.0, 1.0] and (t * 2).tolist() == [10.0, 2.0, 2.0]
    t.add_(1)
    assert a.tolist() == [6.0, 2.0, 2.0]
    b = (t + 0).numpy()
    c = t.numpy()
    c[1] = -1
    assert t[1].item() == -1 and a[1] == -1 and b[1] == 2
    w = ours.ones(2, requires_grad=True)
    view = w.detach().numpy()
    out = w * 3
    view[0] = 7
    assert out.tolist() == [3.0, 3.0] and (w * 3).tolist() == [21.0, 3.0]


def test_shape_errors_come_at_the_users_line_with_the_module_path():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x):
            return self.fc(x)

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Inner()])

        def forward(self, x):
            return self.blocks[0](x)

    with pytest.raises(RuntimeError) as caught:
        Outer()(ours.ones(2, 5))
    assert "5" in str(caught.value) and "3" in str(caught.value)
    assert any("Outer.blocks.0.fc (Linear)" in note for note in caught.value.__notes__)
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match the size of tensor b \(3\)"):
        ours.ones(2) + ours.ones(3)


def test_hooks_see_and_change_gradients():
    def run(T):
        seen = []
        w = T.tensor([1.0, 2.0], requires_grad=True)
        w.register_hook(lambda g: seen.append(g.sum().item()))
        y = w * 3
        y.register_hook(lambda g: g * 2)
        y.retain_grad()
        (y * y).sum().backward()
        return [*w.grad.tolist(), *y.grad.tolist(), *seen]

    agree(run)


def test_anomaly_detection_names_the_operation():
    with ours.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"'log' returned nan.*test_lazy.py"):
        ours.log(ours.tensor([-1.0])).item()


def test_eager_mode_gives_the_same_numbers():
    ours.manual_seed(3)
    step, losses = small_training(ours)
    for _ in range(3):
        step()
    ours.config.eager = True
    try:
        ours.manual_seed(3)
        step, eager = small_training(ours)
        for _ in range(3):
            step()
    finally:
        ours.config.eager = False
    np.testing.assert_allclose(eager, losses, rtol=1e-6)


def test_a_computation_that_fails_spoils_nothing_else():
    table, good = ours.arange(5.0), ours.ones(3)
    index = ours.tensor([3]) + 4  # out of range: noticed when it is computed
    bad = table.gather(0, index)
    worse = bad + 1
    fine = good * 3
    with pytest.raises((RuntimeError, IndexError)) as first:
        bad.tolist()
    assert fine.tolist() == [3.0, 3.0, 3.0]
    for broken in (bad, worse):
        with pytest.raises(type(first.value)) as again:
            broken.tolist()
        assert str(again.value) == str(first.value)
    w = ours.ones(3, requires_grad=True)
    target = ours.zeros(3)
    target.scatter_(0, ours.tensor([8]) + 1, 1.0)
    with pytest.raises((RuntimeError, IndexError)):
        target.tolist()
    (w * 2).sum().backward()
    assert w.grad.tolist() == [2.0, 2.0, 2.0] and (fine + 1).tolist() == [4.0, 4.0, 4.0]


@pytest.mark.parametrize("name", ["torch", "ours"])
def test_a_numpy_write_never_reaches_what_a_kept_history_recorded(name):
    """The array's tensor has a history that outlived its iteration; what is recorded on it afterwards reads the values of that moment."""
    lib = ours if name == "ours" else pytest.importorskip("torch")
    array = np.array([[2.0, -1.0], [2.0, 0.5]], np.float32)
    x = lib.from_numpy(array)
    x.mul_(lib.tensor([[1.0, -0.5], [-1.0, 1.5]], requires_grad=True))
    column = x.select(1, 0)
    x.select(1, 1).mul_(column)
    assert x.detach().tolist() == [[2.0, 1.0], [-2.0, -1.5]]
    positive = column.relu()
    array[1] = 3.0
    assert positive.tolist() == [2.0, 0.0] and column.tolist() == [2.0, 3.0]


def test_a_write_reaches_a_view_with_gaps_that_moved():
    def run(T):
        found = []
        for width in (7, 8, 9):
            x = T.arange(2 * width).reshape(2, width)
            end = x[:, -3:]
            a = end * 2
            x[0, -1] = 50
            b = end * 2
            end[1, 0] = 60
            found += [a.tolist(), b.tolist(), (end + 1).tolist(), x.tolist(), end[1].tolist(), list(end.t().stride())]
        return [v for f in found for v in np.ravel(f).tolist()]

    agree(run)


def test_a_number_that_was_refused_is_not_in_the_way_of_later_ones():
    def increased(number):
        return ours.ones(2).add_(number).tolist()

    with pytest.raises(OverflowError):
        increased(2**70)
    for number in (1, 2, 3):
        assert increased(number) == [1.0 + number] * 2
