"""Sequential, ModuleList, ModuleDict, ParameterList and ParameterDict beside torch's."""

from __future__ import annotations

import re
from collections import OrderedDict

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


def kinds(modules):
    return [type(m).__name__ for m in modules]


def alike(action):
    """The same result of both packages, or the same error."""
    results = []
    for package in (torch, ours):
        try:
            results.append(action(package))
        except Exception as error:
            text = str(error).replace(package.__name__ + ".nn", "nn").replace("ParametersDict", "ParameterDict")
            results.append((type(error), re.split(r"\n| Open an issue", text)[0]))
    assert results[0] == results[1]


def trio(package, kind="Sequential"):
    nn = package.nn
    modules = [nn.Linear(2, 3), nn.ReLU(), nn.Tanh()]
    return nn.Sequential(*modules) if kind == "Sequential" else nn.ModuleList(modules)


@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
@pytest.mark.parametrize(
    "action",
    [
        lambda s, p: len(s),
        lambda s, p: kinds([s[0], s[-1], s[p.tensor(1)]]),
        lambda s, p: (kinds(s[1:]), list(s[1:]._modules), type(s[1:]).__name__),
        lambda s, p: s[3],
        lambda s, p: s[-4],
        lambda s, p: s.__setitem__(1, p.nn.ELU()) or kinds(s),
        lambda s, p: s.__setitem__(9, p.nn.ELU()),
        lambda s, p: s.__delitem__(0) or (kinds(s), list(s._modules)),
        lambda s, p: s.__delitem__(slice(0, 2)) or (kinds(s), list(s._modules)),
        lambda s, p: (kinds(s.append(p.nn.ELU())), list(s._modules)),
        lambda s, p: kinds(s.extend([p.nn.ELU(), p.nn.ELU()])),
        lambda s, p: (s.insert(1, p.nn.ELU()), kinds(s), list(s._modules))[1:],
        lambda s, p: (s.insert(3, p.nn.ELU()), kinds(s))[1],
        lambda s, p: (type(s.pop(1)).__name__, kinds(s), list(s._modules)),
        lambda s, p: kinds(s + s),
        lambda s, p: kinds(s.__iadd__(trio(p))),
        lambda s, p: repr(s),
        lambda s, p: list(s.state_dict()),
        lambda s, p: list(s.pop(0).state_dict()),
        lambda s, p: s[0] in list(s),
        lambda s, p: getattr(s, "1").__class__.__name__,
    ],
)
def test_sequences(kind, action):
    alike(lambda p: action(trio(p, kind), p))


@pytest.mark.parametrize(
    "action",
    [
        lambda s, p: kinds(s * 2),
        lambda s, p: kinds(2 * s),
        lambda s, p: kinds(s.__imul__(2)),
        lambda s, p: s * 0,
        lambda s, p: s + [1],
        lambda s, p: s.insert(9, p.nn.ReLU()),
        lambda s, p: s(p.ones(1, 2)).shape == (1, 3),
        lambda s, p: list(p.nn.Sequential(OrderedDict(a=s[0], b=s[1]))._modules),
        lambda s, p: list(p.nn.Sequential(OrderedDict(a=s[0], b=s[1], c=s[2]))[1:]._modules),
        lambda s, p: repr(p.nn.Sequential(OrderedDict(a=s[0], b=p.nn.Sequential(s[1])))),
        lambda s, p: repr(p.nn.Sequential()),
        lambda s, p: p.nn.Sequential(3),
    ],
)
def test_sequential(action):
    alike(lambda p: action(trio(p), p))


def test_extend_wants_an_iterable():
    for kind in ("Sequential", "ModuleList"):
        with pytest.raises(TypeError):
            trio(ours, kind).extend(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.nn.ModuleList([p.nn.Linear(1, 2) for _ in range(3)] + [p.nn.ReLU(), trio(p), trio(p), p.nn.ReLU()]),
        lambda p: p.nn.ModuleList(),
        lambda p: p.nn.ModuleList([p.nn.ModuleList([p.nn.ReLU()] * 2)] * 2),
        lambda p: p.nn.ModuleDict({"a": p.nn.ReLU(), "b": trio(p)}),
        lambda p: p.nn.ModuleDict(),
        lambda p: p.nn.ParameterList([p.nn.Parameter(p.ones(2)), p.ones(3, 4), "text"]),
        lambda p: p.nn.ParameterList([p.ones(2)]),
        lambda p: p.nn.ParameterList(),
        lambda p: p.nn.ParameterDict({"b": p.ones(()), "a": 3}),
        lambda p: p.nn.Sequential(p.nn.ParameterList([p.ones(2, 2)])),
    ],
)
def test_printed_forms(make):
    alike(lambda p: repr(make(p)))


def test_blank_lines_of_printed_children_stay_empty():
    def layer(p):
        class WithBlanks(p.nn.Module):
            def extra_repr(self):
                return "first\n\n   \nlast\n"

        return WithBlanks()

    alike(lambda p: repr(p.nn.Sequential(layer(p), p.nn.Sequential(layer(p)))))
    alike(lambda p: repr(p.nn.ModuleList([layer(p)])))


def moduledict(p):
    return p.nn.ModuleDict({"relu": p.nn.ReLU(), "tanh": p.nn.Tanh()})


@pytest.mark.parametrize(
    "action",
    [
        lambda d, p: (len(d), list(d), "relu" in d, "x" in d),
        lambda d, p: (list(d.keys()), kinds(d.values()), [k for k, _ in d.items()]),
        lambda d, p: d.pop("relu").__class__.__name__ + str(list(d)),
        lambda d, p: d.pop("x"),
        lambda d, p: d["x"],
        lambda d, p: d.clear() or len(d),
        lambda d, p: d.__delitem__("relu") or list(d),
        lambda d, p: d.__setitem__("keys", p.nn.ReLU()),
        lambda d, p: d.__setitem__("a.b", p.nn.ReLU()),
        lambda d, p: d.__setitem__("a", 3),
        lambda d, p: d.update([("z", p.nn.ELU()), ("y", p.nn.ELU())]) or list(d),
        lambda d, p: d.update(OrderedDict(z=p.nn.ELU(), tanh=p.nn.ELU())) or (list(d), kinds(d.values())),
        lambda d, p: d.update(p.nn.ModuleDict({"q": p.nn.ELU()})) or list(d),
        lambda d, p: d.update(3),
        lambda d, p: d.update([3]),
        lambda d, p: d.update([(1, 2, 3)]),
        lambda d, p: d.tanh.__class__.__name__,
    ],
)
def test_module_dict(action):
    alike(lambda p: action(moduledict(p), p))


def parameter_list(p):
    return p.nn.ParameterList([p.zeros(1), p.ones(2), 5])


@pytest.mark.parametrize(
    "action",
    [
        lambda s, p: (len(s), [type(v).__name__ for v in s], s[2]),
        lambda s, p: [tuple(v.shape) for v in s[:2]],
        lambda s, p: s[3],
        lambda s, p: s.__setitem__(-1, p.ones(7)) or [type(v).__name__ for v in s],
        lambda s, p: len(s.append(p.ones(1))),
        lambda s, p: len(s.extend([1, 2])),
        lambda s, p: s.extend(3),
        lambda s, p: s.extend(p.ones(2)),
        lambda s, p: list(s.state_dict()),
        lambda s, p: [n for n, _ in s.named_parameters()],
        lambda s, p: s(),
        lambda s, p: len(s.__iadd__([1])),
    ],
)
def test_parameter_list(action):
    alike(lambda p: action(parameter_list(p), p))


def parameter_dict(p):
    return p.nn.ParameterDict(OrderedDict(z=p.zeros(1), a=p.ones(2), text="x"))


@pytest.mark.parametrize(
    "action",
    [
        lambda d, p: (len(d), list(d), list(reversed(d)), "a" in d, "q" in d),
        lambda d, p: (list(d.keys()), [type(v).__name__ for v in d.values()], [k for k, _ in d.items()]),
        lambda d, p: (tuple(d.pop("a").shape), list(d)),
        lambda d, p: (d.popitem(), list(d)),
        lambda d, p: d["q"],
        lambda d, p: d[3],
        lambda d, p: (d.get("q"), d.get("q", 1), tuple(d.get("a").shape)),
        lambda d, p: (d.setdefault("new", p.ones(3)).shape == (3,), tuple(d.setdefault("a", None).shape)),
        lambda d, p: d.clear() or (len(d), list(d.state_dict())),
        lambda d, p: list(d.copy()),
        lambda d, p: list(d.fromkeys(["k", "l"], 3).items()),
        lambda d, p: d.update({"y": p.ones(1), "b": p.ones(1)}) or list(d),
        lambda d, p: d.update([("y", p.ones(1)), ("b", p.ones(1))]) or list(d),
        lambda d, p: d.update(3),
        lambda d, p: d.update([(1, 2, 3)]),
        lambda d, p: list(d | p.nn.ParameterDict({"more": p.ones(1)})),
        lambda d, p: list(d.__ior__(p.nn.ParameterDict({"more": p.ones(1)}))),
        lambda d, p: list(d.state_dict()),
        lambda d, p: d(1),
    ],
)
def test_parameter_dict(action):
    alike(lambda p: action(parameter_dict(p), p))


@BOTH
def test_parameters_in_containers_are_trained(package):
    class Net(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.ws = package.nn.ParameterList([package.ones(2) for _ in range(3)])
            self.named = package.nn.ParameterDict({"w": package.ones(2)})

        def forward(self, x):
            for w in self.ws:
                x = x * w
            return x * self.named["w"]

    net = Net()
    net(package.tensor([2.0, 3.0])).sum().backward()
    assert [p.grad.tolist() for p in net.parameters()] == [[2.0, 3.0]] * 4
