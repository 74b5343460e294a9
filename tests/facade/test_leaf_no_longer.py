"""``x.requires_grad_(False)`` where views of x were made before: they keep their history, which leads nowhere, as in PyTorch."""

import copy
import io

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def leaf(T):
    x = T.ones(3, 2, requires_grad=True)
    v = x[0]
    x.requires_grad_(False)
    return x, v


def flags(T):
    x, v = leaf(T)
    w = x[1]
    return [(t.requires_grad, t.is_leaf) for t in (x, v, w, v[0], v * 2, v + w)]


def recorded_before(T):
    x = T.ones(3, 2, requires_grad=True)
    y = (x[0] * 2).sum()
    x.requires_grad_(False)
    y.backward()
    return x.grad


def recorded_after(T):
    x, v = leaf(T)
    (v * v).sum().backward()
    return x.grad


def base_written(T):
    x, v = leaf(T)
    x.mul_(2)
    return x.tolist(), v.tolist(), x.requires_grad, v.requires_grad, v._version


def view_written(T):
    _, v = leaf(T)
    v.mul_(2)


def written_apart(T):
    x, v = leaf(T)
    with T.no_grad():
        x[0].mul_(2)
    y = (v * v).sum()
    y.backward()
    return x.grad, y.item(), x.tolist()


def after_a_read(T):
    x, v = leaf(T)
    x.tolist()
    return x.requires_grad, v.requires_grad, v.is_leaf


def a_leaf_again(T):
    x, v = leaf(T)
    x.requires_grad_()
    (v * 3).sum().backward()
    return x.grad.tolist()


def frozen_parameter(T):
    x = T.nn.Parameter(T.ones(3, 2))
    v = x.view(-1)
    x.requires_grad = False
    (v * v).sum().backward()
    return x.grad, v.requires_grad, x.requires_grad


def outcome(T, program):
    try:
        return program(T)
    except RuntimeError as error:
        return str(error)


def frozen_after_its_first_pass(T):
    x = T.ones(3, 2, requires_grad=True)
    y = (x * x).sum()
    x.requires_grad_(False)
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    return x.grad


def frozen_between_two_passes(T):
    x = T.nn.Parameter(T.ones(3, 2))
    y = (x * 2).sum()
    y.backward(retain_graph=True)
    x.requires_grad_(False)
    for _ in range(2):
        y.backward(retain_graph=True)
    return x.grad.tolist()


PROGRAMS = [
    flags, recorded_before, recorded_after, base_written, view_written, written_apart, after_a_read, a_leaf_again, frozen_parameter,
    frozen_after_its_first_pass, frozen_between_two_passes,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_as_pytorch(program):
    assert outcome(ours, program) == outcome(torch, program)


def test_copies_and_files_know_nothing_of_the_views():
    x, v = leaf(ours)
    assert v.requires_grad and copy.deepcopy(x).__dict__ == {}
    file = io.BytesIO()
    ours.save(x, file)
    file.seek(0)
    assert ours.load(file).tolist() == x.tolist()
