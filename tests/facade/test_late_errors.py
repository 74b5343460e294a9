"""Operations are computed later than they are recorded: an error that depends on data says at which line of the script it belongs."""

import inspect

import pytest

import torchlike_asg as torch
from torchlike_asg import config, nn


def _line(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def looked_up(table):
    found = table(torch.tensor([1, 3]) + 3)  # out of range
    return (found * 2).sum().item()


def named(table):
    return table(torch.tensor([1, 9])).sum().item()  # data, which the call looks at


def factored(_):
    bad = torch.randn(3, 3) * 0 - torch.eye(3)
    lower = torch.linalg.cholesky(bad)
    return lower.sum().item()


def gathered(_):
    data, index = torch.randn(2, 3), torch.tensor([[0, 1, 5]]) + 2
    taken = data.gather(1, index)
    return taken.tolist()


CASES = {
    looked_up: (IndexError, "table(", "computing embedding of float32[4, 3] and int64[2]"),
    named: (IndexError, "table(", "computing embedding of float32[4, 3] and int64[2]"),
    factored: (RuntimeError, "cholesky(", "computing cholesky of float32[3, 3]"),
    gathered: (RuntimeError, "gather(", "computing gather of float32[2, 3] and int64[1, 3]"),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_the_line_that_recorded_it_is_named(function, eager, monkeypatch):
    kind, text, told = CASES[function]
    monkeypatch.setattr(config, "eager", eager)
    for _ in range(2):  # the second time by the plan of the first
        with pytest.raises(kind) as caught:
            function(nn.Embedding(4, 3))
        (note,) = caught.value.__notes__
        assert note.startswith(told) and f"{__file__}:{_line(function, text)}" in note
        assert note.endswith(", in Embedding") == (function in (looked_up, named))
    assert torch.ones(3).sum().item() == 3, "what follows is not disturbed"


def test_two_plans_of_one_program_name_their_own_lines():
    """Plans of equal graphs share what was compiled for the first; the lines are each plan's own."""

    def first(table):
        return table(torch.tensor([0, 4]) * 2).sum().item()  # computed: no data that the call could look at

    def second(table):
        return table(torch.tensor([0, 4]) * 2).sum().item()

    tables = [nn.Embedding(4, 3) for _ in range(2)]  # two leaves, so two nodes and plans
    torch.sync()
    for function, table in zip((first, second), tables, strict=True):
        with pytest.raises(IndexError) as caught:
            function(table)
        assert f"{__file__}:{_line(function, 'table(t')}" in caught.value.__notes__[0]
