"""`torch.compile`: a function comes back, a module is wrapped as PyTorch wraps it; modes and backends are looked at.

What is expected was seen in PyTorch 2.13; its compiler takes seconds to import, so it does not run beside.
"""

import copy
import pickle

import pytest

import torchlike_asg as torch


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 1))


KEYS = [f"_orig_mod.{name}" for name in ("0.weight", "0.bias", "2.weight", "2.bias")]


def test_a_compiled_module_is_pytorchs_to_see():
    m = model()
    c = torch.compile(m, backend="eager")
    c.kept = 5
    assert type(c).__name__ == "OptimizedModule" and c._orig_mod is m and not isinstance(c, torch.nn.Sequential)
    assert m.kept == 5 and "kept" not in c.__dict__ and len(c) == 3 and bool(c) and "kept" in dir(c)
    del c.kept
    assert not hasattr(m, "kept") and not hasattr(c, "kept")
    assert list(c.state_dict()) == KEYS and [name for name, _ in c.named_children()] == ["_orig_mod"]
    assert c.eval() is c and not m.training and m.train() is m and c.training
    assert str(c).startswith("OptimizedModule(\n  (_orig_mod): Sequential(\n    (0): Linear(")
    c.new = torch.nn.ReLU()
    assert "new" in m._modules and list(c._modules) == ["_orig_mod"]
    other = copy.deepcopy(c)
    assert list(other.state_dict()) == KEYS and other._orig_mod is not m and list(pickle.loads(pickle.dumps(c)).state_dict()) == KEYS
    with pytest.raises(TypeError):
        c[0]
    with pytest.raises(TypeError, match="Linear does not support len"):
        len(torch.compile(torch.nn.Linear(1, 1)))


def test_a_compiled_module_computes_what_the_module_does_with_its_own_hooks_and_the_modules():
    m, seen = model(), []
    c = torch.compile(m)
    x = torch.ones(2, 2)
    assert torch.equal(c.eval()(x), m(x))
    m.register_forward_hook(lambda *args: seen.append("inner"))
    c.register_forward_hook(lambda *args: seen.append("outer"))
    assert torch.equal(c(input=x), m(x)) and seen == ["inner", "outer", "inner"]
    c(x).sum().backward()
    assert all(p.grad is not None for p in m.parameters()) and next(iter(c.parameters())) is m[0].weight


def test_files_of_compiled_models_fit_compiled_models(tmp_path):
    c, plain = torch.compile(model()), model()
    torch.save(c.state_dict(), tmp_path / "compiled.pt")
    c.load_state_dict(torch.load(tmp_path / "compiled.pt"))
    for target, state in ((plain, c.state_dict()), (c, plain.state_dict())):
        with pytest.raises(RuntimeError, match="Missing key"):
            target.load_state_dict(state)


def test_what_cannot_be_asked_for():
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast, should be one of: default, lite"):
        torch.compile(len, mode="fast")
    with pytest.raises(torch._dynamo.exc.InvalidBackend, match="Invalid backend: 'quick', see"):
        torch.compile(len, backend="quick")
    with pytest.raises(RuntimeError, match="Either mode or options"):
        torch.compile(len, mode="default", options={"max_autotune": True})
    with pytest.raises(TypeError, match="speed"):
        torch.compile(len, speed=1)


def test_functions_come_back_under_every_name_of_a_backend():
    m = model()
    assert torch.compiler.list_backends() == torch._dynamo.list_backends() == ["cudagraphs", "inductor", "openxla", "tvm"]
    assert all(torch.compile(len, backend=name) is len for name in torch._dynamo.list_backends(None))
    assert torch.compile(m, disable=True) is m and torch.compile(c := torch.compile(m)) is c
    assert torch._dynamo.optimize("eager")(len) is len and torch._dynamo.graph_break() is None
    with pytest.raises(NotImplementedError, match=r"asg\.explain"):
        torch._dynamo.explain(len)
