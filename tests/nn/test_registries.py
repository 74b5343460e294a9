"""Attributes of modules whose parameters, buffers and children stand in dicts of the class's own."""

from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def what_is_seen(p):
    """A class whose __setattr__ knows nothing of registries, like those of packages that make modules functional."""

    class Patched(p.nn.Linear):
        def __init__(self):
            p.nn.Module.__init__(self)
            self._parameters = OrderedDict(weight="placeholder", bias=None)
            self._modules = OrderedDict()
            self._buffers = OrderedDict()

        def __setattr__(self, name, value):
            for registry in ("_parameters", "_buffers", "_modules"):
                if name in self.__dict__.get(registry, ()):
                    self.__dict__[registry][name] = value
                    return
            object.__setattr__(self, name, value)

    m = Patched()
    seen = [m.weight, m.bias]
    m.weight, m._modules["child"], m._buffers["mean"] = p.full((2, 3), 2.0), p.nn.ReLU(), p.ones(2)
    seen += [repr(m.child), m.mean.tolist(), m(p.ones(1, 3)).tolist(), [n for n, _ in m.named_children()], hasattr(m, "other")]
    m.weight = p.zeros(2, 3)
    del m.mean
    return [*seen, m(p.ones(1, 3)).tolist(), hasattr(m, "mean")]


def test_entries_of_a_dict_that_a_class_has_put_in_a_registrys_place():
    assert what_is_seen(ours) == what_is_seen(torch)
