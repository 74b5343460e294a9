"""Mistakes raise the same type of error in both libraries, and the messages say the same thing."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .mistakes import MISTAKES as FIRST  # noqa: E402
from .more_mistakes import MORE  # noqa: E402

MISTAKES = FIRST | MORE


@pytest.fixture(autouse=True)
def checked():
    """PyTorch's distributions check their parameters: its compiler, wherever it was used in the process, turns that off for good."""
    torch.distributions.Distribution.set_default_validate_args(True)


def raised(run, lib):
    with warnings.catch_warnings(), pytest.raises(Exception) as caught:
        warnings.simplefilter("ignore")
        run(lib)
    return caught.value


def test_there_are_three_hundred():
    assert len(MISTAKES) == len(FIRST) + len(MORE) >= 300


@pytest.mark.parametrize("case", MISTAKES)
def test_the_same_error(case):
    run, words = MISTAKES[case]
    got, want = raised(run, ours), raised(run, torch)
    same = isinstance(got, type(want)) or type(got).__name__.strip("_") == type(want).__name__.strip("_")
    assert same, (type(got), type(want), str(got))
    assert words in str(want), str(want)
    assert words in str(got), str(got)


def test_most_messages_are_word_for_word():
    """The key words are the floor; the texts of most are equal."""
    equal = sum(str(raised(run, ours)).strip() == str(raised(run, torch)).strip() for run, _ in MISTAKES.values())
    assert equal >= 0.85 * len(MISTAKES), equal
