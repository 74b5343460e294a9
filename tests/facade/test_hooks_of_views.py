"""Hooks and gradients of views: every view has its own, also where another shows the same, and keeps them where PyTorch does when it is
written."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def same(run):
    assert run(ours) == run(torch)


def ends_the_iteration(T):
    w = T.ones(1, requires_grad=True)
    optimizer = T.optim.SGD([w], lr=0.1)
    w.sum().backward()
    optimizer.step()


@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize("used", ["before", "after"])
@pytest.mark.parametrize("asked", ["hook", "keep", "grad"])
def test_equal_views_have_gradients_of_their_own_after_the_iteration_that_made_them(leaf, used, asked):
    def run(T):
        seen = []
        x = T.arange(4.0, requires_grad=True)
        y = x if leaf else x * 2
        u, v = y[0], y[0]
        if used == "before":
            loss = u * 3 + v * 5
        ends_the_iteration(T)
        if used == "after":
            loss = u * 3 + v * 5
        if asked == "grad":
            return [g.tolist() for g in T.autograd.grad(loss, [u, v, x])]
        for name, t in (("u", u), ("v", v)):
            if asked == "hook":
                t.register_hook(lambda g, name=name: seen.append((name, g.item())))
            else:
                t.retain_grad()
        loss.backward()
        return sorted(seen), x.grad.tolist(), asked == "keep" and (u.grad.item(), v.grad.item())

    same(run)


def watched(T, steps):
    """What hooks see of views of y while steps write, and the leaf's gradient."""
    seen = []

    def hook(name, factor):
        return lambda g: (seen.append((name, g.tolist())), g * factor)[1]

    x = T.arange(1.0, 5.0, requires_grad=True)
    y = x * 2
    loss = steps(T, y, y[1:3], hook)
    loss.backward()
    return seen, x.grad.tolist()


def the_view_itself(T, y, v, hook):
    v.register_hook(hook("before", 2.0))
    z = v + 1
    v.mul_(3)
    v.register_hook(hook("after", 3.0))
    return (y * 5).sum() + z.sum() + v.sum() * 7


def a_view_of_it(T, y, v, hook):
    w = v[:1]
    w.register_hook(hook("w", 2.0))
    v.register_hook(hook("v", 3.0))
    w.mul_(4)
    return v.sum() + w.sum() * 2 + y.sum()


def its_base(T, y, v, hook):
    v.register_hook(hook("v", 2.0))
    z = v + 1
    y.mul_(3)
    return z.sum() + v.sum() * 5


def its_base_unseen(T, y, v, hook):
    """PyTorch puts the second hook where the first is: nobody has asked the view for its history since the write."""
    v.register_hook(hook("first", 2.0))
    z = v + 1
    y.mul_(3)
    v.register_hook(hook("second", 2.0))
    return z.sum() + v.sum() * 5


def its_base_without_history(T, y, v, hook):
    v.register_hook(hook("v", 2.0))
    z = v + 1
    with T.no_grad():
        y.mul_(3)
    return z.sum() + v.sum() * 5


def data(T, y, v, hook):
    """A hook is called once, with the whole gradient."""
    v.register_hook(lambda g: hook("v", 1.0)(g).clamp(max=6.0))
    z = v + 1
    y.data.mul_(3)
    return (y * 5).sum() + z.sum() + v.sum() * 7


def twice(T, y, v, hook):
    v.mul_(3)
    v.register_hook(hook("between", 2.0))
    v.add_(1)
    v.register_hook(hook("after", 3.0))
    return (v * 5).sum() + y.sum()


@pytest.mark.parametrize(
    "steps", [the_view_itself, a_view_of_it, its_base, its_base_unseen, its_base_without_history, data, twice], ids=lambda f: f.__name__
)
def test_hooks_of_a_view_stay_with_the_history_that_it_had(steps):
    same(lambda T: watched(T, steps))


def test_a_kept_gradient_after_a_write_through_data_is_the_whole_one():
    def run(T):
        x = T.arange(1.0, 5.0, requires_grad=True)
        y = x * 2
        v = y[1:3]
        v.retain_grad()
        z = v + 1
        y.data.mul_(3)
        w = v * v
        (z.sum() + w.sum()).backward()
        return v.grad.tolist(), x.grad.tolist()

    same(run)


def test_what_reads_a_view_after_a_write_through_data_is_refused_once_it_is_written():
    def run(T):
        y = T.arange(1.0, 5.0, requires_grad=True) * 2
        v = y[1:3]
        z = v + 1
        y.data.mul_(3)
        w = v * v
        y.add_(1)
        try:
            (z.sum() + w.sum()).backward()
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error)

    same(run)


@pytest.mark.parametrize("kept", [True, False])
def test_hooks_of_a_view_hold_for_what_was_made_of_it_whoever_has_it(kept):
    def run(T):
        seen = []
        x = T.tensor([-1.0, 0.5, 1.5, -0.5], requires_grad=True)
        v = x[:3]
        v.register_hook(lambda g: (seen.append(g.tolist()), g * 2)[1])
        w = v[1:]
        if kept:
            v.retain_grad()
        else:
            del v
        for _ in range(3):
            T.ones(3).add_(1).tolist()  # ends the iteration
            (w * w).sum().backward()
        return seen, x.grad.tolist(), kept and v.grad.tolist()

    same(run)


@pytest.mark.parametrize("used", ["part", "parts", "rows"])
@pytest.mark.parametrize("leaf", [True, False])
@pytest.mark.parametrize("pick", ["slice", "narrow", "select", "diagonal"])
def test_hooks_of_a_view_at_a_place_that_moves_outlive_it_too(pick, leaf, used):
    picks = {
        "slice": lambda x, i: x[i : i + 3],
        "narrow": lambda x, i: x.narrow(0, i, 3),
        "select": lambda x, i: x.view(5, 1).expand(5, 3)[i],
        "diagonal": lambda x, i: x.view(5, 1).expand(5, 3)[i : i + 3].diagonal(),
    }

    def once(T, i):
        seen = []
        x = T.tensor([-1.0, 0.5, 1.5, -0.5, 2.0], requires_grad=True)
        v = picks[pick](x if leaf else x * 1, i)
        v.register_hook(lambda g: (seen.append(g.tolist()), g * 2)[1])
        w = v[1:] if used == "part" else v.split(1)[1] if used == "parts" else v.unbind(0)[1]
        del v
        for _ in range(2):
            T.ones(3).add_(1).tolist()  # ends the iteration
            (w * w).sum().backward(retain_graph=True)
        return seen, x.grad.tolist(), w.tolist(), w.storage_offset(), w.grad_fn.name()

    same(lambda T: [once(T, i) for i in (0, 2, 1, 1, 2, 0, 1, 2)])


def test_hooks_that_are_put_on_a_view_in_a_later_iteration_than_it_was_made_of():
    def run(T):
        seen = []
        x = T.tensor([-1.0, 0.5, 1.5, -0.5], requires_grad=True)
        v = x[:3]
        w = v[1:]
        for i in range(4):
            if i == 1:
                other = v[:1]
            if i == 2:
                v.register_hook(lambda g: (seen.append(g.tolist()), g * 2)[1])
            if i == 3:
                v.retain_grad()
            T.ones(3).add_(1).tolist()
            (w * w).sum().backward()
            T.ones(3).add_(1).tolist()
            if i:
                (other * w).sum().backward()
        return seen, x.grad.tolist(), v.grad.tolist()

    same(run)
