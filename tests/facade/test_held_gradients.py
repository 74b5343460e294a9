"""Gradients that nobody looks at are not tensors yet. Whatever is done with them, and whenever, must not show it."""

import copy
import threading

import pytest

pytest.importorskip("torch")
import torchlike_asg as ours

from .compare import same


def model_of(T):
    T.manual_seed(0)
    return T.nn.Sequential(T.nn.Linear(3, 4), T.nn.Tanh(), T.nn.Linear(4, 1, bias=False))


def losses(T, model, count):
    """A new loss of the same graph, time after time."""
    x = T.linspace(-1, 1, 12).reshape(4, 3)
    for _ in range(count):
        yield model(x).square().mean()


def grads(model):
    return [None if p.grad is None else p.grad.tolist() for p in model.parameters()]


def agree(program, rounds=4):
    def run(T):
        model = model_of(T)
        return [program(T, model, loss) for loss in losses(T, model, rounds)], [p.tolist() for p in model.parameters()]

    got = same(run)
    assert not isinstance(got, Exception), got


def test_values_before_and_after_a_step():
    optimizers = {}

    def program(T, model, loss):
        optimizer = optimizers.setdefault(T, None) or T.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        optimizers[T] = optimizer
        optimizer.zero_grad()
        loss.backward()
        before = grads(model)
        optimizer.step()
        return before, grads(model)

    agree(program)


def test_values_only_after_a_step():
    optimizers = {}

    def program(T, model, loss):
        optimizer = optimizers[T] = optimizers.get(T) or T.optim.Adam(model.parameters(), lr=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return grads(model)

    agree(program)


def test_accumulation_and_forgetting():
    def program(T, model, loss):
        loss.backward(retain_graph=True)
        loss.backward()
        seen = grads(model)
        model[0].weight.grad = None
        return seen, grads(model)

    agree(program)


def test_one_object_until_it_is_replaced():
    model = model_of(ours)
    for loss in losses(ours, model, 3):
        model.zero_grad()
        loss.backward()
        g = model[0].weight.grad
        assert g is model[0].weight.grad
        want = g.tolist()
        ours.sync()
        assert model[0].weight.grad is g and g.tolist() == want


def test_gradients_written_and_scaled():
    optimizers = {}

    def program(T, model, loss):
        optimizer = optimizers[T] = optimizers.get(T) or T.optim.SGD(model.parameters(), lr=0.5)
        optimizer.zero_grad()
        loss.backward()
        T.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        model[2].weight.grad[0, 1] = 5.0
        model[0].bias.grad = T.ones(4)
        optimizer.step()
        return grads(model)

    agree(program)


def test_equal_gradients_are_two_storages():
    """The gradients of a sum are one node; writing one must leave the other alone."""

    def run(T):
        a, b = T.nn.Parameter(T.ones(3)), T.nn.Parameter(T.ones(3))
        out = []
        for _ in range(3):
            a.grad = b.grad = None
            (a + b).sum().backward()
            a.grad.mul_(2)
            out += [a.grad.tolist(), b.grad.tolist(), a.grad.data_ptr() == b.grad.data_ptr()]
            b.grad += 1
            out += [a.grad.tolist(), b.grad.tolist()]
        return out

    same(run)


def test_a_second_pass_is_refused_also_when_the_sweep_is_known():
    def program(T, model, loss):
        loss.backward()
        try:
            loss.backward()
        except RuntimeError as error:
            return "second time" in str(error), grads(model)
        return "no error"

    agree(program)


def test_an_overwritten_weight_is_refused_also_when_the_sweep_is_known():
    def program(T, model, loss):
        with T.no_grad():
            model[2].weight.add_(0.5)
        try:
            loss.backward()
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error), grads(model)
        return "no error"

    agree(program)


def test_hooks_that_come_late():
    def run(T):
        model, seen, summed, post = model_of(T), [], [], []
        for i, loss in enumerate(losses(T, model, 6)):
            if i == 2:
                handle = model[0].weight.register_hook(lambda g: summed.append(g.sum().item()) or g * 2)
            if i == 3:
                later = model[2].weight.register_post_accumulate_grad_hook(lambda p: post.append(p.grad.sum().item()))
            if i == 4:
                handle.remove()
                later.remove()
            model.zero_grad()
            loss.backward()
            seen.append(grads(model))
        return seen, summed, post

    same(run)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_retained_and_created_graphs_between_plain_passes():
    def run(T):
        model, seen = model_of(T), []
        x = T.linspace(-1, 1, 12).reshape(4, 3)
        for i in range(6):
            model.zero_grad()
            hidden = model[1](model[0](x))
            loss = model[2](hidden).square().mean()
            if i == 2:
                hidden.retain_grad()
            loss.backward(create_graph=i == 3)
            seen.append(grads(model))
            if i == 2:
                seen.append(hidden.grad.tolist())
            if i == 3:
                extra = model[0].weight.grad.square().sum()
                model.zero_grad()
                extra.backward()
                seen.append(grads(model))
            del hidden, loss
        return seen

    same(run, rtol=1e-4)


def test_copies_take_gradients_along():
    def program(T, model, loss):
        model.zero_grad()
        loss.backward()
        other = copy.deepcopy(model)
        return grads(model), grads(other)

    agree(program)


def test_data_exchanged_between_pass_and_step():
    optimizers = {}

    def program(T, model, loss):
        optimizer = optimizers[T] = optimizers.get(T) or T.optim.SGD(model.parameters(), lr=0.5)
        optimizer.zero_grad()
        loss.backward()
        model[0].bias.data = T.zeros(4)
        optimizer.step()
        return grads(model)

    agree(program)


def test_another_thread_looks_at_a_pending_gradient():
    model = model_of(ours)
    want = None
    for loss in losses(ours, model, 3):
        model.zero_grad()
        loss.backward()
        shown = []
        watcher = threading.Thread(target=lambda shown=shown: shown.append(model[0].weight.grad))
        watcher.start()
        watcher.join()
        got = model[0].weight.grad
        assert got is shown[0]
        want = want or got.tolist()
        assert got.tolist() == want


def test_a_parameter_dropped_between_pass_and_step():
    model = model_of(ours)
    extra = ours.nn.Parameter(ours.ones(2))
    for _ in range(3):
        (model(ours.ones(1, 3)).sum() + extra.sum()).backward()
    extra_grad = extra.grad
    del extra
    ours.sync()
    assert extra_grad.tolist() == [3.0, 3.0]
    assert all(g is not None for g in grads(model))


def test_a_failing_computation_leaves_gradients_readable_or_failing():
    table = ours.nn.Parameter(ours.ones(3, 2))
    fine = ours.nn.Parameter(ours.ones(2))
    for _ in range(2):
        table.grad = fine.grad = None
        loss = (ours.nn.functional.embedding(ours.arange(2) * 7, table) * fine.exp()).sum() + fine.sum()
        loss.backward()
        with pytest.raises(IndexError):
            loss.item()
        del loss
        with pytest.raises(IndexError):
            fine.grad.tolist()
    fine.grad = None
    fine.square().sum().backward()
    assert fine.grad.tolist() == [2.0, 2.0]
