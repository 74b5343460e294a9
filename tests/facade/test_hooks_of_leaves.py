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


GRADIENTS_OF_ANOTHER_TYPE = {
    "accumulated": "x.grad_dtype = T.float32; (x * 2).sum().backward(); (x * 3).sum().backward(); R = x.grad",
    "asked for": "x.grad_dtype = T.float64; R = T.autograd.grad((x * x).sum(), x)[0]",
    "hooked": "h = []; x.grad_dtype = T.float32; x.register_hook(lambda g: h.append(str(g.dtype))); (x * 2).sum().backward(); R = h",
    "any": "x.grad_dtype = None; x.grad = T.ones(2).double(); R = x.grad_dtype, x.grad",
    "assigned": "x.grad_dtype = T.float64; x.grad = T.ones(2).double(); R = x.grad_dtype, x.grad",
    "stepped": "x.grad_dtype = T.float32; (x * 2).sum().backward(); T.optim.SGD([x], 0.5).step(); R = x",
    "back": "x.grad_dtype = T.float64; x.sum().backward(); x.grad = None; x.grad_dtype = T.bfloat16; x.sum().backward(); R = x.grad",
    "before it is a leaf": "y = T.ones(2); y.grad_dtype = T.float64; y.requires_grad_(); (y * 2).sum().backward(); R = y.grad",
    "refused: a string": "x.grad_dtype = 'a'",
    "refused: a result": "y = x * 2; y.grad_dtype = T.float32",
    "refused: beside a gradient": "(x * 2).sum().backward(); x.grad_dtype = T.float32",
    "refused: an integer": "x.grad_dtype = T.int64; (x * 2).sum().backward()",
    "refused: another is assigned": "x.grad_dtype = T.float32; x.grad = T.ones(2, dtype=T.bfloat16)",
}


@pytest.mark.parametrize("name", GRADIENTS_OF_ANOTHER_TYPE)
def test_gradients_of_another_type(name):
    found = []
    for T in (torch, ours):
        space = {"T": T, "x": T.ones(2, dtype=T.bfloat16, requires_grad=True)}
        if name.startswith("refused"):
            with pytest.raises(RuntimeError):
                exec(GRADIENTS_OF_ANOTHER_TYPE[name], space)
        else:
            exec(GRADIENTS_OF_ANOTHER_TYPE[name], space)
            found.append(str(space["R"]).replace("torchlike_asg", "torch"))
    assert len(set(found)) <= 1
