"""Modules and tensors that are pickled or copied."""

import copy
import pickle

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

from .test_module import Simple


def double_output(module, args, output):
    return output * 2


def test_pickle_round_trip():
    m = Simple()
    m.register_forward_hook(double_output)
    again = pickle.loads(pickle.dumps(m))
    x = ours.ones(1, 2)
    np.testing.assert_array_equal(again(x).detach().numpy(), m(x).detach().numpy())
    again.fc._parameters["bias"] = None
    assert again.fc.bias is None
    assert m.fc.bias is not None


@pytest.mark.parametrize("copied", [lambda t: pickle.loads(pickle.dumps(t)), copy.copy], ids=["pickle", "copy"])
@pytest.mark.parametrize("make", [lambda t: t, nn.Parameter, lambda t: t.requires_grad_()], ids=["tensor", "parameter", "leaf"])
def test_copies_keep_layout_and_what_was_hung_on_a_tensor(make, copied):
    t = make(ours.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=ours.channels_last))
    t.tag = "sharded"
    again = copied(t)
    assert again.stride() == t.stride() == (24, 1, 8, 2)
    assert (again.tag, again.requires_grad, type(again)) == ("sharded", t.requires_grad, type(t))
    np.testing.assert_array_equal(again.detach().numpy(), t.detach().numpy())
