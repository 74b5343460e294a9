"""Hooks on a leaf live as long as the histories that end in it, also if the script has let the leaf go."""

import copy
import gc
import pickle
import weakref

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

MADE = {
    "new": lambda T: T.ones(3, requires_grad=True),
    "parameter": lambda T: T.nn.Parameter(T.ones(3)),
    "computed": lambda T: (T.ones(3) * 2).requires_grad_(),
    "part": lambda T: T.ones(5)[1:4].requires_grad_(),
}


@pytest.mark.parametrize("post", [False, True])
@pytest.mark.parametrize("read", ["not", "in the middle", "over traces"])
@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_a_leaf_that_is_gone_calls_its_hooks(made, read, post):
    def run(T):
        seen = []
        for used_before in (False, True, True):
            a, b = made(T), T.full((3,), 2.0, requires_grad=True)
            if used_before:
                (a * b).sum().backward()
                a.grad = b.grad = None
            handle = a.register_hook(lambda g: seen.append(g.sum().item()) or g * 2)
            a.register_hook(lambda g: seen.append(g.sum().item())).remove()
            if post:
                a.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.sum().item()))
            y = (a * b + a).sum() * 3
            del a
            if read != "not":
                seen.append(y.item())
            if read == "over traces":
                getattr(T, "sync", int)()
            gc.collect()
            y.backward(retain_graph=True)
            (y * 2).backward()
            seen.append(b.grad.tolist())
            handle.remove()
        return seen

    assert run(ours) == run(torch)


def test_a_handle_keeps_no_leaf_alive_and_can_be_copied():
    x = ours.ones(3, requires_grad=True)
    marker = type("Marker", (), {})()
    there = weakref.ref(marker)
    handle = x.register_hook(lambda g, m=marker: None)
    del x, marker
    gc.collect()
    assert there() is None
    handle.remove()
    model = ours.nn.Linear(2, 2)
    model.handle = model.register_forward_hook(print)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert len(other._forward_hooks) == 1
        other.handle.remove()
        assert not other._forward_hooks
    assert len(model._forward_hooks) == 1
