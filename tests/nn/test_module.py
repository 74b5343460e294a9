"""Module: registration, attributes, traversal, conversion, modes, copies and printed form, beside torch's."""

from __future__ import annotations

import gc
import weakref

import pytest

import torchlike_asg as ours
from torchlike_asg import nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


def block(package):
    class Block(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = package.nn.Linear(3, 3)
            self.scale = package.nn.Parameter(package.ones(3))
            self.register_buffer("mean", package.zeros(3))
            self.register_buffer("cache", package.zeros(2), persistent=False)
            self.note = "plain"

        def forward(self, x):
            return self.fc(x) * self.scale + self.mean

    return Block


def net(package):
    Block = block(package)

    class Net(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.rest = Block(), package.nn.ModuleList([Block(), Block()])
            self.shared = self.first.fc
            self.nothing = None
            self.register_parameter("absent", None)

        def forward(self, x):
            for layer in (self.first, *self.rest):
                x = layer(x)
            return self.shared(x)

    return Net()


class Simple(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("count", ours.zeros(1))
        self.size = 5

    def forward(self, x):
        return self.fc(x) + self.count


def errors_alike(action):
    caught = []
    for package in (torch, ours):
        with pytest.raises(Exception) as info:
            action(package)
        caught.append(info.value)
    assert type(caught[0]) is type(caught[1]), caught
    assert str(caught[0]) == str(caught[1])


def names(pairs):
    return [name for name, _ in pairs]


def test_traversal_is_torchs():
    a, b = net(torch), net(ours)
    for view in (
        lambda m: names(m.named_parameters()),
        lambda m: names(m.named_parameters(prefix="p", recurse=False)),
        lambda m: names(m.named_parameters(remove_duplicate=False)),
        lambda m: names(m.named_buffers()),
        lambda m: names(m.named_modules()),
        lambda m: names(m.named_modules(prefix="x", remove_duplicate=False)),
        lambda m: names(m.named_children()),
        lambda m: [type(c).__name__ for c in m.children()],
        lambda m: [type(c).__name__ for c in m.modules()],
        lambda m: [tuple(p.shape) for p in m.parameters()],
        lambda m: [tuple(p.shape) for p in m.parameters(recurse=False)],
        lambda m: [tuple(p.shape) for p in m.buffers()],
        lambda m: list(m.state_dict()),
        lambda m: list(m._parameters),
        lambda m: list(m.first._buffers),
        lambda m: repr(m),
        lambda m: m.get_submodule("rest.1.fc") is m.rest[1].fc,
        lambda m: m.get_submodule("") is m,
        lambda m: m.get_parameter("first.scale") is m.first.scale,
        lambda m: m.get_buffer("first.mean") is m.first.mean,
        lambda m: [n for n in dir(m) if n in ("first", "rest", "absent", "0", "forward")],
        lambda m: [n for n in dir(m.rest) if n.isdigit()],
    ):
        assert view(a) == view(b)
    for target in ("rest.7", "first.scale.x", "first.note"):
        errors_alike(lambda package, target=target: net(package).get_submodule(target))
    for target in ("first.fc", "first.none"):
        errors_alike(lambda package, target=target: net(package).get_parameter(target))
    for target in ("first.scale", "first.none"):
        errors_alike(lambda package, target=target: net(package).get_buffer(target))


@BOTH
def test_apply_visits_children_first(package):
    seen = []
    model = net(package)
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert seen == ["Linear", "Block", "Linear", "Block", "Linear", "Block", "ModuleList", "Linear", "Net"]


@BOTH
def test_assignment_registers_by_kind(package):
    m = block(package)()
    order = list(m._parameters)
    m.scale = package.nn.Parameter(package.zeros(3))
    assert list(m._parameters) == order
    assert m.scale.sum().item() == 0
    m.mean = package.ones(3)
    assert m._buffers["mean"] is m.mean
    m.mean = None
    assert m._buffers["mean"] is None
    m.note = package.nn.Linear(1, 1)
    assert "note" in m._modules
    m.fc = package.nn.Parameter(package.zeros(1))
    assert "fc" in m._parameters
    assert "fc" not in m._modules
    m.weights = package.nn.Buffer(package.ones(2), persistent=False)
    assert "weights" in m._buffers
    assert "weights" not in m.state_dict()
    assert isinstance(m.weights, package.nn.Buffer)
    m.scale = None
    assert m._parameters["scale"] is None
    del m.scale, m.note, m.mean
    for name in ("scale", "note", "mean"):
        assert not hasattr(m, name)
    assert "mean" not in m.state_dict()


@pytest.mark.parametrize("persistent", [True, False])
def test_an_assigned_buffer_is_registered_by_the_class(persistent):
    """Also where the class has a register_buffer that knows nothing of `persistent`; other attributes of the name are in the way."""

    def attempt(package):
        class Counting(package.nn.Module):
            def register_buffer(self, name, value):
                super().register_buffer(name, value, True)

        m = Counting()
        m.bar = package.nn.Buffer(package.ones(2), persistent=persistent)
        return list(m.state_dict())

    if persistent:
        assert attempt(ours) == attempt(torch) == ["bar"]
    else:
        errors_alike(attempt)
    for before in (5, None):

        def occupied(package, before=before):
            m = package.nn.Module()
            m.a = before
            m.a = package.nn.Buffer(package.ones(2))

        errors_alike(occupied)


def test_registration_errors():
    def before_init(what):
        def action(package):
            class Early(package.nn.Module):
                def __init__(self):
                    what(package, self)

            Early()

        return action

    for what in (
        lambda p, m: setattr(m, "a", p.nn.Parameter(p.ones(1))),
        lambda p, m: setattr(m, "a", p.nn.Linear(1, 1)),
        lambda p, m: m.register_buffer("a", None),
        lambda p, m: m.register_parameter("a", None),
    ):
        errors_alike(before_init(what))
    for action in (
        lambda m, p: m.register_buffer("fc", p.ones(1)),
        lambda m, p: m.register_buffer("a.b", p.ones(1)),
        lambda m, p: m.register_buffer("", p.ones(1)),
        lambda m, p: m.register_buffer(3, p.ones(1)),
        lambda m, p: m.register_buffer("a", 3),
        lambda m, p: m.register_parameter("forward", None),
        lambda m, p: m.register_parameter("a.b", None),
        lambda m, p: m.register_parameter("", None),
        lambda m, p: m.register_parameter("a", p.ones(1)),
        lambda m, p: m.register_parameter("a", "text"),
        lambda m, p: m.add_module("a", 3),
        lambda m, p: m.add_module("a.b", p.nn.ReLU()),
        lambda m, p: m.add_module("", p.nn.ReLU()),
        lambda m, p: m.add_module("note", p.nn.ReLU()),
        lambda m, p: m.add_module(5, p.nn.ReLU()),
        lambda m, p: setattr(m, "scale", p.ones(3)),
        lambda m, p: setattr(m, "scale", "text"),
        lambda m, p: setattr(m, "fc", 3),
        lambda m, p: setattr(m, "mean", 3),
        lambda m, p: m.train("yes"),
        lambda m, p: m.missing,
        lambda m, p: delattr(m, "missing"),
        lambda m, p: p.nn.Module(3),
        lambda m, p: p.nn.Module(a=3),
        lambda m, p: p.nn.Module()(1),
        lambda m, p: m.to(p.int64),
        lambda m, p: m.set_submodule("", p.nn.ReLU()),
        lambda m, p: m.set_submodule("fc", 3),
    ):
        errors_alike(lambda p, action=action: action(block(p)(), p))


def test_non_leaf_parameters_are_refused():
    class Odd(nn.Parameter):
        @property
        def grad_fn(self):
            return "history"

    with pytest.raises(ValueError, match="non-leaf Tensor to parameter 'w'"):
        nn.Module().register_parameter("w", Odd(ours.ones(1)))


def test_parameters_are_plain_attributes():
    m = Simple()
    assert m.__dict__["fc"] is m.fc
    assert m.fc.__dict__["weight"] is m.fc.weight is m.fc._parameters["weight"]
    replacement = nn.Parameter(ours.zeros(2, 2))
    m.fc._parameters["weight"] = replacement
    assert m.fc.weight is replacement
    assert m.fc._parameters.pop("bias") is not None
    assert not hasattr(m.fc, "bias")
    m.fc._parameters.update(bias=None)
    assert m.fc.bias is None
    m._buffers.clear()
    assert not hasattr(m, "count")
    assert m._buffers.setdefault("count", 1) == 1
    assert m.count == 1
    m._buffers |= {"other": 2}
    assert m.other == 2
    assert m._buffers.popitem() == ("other", 2)
    assert not hasattr(m, "other")
    clone = m.__new__(type(m))
    clone.__dict__ = m.__dict__.copy()
    clone._parameters = clone._parameters.copy()
    clone._modules = clone._modules.copy()
    clone._modules["fc"] = nn.Linear(1, 1)
    assert clone.fc is not m.fc
    assert type(m._modules.copy()) is dict


@BOTH
def test_modes_and_gradients(package):
    model = net(package)
    assert model.training
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    model.first.train()
    assert model.first.fc.training
    assert not model.training
    model(package.ones(2, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad(set_to_none=False)
    assert all((p.grad == 0).all() for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())


def test_a_dropped_model_is_freed_at_once():
    gc.collect()
    gc.disable()
    try:
        model = net(ours)
        alive = weakref.ref(model)
        del model
        assert alive() is None
    finally:
        gc.enable()


def test_compile_changes_nothing():
    m = nn.Linear(1, 1)
    assert m.compile(mode="max-autotune") is None
    assert m(ours.ones(1, 1)).shape == (1, 1)


def test_errors_in_forward_name_the_module():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = nn.ModuleList([nn.Sequential(nn.Linear(2, 3))])

        def forward(self, x):
            return self.h[0](x)

    with pytest.raises(RuntimeError) as info:
        Deep()(ours.ones(1, 5))
    assert info.value.__notes__ == ["in Deep.h.0.0 (Linear)"]
    assert ours.ones(1).sum().item() == 1  # and the stack of modules is as before
    from torchlike_asg.asg import scope

    assert scope.stack() == []


def test_train_reaches_overridden_methods():
    class Frozen(nn.Module):
        def train(self, mode=True):
            return super().train(False)

    model = nn.Sequential(Frozen(), nn.ReLU())
    model.train()
    assert [m.training for m in model] == [False, True]


def test_multiple_inheritance_with_call_super_init():
    class Mixin:
        def __init__(self, *args, **kwargs):
            self.given = kwargs

    class Both(nn.Module, Mixin):
        call_super_init = True

        def __init__(self):
            super().__init__(colour="red")

    assert Both().given == {"colour": "red"}


@BOTH
def test_set_submodule(package):
    model = net(package)
    model.set_submodule("rest.0.fc", package.nn.ReLU())
    assert isinstance(model.rest[0].fc, package.nn.ReLU)
    with pytest.raises(AttributeError):
        model.set_submodule("rest.0.nope", package.nn.ReLU(), strict=True)


@BOTH
def test_bias_none_modules_print_and_save(package):
    assert list(package.nn.Linear(2, 3, bias=False).state_dict()) == ["weight"]
