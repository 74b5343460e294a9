"""Hooks on saved values, beside PyTorch: what they are given, and gradients of gradients through what they return."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def _hooks(L, pack=lambda t: t, unpack=lambda t: t):
    return L.autograd.graph.saved_tensors_hooks(pack, unpack)


def test_leaves_are_given_as_they_are():
    for L in (torch, ours):
        x, seen = L.nn.Parameter(L.ones(3)), []
        with _hooks(L, lambda t, x=x, seen=seen: (seen.append((t is x, type(t) is type(x))), t)[1]):
            y = x * x
            (y.exp() * 2).sum().backward()
        assert seen == [(True, True), (True, True), (False, False)], L.__name__


@pytest.mark.parametrize("factor", [1, 2])
def test_derivatives_of_gradients_that_read_unpacked_values(factor):
    found = []
    for L in (torch, ours):
        x = L.tensor([1.0, 2.0, 3.0], requires_grad=True)
        with _hooks(L, lambda t: (factor * t).numpy(), L.from_numpy):
            y = (x.exp() * x + x**3).sum()
        (g,) = L.autograd.grad(y, x, create_graph=True)
        found.append(g.tolist() + L.autograd.grad(g.sum(), x)[0].tolist())
    assert found[1] == pytest.approx(found[0])


@pytest.mark.parametrize("method", ["__enter__", "__exit__"])
def test_a_block_that_a_hook_begins_or_ends_is_forgotten(method):
    for L in (torch, ours):
        packed, blocks = [], []

        def unpack(t, blocks=blocks):
            getattr(blocks[0], method)(*[None] * 3 * (method == "__exit__"))
            return t

        blocks += [_hooks(L, lambda t, packed=packed: (packed.append(1), t)[1], unpack)]
        x = L.ones(3, requires_grad=True)
        with blocks[0]:
            x.sin().sum().backward()
            x.cos()
        assert len(packed) == 2, L.__name__
        x.tan().sum().backward()
        assert len(packed) == 2, L.__name__


def test_numbers_are_not_packed_also_where_they_change():
    for L in (torch, ours):
        x, seen = L.tensor([1.0, 2.0], requires_grad=True), []
        for exponent in (2.0, 3.0, 2.5, 4.0, 3.5, 5.0):
            with _hooks(L, lambda t, seen=seen: (seen.append(t.dim()), t * 2)[1]):
                (x**exponent).sum().backward()
        assert set(seen) == {1}, L.__name__
