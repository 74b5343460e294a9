"""Writes in place inside functions that are being differentiated, beside PyTorch: to arguments, to what is captured, to what is new."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def _set_first(x, value=5.0):
    x[0] = value
    return x * x


def _of_a_view(x):
    v = x[1:]
    v.mul_(2)
    return x * x


def _of_a_new_one(x):
    y = x.new_zeros(3)
    y[:2] = x[:2]
    y[0].mul_(x[2])
    return y.pow(2).sum()


def _without(L, f):
    with L.no_grad():
        f()


def _dual(L, f):
    """What `f` makes of a dual tensor: value, tangent, and what the tensor that it was made of holds."""
    ad = L.autograd.forward_ad
    x = L.tensor([1.0, 2.0, 3.0])
    with ad.dual_level():
        found = ad.unpack_dual(f(ad.make_dual(x, L.tensor([1.0, 10.0, 100.0]))))
        return found.primal, found.tangent, x, ad.unpack_dual(x).tangent is None


def _normed(L, y, mean, var):
    return L.nn.functional.batch_norm(y, mean, var, training=True).pow(3).sum()


def _renormed(L, w):
    return L.nn.functional.embedding(L.tensor([0, 2, 2]), w, max_norm=1.0)


#: each with the value, the derivative, and what the argument holds afterwards
KEPT = {
    "push": lambda L, x, t: (L.func.jvp(lambda x: x.mul_(2).sin().sum(), (x,), (t,)), x),
    "push through an item": lambda L, x, t: (L.func.jvp(_set_first, (x,), (t,)), x),
    "push through a view": lambda L, x, t: (L.func.jvp(_of_a_view, (x,), (t,)), x),
    "push from one argument to another": lambda L, x, t: (L.func.jvp(lambda x, y: y.copy_(x * 3) * y, (x, x + 1), (t, t)), x),
    "push into a result of gradients": lambda L, x, t: (L.func.jvp(lambda x: x.add_(1), (x.requires_grad_() * 1,), (t,))[0].detach(), x),
    "columns": lambda L, x, t: L.func.jacfwd(lambda x: x.mul_(2).exp())(x),
    "pushes of a batch": lambda L, x, t: L.func.vmap(lambda x, t: L.func.jvp(lambda x: x.mul_(2).sin().sum(), (x,), (t,)))(
        L.stack([x, x + 1]), L.stack([t, t])
    ),
    "gradient, without history": lambda L, x, t: (L.func.grad(lambda x: (_without(L, lambda: x.add_(1)), (x * x).sum())[1])(x), x),
    "gradient, its data": lambda L, x, t: (L.func.grad(lambda x: (x.data.mul_(2), (x * x).sum())[1])(x), x),
    "gradient of something new": lambda L, x, t: L.func.grad(_of_a_new_one)(x),
    "second derivatives of something new": lambda L, x, t: L.func.hessian(_of_a_new_one)(x),
    "gradient of statistics": lambda L, x, t: (L.func.grad(lambda y: _normed(L, y, x, t))(L.arange(12.0).reshape(4, 3)), x, t),
    "dual": lambda L, x, t: _dual(L, lambda d: d.mul_(2).sin()),
    "dual and an item": lambda L, x, t: _dual(L, _set_first),
    "dual without history": lambda L, x, t: _dual(L, lambda d: (_without(L, lambda: d.mul_(3)), d * d)[1]),
    "dual and its view": lambda L, x, t: _dual(L, _of_a_view),
    "table pushed": lambda L, x, t: (lambda w: (L.func.jvp(lambda w: _renormed(L, w), (w,), (w * 2,)), w))(x[:, None] * t),
    "table": lambda L, x, t: (lambda w: (L.func.grad(lambda w: _renormed(L, w).pow(2).sum())(w), w))(x[:, None] * t),
}


def _added_to(y):
    return lambda z: (y.add_(1) * z).sum()


def _through(layer):
    return lambda x: layer(x[:, None]).sum()


def _flat(x):
    return [y for part in x for y in _flat(part)] if isinstance(x, (tuple, list)) else [x]


@pytest.mark.parametrize("name", KEPT)
def test_arguments_hold_what_is_written_to_them(name):
    found = []
    for L in (torch, ours):
        made = _flat(KEPT[name](L, L.tensor([1.0, 2.0, 3.0]), L.tensor([1.0, 10.0, 100.0])))
        found.append([y if isinstance(y, bool) else y.detach().numpy() for y in made])
    for theirs, mine in zip(*found, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5), name


REFUSED = {
    "an item": lambda L, x, held: L.func.grad(lambda x: (held.__setitem__(0, x[0]), (held * x).sum())[1])(x),
    "a product": lambda L, x, held: L.func.grad(lambda x: held.mul_(x).sum())(x),
    "a number": lambda L, x, held: L.func.vjp(lambda x: held.fill_(2) * x, x),
    "noise": lambda L, x, held: L.func.jvp(lambda x: held.normal_() * x, (x,), (x,)),
    "a view": lambda L, x, held: L.func.jacrev(lambda x: held[1:].add_(1) * x[0])(x),
    "without history": lambda L, x, held: L.func.grad(lambda x: (_without(L, lambda: held.add_(1)), (held * x).sum())[1])(x),
    "detached": lambda L, x, held: L.func.grad(lambda x: (held.detach().add_(1) * x).sum())(x),
    "in a batch": lambda L, x, held: L.func.grad(lambda x: L.func.vmap(lambda y: held.add_(1) * y)(x[:, None]).sum())(x),
    "of the gradient around": lambda L, x, held: L.func.grad(lambda x: L.func.grad(_added_to(x * 2))(x).sum())(x),
    "counts of a layer": lambda L, x, held: L.func.grad(_through(L.nn.BatchNorm1d(1)))(x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_captured_is_not_written(name):
    for L in (torch, ours):
        held = L.ones(3)
        with pytest.raises(RuntimeError, match="that would mutate a captured Tensor"):
            REFUSED[name](L, L.tensor([1.0, 2.0, 3.0]), held)
        assert held.tolist() == [1, 1, 1] and held.grad_fn is None


LEAVES = {
    "gradient": lambda L, x: L.func.grad(lambda x: x.mul_(x).sum())(x),
    "of a view": lambda L, x: L.func.vjp(lambda x: x[1:].mul_(2), x),
    "rows": lambda L, x: L.func.jacrev(lambda x: x.add_(1))(x),
    "gradient of a push": lambda L, x: L.func.grad(lambda x: L.func.jvp(lambda y: y.mul_(2), (x,), (x,))[1].sum())(x),
    "push from a leaf": lambda L, x: L.func.jvp(lambda x: x.mul_(2), (x.requires_grad_(),), (L.ones(3),)),
}


@pytest.mark.parametrize("name", LEAVES)
def test_arguments_to_differentiate_by_are_leaves(name):
    for L in (torch, ours):
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            LEAVES[name](L, L.tensor([1.0, 2.0, 3.0]))


def test_functional_jacobians_may_write_what_they_capture():
    found = []
    for L in (torch, ours):
        held = L.zeros(3)
        found.append((L.autograd.functional.jacobian(lambda x, held=held: held.copy_(x * 2) * x, L.ones(3)).tolist(), held.tolist()))
    assert found[0] == found[1]


def test_data_can_be_written_again_after_a_transform():
    table = ours.tensor([1.0, 2.0])
    with pytest.raises(RuntimeError):
        ours.func.grad(lambda x: table.mul_(x).sum())(ours.ones(2))
    table[0] = 7
    table += 1
    assert table.tolist() == [8, 3]


OTHERS = {
    "an argument": lambda L, x, held: L.func.grad(lambda x, y: (y.copy_(x * 2) * x).sum())(x, held),
    "a keyword": lambda L, x, held: L.func.grad(lambda x, y: (y.add_(x) * x).sum())(x, y=held),
    "in a dictionary": lambda L, x, held: L.func.grad(lambda x, d: (d["y"].mul_(x) * x).sum())(x, {"y": held}),
    "rows": lambda L, x, held: L.func.jacrev(lambda x, y: y.copy_(x * 2))(x, held),
    "columns": lambda L, x, held: L.func.jacfwd(lambda x, y: y.copy_(x * 2))(x, held),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_else_a_function_is_given_may_be_written(name):
    found = []
    for L in (torch, ours):
        held = L.ones(3)
        found.append((OTHERS[name](L, L.tensor([1.0, 2.0, 3.0]), held).tolist(), held.tolist(), held.grad_fn))
    assert found[0] == found[1]


def test_what_else_a_function_is_given_keeps_the_history_of_outside():
    found = []
    for L in (torch, ours):
        w = L.ones(3, requires_grad=True)
        held = w * 2
        L.func.grad(lambda x, y: (y.mul_(x) * x).sum())(L.tensor([1.0, 2.0, 3.0]), held)
        held.sum().backward()
        found.append((held.tolist(), w.grad.tolist()))
    assert found[0] == found[1]
