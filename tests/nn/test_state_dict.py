"""state_dict and load_state_dict beside torch's: keys, errors word for word, hooks, versions."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

torch = pytest.importorskip("torch")
BOTH = pytest.mark.parametrize("package", [torch, ours], ids=["torch", "ours"])


def model(package):
    return package.nn.Sequential(
        OrderedDict(conv=package.nn.Conv2d(1, 2, 3), norm=package.nn.BatchNorm2d(2), head=package.nn.Sequential(package.nn.Linear(2, 3)))
    )


def test_keys_metadata_and_sharing():
    a, b = model(torch), model(ours)
    state = b.state_dict()
    assert list(state) == list(a.state_dict())
    assert dict(state._metadata) == dict(a.state_dict()._metadata)
    assert list(b.state_dict(prefix="net.")) == list(a.state_dict(prefix="net."))
    assert not state["conv.weight"].requires_grad
    assert b.state_dict(keep_vars=True)["conv.weight"] is b.conv.weight
    with ours.no_grad():
        b.conv.weight.fill_(3)
    assert (state["conv.weight"] == 3).all()
    destination = OrderedDict()
    assert b.state_dict(destination=destination) is destination
    with pytest.warns(FutureWarning, match="Positional args"):
        assert list(b.state_dict(OrderedDict(), "p.")) == list(a.state_dict(prefix="p."))


def test_round_trip_between_the_packages():
    source = model(torch)
    target = model(ours)
    result = target.load_state_dict({k: ours.from_numpy(v.numpy().copy()) for k, v in source.state_dict().items()})
    assert repr(result) == "<All keys matched successfully>"
    for (key, a), b in zip(source.state_dict().items(), target.state_dict().values(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), key)


def changes():
    yield "missing", lambda s, p: s.pop("conv.weight")
    yield "unexpected", lambda s, p: s.update(extra=p.ones(1))
    yield "unexpected child", lambda s, p: s.update({"head.9.weight": p.ones(1), "nobody.w": p.ones(1)})
    yield "shape", lambda s, p: s.update({"conv.bias": p.ones(7)})
    yield "type", lambda s, p: s.update({"conv.bias": 3.0})
    yield (
        "all",
        lambda s, p: (s.pop("norm.weight"), s.pop("head.0.bias"), s.update({"z": p.ones(1), "y": p.ones(1), "conv.bias": p.ones(2, 2)})),
    )


@pytest.mark.parametrize(("what", "change"), list(changes()), ids=[c[0] for c in changes()])
def test_strict_errors_word_for_word(what, change):
    texts = []
    for package in (torch, ours):
        m = model(package)
        state = m.state_dict()
        change(state, package)
        with pytest.raises(RuntimeError) as info:
            m.load_state_dict(state)
        texts.append(str(info.value).replace("torch.Size", "Size"))
    assert texts[0] == texts[1]


def test_not_strict_returns_the_keys():
    found = []
    for package in (torch, ours):
        m = model(package)
        state = m.state_dict()
        state.pop("conv.bias")
        state["more"] = package.ones(1)
        found.append(m.load_state_dict(state, strict=False))
    assert found[0].missing_keys == found[1].missing_keys == ["conv.bias"]
    assert found[0].unexpected_keys == found[1].unexpected_keys == ["more"]
    assert repr(found[0]) == repr(found[1])


@BOTH
def test_wrong_argument(package):
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        model(package).load_state_dict([])


@BOTH
def test_assign_makes_the_given_tensors_the_parameters(package):
    m, other = model(package), model(package).double()
    m.conv.bias.requires_grad_(False)
    state = other.state_dict()
    m.load_state_dict(state, assign=True)
    assert m.conv.weight.dtype == package.float64
    assert isinstance(m.conv.weight, package.nn.Parameter)
    assert [m.conv.weight.requires_grad, m.conv.bias.requires_grad] == [True, False]
    assert m.norm.running_mean.dtype == package.float64
    assert list(dict(m.named_parameters())) == list(dict(other.named_parameters()))


@BOTH
def test_loading_keeps_identity_and_dtype(package):
    m = model(package)
    weight = m.conv.weight
    m.load_state_dict(model(package).double().state_dict())
    assert m.conv.weight is weight
    assert weight.dtype == package.float32


@BOTH
def test_scalar_parameter_reads_one_element_vector(package):
    class Scale(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.s = package.nn.Parameter(package.tensor(1.0))

    m = Scale()
    m.load_state_dict({"s": package.tensor([4.0])})
    assert m.s.item() == 4


@BOTH
def test_batch_norm_version_one_has_no_counter(package):
    m = model(package)
    state = OrderedDict(m.state_dict())
    state.pop("norm.num_batches_tracked")
    m.load_state_dict(state)
    state._metadata = m.state_dict()._metadata
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        m.load_state_dict(state)


@BOTH
def test_extra_state(package):
    class WithState(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.step = 0

        def get_extra_state(self):
            return {"step": self.step}

        def set_extra_state(self, state):
            self.step = state["step"]

    m = package.nn.Sequential(WithState())
    m[0].step = 5
    state = m.state_dict()
    assert state["0._extra_state"] == {"step": 5}
    other = package.nn.Sequential(WithState())
    other.load_state_dict(state)
    assert other[0].step == 5
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "_extra_state"'):
        package.nn.ReLU().load_state_dict({"_extra_state": 1})


def drop_bias(module, state, prefix, metadata):
    del state[prefix + "bias"]


@BOTH
def test_hooks_around_saving_and_loading(package):
    log = []
    m = package.nn.Sequential(package.nn.Linear(1, 1))
    m.register_state_dict_pre_hook(lambda module, prefix, keep_vars: log.append(("pre", prefix)))
    m[0].register_state_dict_post_hook(drop_bias)
    replacing = m._register_state_dict_hook(lambda module, state, prefix, metadata: OrderedDict(state, added=1))
    assert list(m.state_dict()) == ["0.weight", "added"]
    replacing.remove()
    assert list(m.state_dict()) == ["0.weight"]

    def before(module, state, prefix, metadata, strict, missing, unexpected, errors):
        log.append(("load", module is m[0], prefix))
        state[prefix + "bias"] = package.ones(1)

    m[0].register_load_state_dict_pre_hook(before)
    handle = m.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    m.load_state_dict({"0.weight": package.zeros(1, 1)})
    m.load_state_dict({})
    handle.remove()
    with pytest.raises(RuntimeError, match="Missing"):
        m.load_state_dict({})
    assert log == [("pre", ""), ("pre", ""), *[("load", True, "0.")] * 3]


@BOTH
def test_hooks_must_not_return_values(package):
    m = package.nn.Linear(1, 1)
    handle = m.register_state_dict_post_hook(lambda *args: 1)
    with pytest.raises(RuntimeError, match="must return None"):
        m.state_dict()
    handle.remove()
    m.register_load_state_dict_post_hook(lambda *args: 1)
    with pytest.raises(AssertionError, match="not expected to return new values"):
        m.load_state_dict(m.state_dict())


@BOTH
def test_overridden_load_from_state_dict(package):
    class Renamed(package.nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")
            super()._load_from_state_dict(state_dict, prefix, *args)

    m = package.nn.Sequential(Renamed(1, 1, bias=False))
    m.load_state_dict({"0.w": package.full((1, 1), 5.0)})
    assert m[0].weight.item() == 5


@BOTH
def test_prefix_of_data_parallel_is_stripped(package):
    state = package.nn.DataParallel(model(package)).state_dict()
    package.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    plain = model(package).state_dict()
    assert list(state) == list(plain)
    assert dict(state._metadata) == dict(plain._metadata)


def test_tied_weights_are_saved_under_both_names():
    m = nn.ModuleDict({"a": nn.Embedding(3, 2), "b": nn.Linear(2, 3, bias=False)})
    m["b"].weight = m["a"].weight
    state = m.state_dict()
    assert list(state) == ["a.weight", "b.weight"]
    assert len(list(m.parameters())) == 1
