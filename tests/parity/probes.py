"""Claims about names and idioms, each a function and the outcome that it must have."""

import warnings

import pytest

import torchlike_asg as torch

YES, NO = True, False


class Raises:
    """The outcome "raises this type, with these words"."""

    def __init__(self, kind, words=""):
        self.kind, self.words = kind, words


def run(claim):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = claim()
    return found.tolist() if isinstance(found, torch.Tensor) else found


def settled(claim, expected):
    if isinstance(expected, Raises):
        with pytest.raises(expected.kind) as caught:
            run(claim)
        assert expected.words in str(caught.value), str(caught.value)
    else:
        found = run(claim)
        assert found == (pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else expected), found


def after(*steps):
    """The value of the last of several steps."""
    return [step() for step in steps][-1]


def weight_of(module):
    return next(module.parameters())
