"""What becomes of histories, gradients that are kept and storages when views and tensors change hands, against PyTorch."""

import copy
import ctypes
import io

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.errors import Unsupported  # noqa: E402
from torchlike_asg.facade.functions.reading import OWN_ATTRIBUTES  # noqa: E402

from ..parity.scripts import same  # noqa: E402


def leaf(T, *shape):
    return T.ones(*shape, requires_grad=True)


def untracked(T, x, view):
    with T.no_grad():
        return view(x)


UNTRACKED = {
    "slice": lambda x: x[:2],
    "view": lambda x: x.view(2, 2),
    "flattened": lambda x: x.reshape(2, 2).flatten(),
    "part": lambda x: x.chunk(2)[1],
    "strided": lambda x: x.as_strided((2,), (2,)),
    "of a view": lambda x: x.view(2, 2).t()[0],
}


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("name", UNTRACKED)
def test_no_gradient_flows_through_a_view_made_under_no_grad(name, computed):
    """It did, silently: a target that is a view of a prediction took part in the gradient."""

    def run(T):
        x = leaf(T, 4)
        y = x * 2 if computed else x
        v = untracked(T, y, UNTRACKED[name])
        facts = [v.requires_grad, v.is_leaf, v.grad_fn is None, v._is_view()]
        (v.sum() * 3 + y.sum()).backward()
        return [*facts, x.grad, v.grad, (v * 2).requires_grad, repr(v)]

    same(run)


def test_nor_through_views_of_it():
    def run(T):
        x = leaf(T, 4)
        v = untracked(T, x * 2, lambda y: y.view(2, 2))
        w = v.t()
        (w * 3).sum().backward()
        v.requires_grad_(False)
        return [x.grad, w.is_leaf, w.grad_fn.name(), v.requires_grad, copy.deepcopy(v).is_leaf]

    same(run)


def test_nor_after_its_base_was_written_or_the_iteration_has_ended():
    def run(T):
        x = leaf(T, 4)
        v = untracked(T, x, lambda y: y.view(2, 2))
        with T.no_grad():
            x.mul_(2)
        with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
            v * 2
        w = untracked(T, x, lambda y: y[1:])
        (x.sum()).backward()
        before = x.grad.clone()
        (w * x[1:]).sum().backward()
        return [before, x.grad, w.is_leaf]

    same(run)


def keeping(write, read=lambda y: y * 2):
    def run(T):
        x = leaf(T, 3)
        y = x * 2
        y.retain_grad()
        write(T, x, y)
        read(y).sum().backward()
        return [y.grad, x.grad, y.retains_grad]

    return run


def under_no_grad(T, x, y):
    with T.no_grad():
        y.mul_(3)


def told_twice(T, x, y):
    y.mul_(3)
    y.retain_grad()


@pytest.mark.parametrize(
    "run",
    [
        keeping(lambda T, x, y: y.mul_(3)),
        keeping(lambda T, x, y: y.__setitem__(0, 5.0)),
        keeping(lambda T, x, y: y[:2].mul_(x[1:])),
        keeping(under_no_grad, lambda y: y * y),
        keeping(told_twice),
        keeping(lambda T, x, y: None, lambda y: y.mul_(3)),
    ],
)
def test_a_kept_gradient_is_that_of_the_last_value(run):
    same(run)


def test_a_view_keeps_the_gradient_of_its_last_value():
    def run(T):
        out = []
        for write in (lambda y, z: y.mul_(3), lambda y, z: z.mul_(3)):
            y = leaf(T, 3) * 2
            z = y[:2]
            z.retain_grad()
            write(y, z)
            z.sum().backward()
            out.append(z.grad)
        return out

    same(run)


def replaced(change):
    def run(T):
        x = leaf(T, 2, 3)
        y = x.t() * 2
        y.data = change(T, y)
        version = y._version
        y.mul_(3)
        (y * y).sum().backward()
        return [y, x.grad, version, y.grad_fn.name()]

    return run


@pytest.mark.parametrize(
    "run",
    [
        replaced(lambda T, y: y.data.clamp(0, 1)),
        replaced(lambda T, y: T.arange(6.0).view(3, 2)),
        replaced(lambda T, y: T.arange(12.0).view(3, 4)[:, ::2]),
    ],
)
def test_data_that_is_assigned_to_a_result_leaves_its_history(run):
    same(run)


def test_data_of_another_shape_does_not_fit_a_history():
    y = leaf(ours, 3) * 2
    with pytest.raises(Unsupported, match="x = y"):
        y.data = ours.zeros(2)


def test_who_shares_memory_after_data_was_assigned():
    def run(T):
        p = T.nn.Parameter(T.ones(2))
        v, d = p.view(2), p.detach()
        p.data = T.zeros(2)
        z = T.zeros(3)
        y = leaf(T, 3) * 2
        y.data = z
        z.add_(1)
        (v * 3).sum().backward()
        return [v.detach(), d, p.detach(), p.grad, y.detach(), z]

    same(run)


def test_a_shallow_copy_is_a_leaf_over_the_same_memory():
    def run(T):
        x, p = leaf(T, 4), T.nn.Parameter(T.ones(2))
        x.grad = T.ones(4)
        y, z, q, d = copy.copy(x), copy.copy(x * 2), copy.copy(p), copy.copy(T.arange(4.0)[1:])
        y.sum().backward()
        facts = [y.grad, x.grad, y.is_leaf, z.is_leaf, z.requires_grad, type(q).__name__, q.data_ptr() == p.data_ptr()]
        return [*facts, d._is_view(), d.storage_offset(), copy.copy(T.nn.Linear(2, 2)).weight.is_leaf]

    same(run)


def test_parts_that_may_be_written():
    def run(T):
        x, y = T.ones(4), leaf(T, 4) * 1
        a, _ = T.unsafe_split(x, 2)
        a.mul_(2)
        b, c = y.unsafe_chunk(2)
        b.mul_(2)
        return [x, b.detach(), c.detach()]

    same(run)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_storages_are_written():
    def run(T):
        x, y, z = T.arange(4.0), T.ones(4), T.zeros(2, dtype=T.bool)
        x.storage()[1] = 7.0
        kept = x.untyped_storage().clone()
        y.untyped_storage().copy_(x.untyped_storage())
        x.storage().fill_(2.0)
        z.untyped_storage()[1] = 1
        w = T.ones(3)
        w.untyped_storage().fill_(0)
        return [x, y, z, w, x._version, list(kept)]

    same(run)


def test_the_address_of_an_unwritten_storage_is_not_copied_to_again():
    x = ours.arange(4.0)
    v, d = x[1:], x.data

    def read():
        return np.ctypeslib.as_array((ctypes.c_float * 4).from_address(x.data_ptr())).copy().tolist()

    address = x.data_ptr()
    writes = [lambda: x.add_(1), lambda: v.zero_(), lambda: d.mul_(2), lambda: x.__setitem__(0, 9.0), lambda: x.storage().fill_(3.0)]
    for write in writes:
        write()
        assert read() == x.tolist() and x.data_ptr() == address and v.data_ptr() == address + 4
    ctypes.c_float.from_address(address).value = -1.0  # nobody's business, but it tells whether the content was copied again
    assert ctypes.c_float.from_address(x.data_ptr()).value == -1.0
    array = x.numpy()
    array[0] = 5.0
    assert read() == x.tolist()
    del array
    x[1] = 6.0
    assert read() == x.tolist() == [5.0, 6.0, 3.0, 3.0]


def refusal(run):
    def told(T):
        with pytest.raises(RuntimeError) as caught:
            run(T)
        return str(caught.value)[:45]

    return told


@pytest.mark.parametrize(
    "run",
    [
        lambda T: T.ones(3)[:2].detach_(),
        lambda T: T.ones(3).as_strided((2,), (-1,)),
        lambda T: T.ones(3).as_strided((2,), (1,), -1),
        lambda T: setattr(leaf(T, 3) * 2, "requires_grad", True),
        lambda T: setattr(leaf(T, 3) * 2, "requires_grad", False),
        lambda T: T.ones(3, dtype=T.int64).requires_grad_(),
        lambda T: setattr(T.ones(3, dtype=T.int64), "requires_grad", True),
    ],
)
def test_refusals(run):
    same(refusal(run))


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
@pytest.mark.parametrize(
    "make", [lambda T: T.arange(6.0).reshape(2, 3), lambda T: T.arange(6.0).reshape(3, 2).t(), lambda T: T.arange(7.0)[1:]]
)
def test_gradients_are_asked_of_a_leaf_over_part_of_its_memory(lib, make):
    """`as_strided` looks past the leaf's own view of its memory; a write under no_grad leaves the leaf the same."""
    x = make(lib).requires_grad_()
    z = x * 3
    with lib.no_grad():
        x.mul_(2)
    total = (x.as_strided((2,), (1,)) * 2).sum() + z.sum() + x.sum()
    found = lib.autograd.grad(total, x, retain_graph=True)[0]
    total.backward(inputs=[x])
    assert found.tolist() == x.grad.tolist()
    assert found.flatten().sort().values.tolist() == [4.0] * (x.numel() - 2) + [6.0] * 2


@pytest.mark.parametrize("view", [lambda x: x.view(2, 2), lambda x: x[:], lambda x: x.t()])
@pytest.mark.parametrize("read", [False, True])
def test_a_view_of_all_of_a_leaf_is_not_the_leaf(view, read):
    """It has a gradient of its own, also after a read, and whatever was asked before or after it was used."""

    def run(lib):
        x = lib.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        v = view(x)
        if read:
            x.detach().sum().item()
        total = (v * 3 + x).sum()
        found = lib.autograd.grad(total, [v, x], retain_graph=True)
        v.retain_grad()
        total.backward()
        return [g.tolist() for g in (*found, v.grad, x.grad)], v.is_leaf

    assert run(ours) == run(torch)


@pytest.mark.filterwarnings("ignore:The .grad attribute")
@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_view_of_several_may_be_asked_for_its_gradient_after_its_base_was_written(lib):
    parts = lib.arange(3.0, requires_grad=True).unbind()
    with lib.no_grad():
        parts[0].fill_(1.0)
    assert parts[1].grad is None


@pytest.mark.parametrize("read", [False, True])
def test_a_gradient_may_be_asked_of_what_was_overwritten(read):
    """Its history cannot be gone through any more, and need not be."""

    def run(lib):
        leaf = lib.tensor([[-0.5, -0.5, 1.0]], requires_grad=True)
        y = leaf.relu()
        v = y.select(0, 0)
        y[0] = v
        if read:
            y.detach().tolist()
        found = [lib.autograd.grad((v * v).sum(), y, retain_graph=True)[0].tolist()]
        with pytest.raises(RuntimeError, match="inplace operation"):
            lib.autograd.grad((v * v).sum(), [y, leaf])
        return found

    assert run(ours) == run(torch)


def test_no_copy_or_file_takes_along_what_a_view_has_shown():
    w = ours.ones(3, requires_grad=True)
    whole = w * 2
    view = whole[:2]
    before = view.exp()
    whole.data.mul_(3)
    (view * before).sum().item()
    assert set(view.__dict__) <= OWN_ATTRIBUTES and "_shown" in view.__dict__
    buffer = io.BytesIO()
    ours.save(view, buffer)
    buffer.seek(0)
    assert ours.load(buffer).tolist() == [6.0, 6.0]
