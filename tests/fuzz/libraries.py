"""The two libraries under one interface, and what counts as the same error."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.facade.exposure import sync  # noqa: E402
from torchlike_asg.facade.families import family_of  # noqa: E402
from torchlike_asg.facade.held import value_of  # noqa: E402

#: (kind, text) in order; an error is of the first kind whose text it contains
KINDS = [
    ("version", "modified by an inplace operation:"),
    ("twice", "backward through the graph a second time"),
    ("leaf view", "a view of a leaf Variable that requires grad"),
    ("leaf", "a leaf Variable that requires grad"),
    ("multi view", "returns multiple views"),
    ("no_grad view", "view was created in no_grad mode"),
    ("overlap with itself", "more than one element of the written-to"),
    ("overlap with an operand", "some elements of the input tensor and the written-to"),
    ("view", "view size is not compatible"),
    ("not a leaf", "only change requires_grad flags of leaf"),
    ("deepcopy", "support the deepcopy protocol"),
    ("numpy", "Can't call numpy()"),
    ("not a scalar", "only for scalar outputs"),
    ("no history", "does not require grad and does not have a grad_fn"),
    ("broadcast", "doesn't match the broadcast shape"),
    ("broadcast", "must match"),
]


def kind_of(error):
    return next((kind for kind, text in KINDS if text in str(error)), f"{type(error).__name__}: {error}"[:200])


class Torch:
    name = "torch"
    lib = torch

    @staticmethod
    def tensor(array, requires_grad):
        return torch.tensor(array, requires_grad=requires_grad)

    @staticmethod
    def values(t):
        return t.detach().resolve_conj().resolve_neg().numpy().copy()

    @staticmethod
    def storage(t):
        return t.untyped_storage().data_ptr()

    @staticmethod
    def about_to_write_arrays(tensors):
        """Nothing to do: torch shares the bytes and does not look."""


class Ours:
    name = "ours"
    lib = ours

    @staticmethod
    def tensor(array, requires_grad):
        return ours.tensor(array, requires_grad=requires_grad)

    @staticmethod
    def values(t):
        out = np.array(value_of(t))
        ours.sync()
        return out

    @staticmethod
    def storage(t):
        return id(family_of(t).cell)

    @staticmethod
    def about_to_write_arrays(tensors):
        """Have exposed storages watched, so that what PyTorch would silently read is known (see `silent`)."""
        for t in tensors:
            cell = t._f.cell if t._f is not None else None
            if cell is not None and cell.exposed:
                if cell.shadow is None:
                    cell.shadow = cell.buf.copy()
                sync(cell)


def leafness(t):
    """`is_leaf`, which raises for views that may no longer be differentiated."""
    try:
        return t.is_leaf
    except RuntimeError:
        return "stale"


def touched(t):
    """The storage indices a torch tensor shows."""
    at = np.full(tuple(t.shape), t.storage_offset(), np.int64)
    for d, (n, stride) in enumerate(zip(t.shape, t.stride(), strict=True)):
        at += (np.arange(n) * stride).reshape((-1,) + (1,) * (t.dim() - d - 1))
    return at
