"""What whole modules keep as attributes, in files: rebuilt from attributes alone, or refused."""

import enum
import functools
import io
import pickle
import subprocess
import sys
import zipfile
from collections import namedtuple
from dataclasses import dataclass
from types import FunctionType

import pytest

import torchlike_asg as ours
from torchlike_asg import nn
from torchlike_asg.serialization import CorruptFileError, UnsafeContentError, load, save

torch = pytest.importorskip("torch")

Point = namedtuple("Point", "x y")


@dataclass
class Config:
    made = 0
    width: int = 3

    def __post_init__(self):
        Config.made += 1


class Kind(enum.Enum):
    SMALL, LARGE = 1, 2


class Round(ours.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


class Careful:
    ran = False

    def __setstate__(self, state):
        Careful.ran = True


class Slotted:
    __slots__ = ("x",)


def again(obj):
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return load(buffer, weights_only=False)


def pickled(code):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + code)
    buffer.seek(0)
    return buffer


def test_attributes_of_modules_come_back():
    net = nn.Linear(2, 2)
    net.config, net.kind, net.point, net.round = Config(5), Kind.LARGE, Point(1, 2), Round.apply
    net.norm, net.act = functools.partial(nn.LayerNorm, eps=1e-3), ours.tanh
    net.prior = ours.distributions.MultivariateNormal(ours.zeros(2), ours.eye(2))
    made = Config.made
    found = again(net)
    assert found.config == Config(5) and Config.made == made + 1  # the one compared with
    assert found.kind is Kind.LARGE and found.point == Point(1, 2) and type(found.point) is Point
    assert found.round(ours.tensor([1.4])).tolist() == [1.0]
    assert found.norm.func is nn.LayerNorm and found.norm.keywords == {"eps": 1e-3} and found.act is ours.tanh
    assert found.prior.log_prob(ours.zeros(2)).item() == net.prior.log_prob(ours.zeros(2)).item()
    buffer = io.BytesIO()
    save(net, buffer)
    buffer.seek(0)
    with pytest.raises(UnsafeContentError):
        load(buffer)


def test_functions_and_distributions_of_torch_become_ours():
    theirs = {"act": torch.tanh, "gelu": torch.nn.functional.gelu, "p": torch.distributions.Normal(torch.zeros(2), torch.ones(2))}
    buffer = io.BytesIO()
    torch.save(theirs, buffer)
    buffer.seek(0)
    found = load(buffer, weights_only=False)
    assert found["act"] is ours.tanh and found["gelu"] is nn.functional.gelu
    assert type(found["p"]) is ours.distributions.Normal and found["p"].scale.tolist() == [1.0, 1.0]


def test_objects_with_code_of_their_own_are_refused():
    for obj in (Careful(), Slotted()):
        with pytest.raises(UnsafeContentError):
            again({"x": obj, "state": 1} if type(obj) is Slotted else {"x": _with_state(obj)})
    assert not Careful.ran
    for name in (b"logging\nHandler", b"threading\nThread", b"torchlike_asg.serialization.decode\nDecoder", b"torchlike_asg.optim\nSGD"):
        with pytest.raises(UnsafeContentError):
            load(pickled(b"c" + name + b"\n)\x81."), weights_only=False)


def _with_state(obj):
    obj.x = 1
    return obj


def test_attributes_cannot_be_looked_up_elsewhere():
    here = __name__.encode()
    for code in (
        b"cbuiltins\ngetattr\nc" + here + b"\nRound\nX\x0b\x00\x00\x00__globals__\x86R.",
        b"cbuiltins\ngetattr\nc" + here + b"\nConfig\nX\x06\x00\x00\x00__init\x86R.",
        b"cbuiltins\ngetattr\nctorch._C\n_VariableFunctionsClass\nX\x04\x00\x00\x00load\x86R.",
        b"c" + here + b"\nPoint\nK\x01\x85\x81.",
        b"c" + here + b"\nKind\nK\x09\x85R.",
        b"c" + here + b"\nRound\n)\x81.",
        b"c" + here + b"\nConfig\n)R.",
    ):
        with pytest.raises((UnsafeContentError, CorruptFileError)):
            load(pickled(code), weights_only=False)


def test_functions_of_the_namespace_can_be_pickled():
    for name in ours._FUNCTIONS:
        fn = getattr(ours, name)
        if isinstance(fn, FunctionType):
            assert pickle.loads(pickle.dumps(fn)) is fn, name
    assert ours.softmax.__name__ == "softmax"


def test_functions_that_were_taken_before_a_class_was_derived_are_saved(tmp_path):
    script = """
import io
import torch
net = torch.nn.Linear(2, 2)
net.act, net.other = torch.tanh, torch.nn.functional.relu
class Mine(torch.Tensor):
    pass
assert net.act is torch.tanh
net.third = torch.sigmoid
buffer = io.BytesIO()
torch.save(net, buffer)
buffer.seek(0)
found = torch.load(buffer, weights_only=False)
assert found.act is torch.tanh and found.other is torch.nn.functional.relu and found.third is torch.sigmoid
"""
    subprocess.run([sys.executable, "-c", script.replace("import torch\n", "import torchlike_asg as torch\n")], check=True, cwd=tmp_path)
