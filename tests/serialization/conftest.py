import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import dtypes
from torchlike_asg.serialization.tensors import record_of, tensor_of_array

try:
    import torch

    torch.set_num_threads(1)
except ImportError:  # the tests that need it skip themselves
    torch = None


def bits(tensor):
    """The exact content of one of our tensors, or of torch's: bfloat16 as uint16 bits."""
    if isinstance(tensor, torch.Tensor):
        tensor = tensor.detach().contiguous()
        return tensor.view(torch.int16).numpy().view(np.uint16) if tensor.dtype == torch.bfloat16 else tensor.numpy()
    record = record_of(tensor.detach())
    strides = tuple(s * record.dtype.itemsize for s in record.stride)
    return np.lib.stride_tricks.as_strided(record.elements[record.offset :], record.size, strides).copy()


def same(ours_, theirs):
    """Equal in type, shape, bits, and requires_grad."""
    return (
        str(ours_.dtype) == str(theirs.dtype)
        and tuple(ours_.shape) == tuple(theirs.shape)
        and ours_.requires_grad == theirs.requires_grad
        and bits(ours_).tobytes() == bits(theirs).tobytes()
    )


def example(name, shape, seed=0):
    """One of our tensors of the dtype called `name`, with random bits that are valid for it, and torch's equal one."""
    d = dtypes.BY_NAME[name]
    generator = np.random.default_rng(seed)
    if d.is_floating_point or d.is_complex:
        values = generator.standard_normal(shape) * 100
        values = values + 1j * generator.standard_normal(shape) if d.is_complex else values
    else:
        values = generator.integers(0, 2 if d is dtypes.bool_ else 100, shape)
    stored = dtypes.store(values, d)
    theirs = torch.from_numpy(stored.view(np.int16).copy()).view(torch.bfloat16) if name == "bfloat16" else torch.from_numpy(stored.copy())
    return tensor_of_array(stored.reshape(-1).copy(), d, stored.shape, "cpu"), theirs


@pytest.fixture
def tools():
    class Tools:
        pass

    Tools.bits, Tools.same, Tools.example = staticmethod(bits), staticmethod(same), staticmethod(example)
    Tools.names = [d.name for d in dtypes.ALL]
    Tools.ours = ours
    return Tools
