"""Tensors that take the shape of one of their views."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402


def test_shapes_and_shared_memory():
    def run(T):
        y = T.arange(6.0).view(2, 3).clone()
        row = y[0]
        out = [y.unsqueeze_(1) is y, y.shape, y.stride(), y.sum(0)]
        y.squeeze_()
        y.t_()
        out += [y.clone(), y.is_contiguous(), row.clone()]
        y.add_(1)
        row.mul_(10)
        part = y[:, 1]
        part.unsqueeze_(0).fill_(-1)
        return [*out, y, row, part.shape, T.ones(3, 1).squeeze_(1).shape, T.ones(2, 3, 4).swapaxes_(0, 2).shape, y.numpy().shape]

    same(run)


def test_gradients_flow_through():
    def run(T):
        w = T.ones(2, 3, requires_grad=True)
        h = w * T.arange(3.0)
        h.unsqueeze_(0).transpose_(1, 2)
        h[0, 0] += 5
        (h.exp() * T.arange(6.0).view(1, 3, 2)).sum().backward()
        read = (w * 3).t_()
        total = read.sum().item()
        read.unsqueeze_(0)
        (read**2).sum().backward()
        return h.shape, h.is_leaf, w.grad, total, read

    same(run)


def test_a_leaf_is_refused():
    for T in (torch, ours):
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
            T.ones(2, 2, requires_grad=True).t_()
        with pytest.raises(IndexError, match="Dimension out of range"):
            T.arange(3.0).transpose_(0, 2)


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
@pytest.mark.parametrize("read", [False, True])
def test_one_of_several_views_is_of_no_use_after_a_write(read, lib):
    x = lib.arange(6.0).view(2, 3)
    x.add_(lib.ones(3, requires_grad=True))
    if read:
        x.detach().numpy()
    part = x.split(1)[1]
    x[0].fill_(0.5)
    with pytest.raises(RuntimeError, match="This view is the output of a function that returns multiple views"):
        part.as_strided((2,), (2,), 3)


@pytest.mark.parametrize(
    "cut", [lambda t: t.tensor_split(3), lambda t: t.tensor_split([1, 3]), lambda t: t.hsplit(2), lambda t: t.vsplit(2)]
)
def test_what_is_cut_by_slices_may_be_written_with_history(cut):
    """Unlike the views of split and chunk, which PyTorch makes all at once."""

    def run(T):
        x = T.arange(24.0).reshape(4, 6).clone().requires_grad_()
        t = x * 2
        for i, part in enumerate(cut(t)):
            part.mul_(i + 2)
        (t * t).sum().backward()
        return t.tolist(), x.grad.tolist()

    same(run)


LEAVES = {
    "expanded": lambda T, x: x.expand(2, 3).requires_grad_(),
    "detached": lambda T, x: (x * 1).expand(2, 3).detach().requires_grad_(),
    "parameter": lambda T, x: T.nn.Parameter(x.expand(2, 3)),
    "unfolded": lambda T, x: x.unfold(0, 2, 1).requires_grad_(),
    "sliced": lambda T, x: x.expand(4, 3)[::2].requires_grad_(),
}


@pytest.mark.parametrize("make", LEAVES.values(), ids=LEAVES)
def test_elements_of_a_leaf_that_share_memory_have_gradients_of_their_own(make):
    def run(T):
        base = T.arange(3.0)
        x = make(T, base)
        weights = T.arange(float(x.numel())).reshape(x.shape)
        for _ in range(2):
            (x * x * weights).sum().backward()
        return x.grad.tolist(), x.is_leaf, x.tolist(), base.tolist()

    same(run)


IN_PLACE = {
    "unsqueeze_": lambda v: v.unsqueeze_(0),
    "squeeze_": lambda v: v.squeeze_(),
    "transpose_": lambda v: v.transpose_(0, 1),
    "t_": lambda v: v.t_(),
    "swapaxes_": lambda v: v.swapaxes_(0, 1),
}


def _multi(lib):
    z = lib.ones(3, 4, requires_grad=True) * 1
    return z, z.split(1)[1]


def _apart(lib):
    z = lib.ones(3, 4, requires_grad=True) * 1
    with lib.no_grad():
        return z, z[0:1]


def _of_leaf(lib):
    w = lib.ones(2, 2, requires_grad=True)
    return w, w.view(2, 2)


@pytest.mark.parametrize("made", [_multi, _apart, _of_leaf])
@pytest.mark.parametrize("name", IN_PLACE)
def test_a_view_that_may_not_be_written_takes_no_other_shape_and_notices_that_its_base_did(name, made):
    def raised(lib, base):
        z, v = made(lib)
        try:
            IN_PLACE[name](z if base else v)
            return (v + 1).tolist()
        except RuntimeError as error:
            return str(error)

    for base in (False, True):
        assert raised(ours, base) == raised(torch, base)


@pytest.mark.parametrize("view", ["mT", "mH", "H", "adjoint", "movedim"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 3)])
def test_transposes_of_any_number_of_dimensions(view, shape):
    def found(lib):
        x = lib.ones(shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = {"adjoint": lambda: x.adjoint(), "movedim": lambda: x.movedim(0, -1)}.get(view, lambda: getattr(x, view))()
                return tuple(result.shape), tuple(result.stride())
            except RuntimeError as error:
                return str(error)

    assert found(ours) == found(torch)


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("name", ["t_", "squeeze_", "unsqueeze_", "transpose_", "as_strided_"])
def test_another_shape_is_another_version(name, kind, read):
    """What was saved before it is refused, what is saved after it is not."""

    def found(lib, before):
        w = lib.arange(1.0, 5.0).view(2, 2).requires_grad_()
        x = [lambda: lib.ones(2, 2), lambda: lib.ones(2, 2) * 2, lambda: w * 2, lambda: (w * 2).detach(), lambda: (w * 2)[:]][kind]()
        y = (w * x).sum() if before else 0
        d = x.detach()
        getattr(x, name)(*{"unsqueeze_": (0,), "transpose_": (0, 1), "as_strided_": ((2, 2), (2, 1))}.get(name, ()))
        names = str(x.grad_fn).partition(" object")[0]
        if read:
            x.sum().item()
        try:
            (y + (x.exp() * w).sum() + (d * w).sum()).backward()
        except RuntimeError as error:
            return str(error)[:60], names
        return [round(v, 3) for v in w.grad.view(-1).tolist()], x._version, d._version, tuple(x.stride()), names

    for before in (False, True):
        assert found(ours, before) == found(torch, before)


SHAPED = {
    "t_": lambda p: p.t_(),
    "squeeze_": lambda p: p.squeeze_(0),
    "unsqueeze_": lambda p: p.unsqueeze_(0),
    "transpose_": lambda p: p.transpose_(0, 1),
    "as_strided_": lambda p: p.as_strided_((3, 2), (1, 3)),
}


@pytest.mark.parametrize("change", SHAPED.values(), ids=SHAPED)
@pytest.mark.parametrize("had_grad", [False, True])
def test_leaves_outside_of_histories(change, had_grad):
    """They stay leaves over the same memory; a gradient of the old shape stays, and the next one meets it as any of another shape."""

    def run(T):
        p = T.arange(6.0).reshape(2, 3).clone().requires_grad_()
        seen, version = p.detach(), p._version
        if had_grad:
            (p * p).sum().backward()
        with T.no_grad():
            out = [change(p) is p, p.shape, p.stride(), p.is_leaf, p.requires_grad, p._version - version]
            p.mul_(2)
        out += [seen.clone(), None if p.grad is None else p.grad.shape]
        try:
            (p * T.arange(6.0).reshape(p.shape)).sum().backward()
        except RuntimeError as error:
            return [*out, str(error)]
        T.optim.SGD([p], lr=0.1).step()
        return [*out, p.grad.clone(), p.grad.stride(), p.detach().clone(), seen]

    same(run)


def test_a_weight_is_turned_between_steps():
    def run(T):
        T.manual_seed(0)
        layer, x = T.nn.Linear(3, 2), T.arange(12.0).reshape(4, 3) / 10
        optimizer, out = T.optim.SGD(layer.parameters(), lr=0.1), []
        for step in range(6):
            w = layer.weight if step % 2 == 0 else layer.weight.t()
            loss = (T.nn.functional.linear(x, w, layer.bias) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            out += [loss.item(), layer.weight.shape]
            del w, loss  # PyTorch's step that adds up gradients keeps the shape of the weight for as long as it lives
            with T.no_grad():
                layer.weight.t_()
        return [*out, layer.weight.detach()]

    same(run)


def test_what_was_saved_of_a_leaf_of_another_shape_is_refused():
    for T in (torch, ours):
        p = T.ones(2, 3, requires_grad=True)
        y = (p * p).sum()
        with T.no_grad():
            p.t_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()


def test_a_leaf_with_views_keeps_its_shape():
    p = ours.ones(2, 3, requires_grad=True)
    row = p[0]
    with ours.no_grad(), pytest.raises(NotImplementedError, match="has views"):
        p.t_()
    del row
    with ours.no_grad():
        assert tuple(p.t_().shape) == (3, 2)
