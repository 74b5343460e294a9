"""Calls with too many arguments, too few, or keywords that nothing is called: the errors say what PyTorch's say."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

#: word for word
SAME = """x.sin(1)|x.sin(dim=1)|x.sin_(3, 4)|x.hypot(dim=1.5)|x.hypot(1, 2)|x.hypot_(dim=1)|x.atan2(T.float64, -1, x)|x.mvlgamma(dim=2)
x.logical_not_(dtype=1)|T.sin()|T.sin(x, 1)|T.sin(x, foo=1)|T.cumsum(x)|T.cumsum(x, 0, 1, 2)|T.softmax(x)|x.unsqueeze_(3, 4)
x.cumsum(dim='a')|x.logical_and(3)|T.logical_or(x, 3)|x.logical_xor_(2.0)|x.index_select([0, 0])|x.scatter_add('a')
x.transpose(2**63)|x.roll(2**63)
x.logsumexp(2**63)|x.topk(2**63)|T.eye(2**63)|x.scatter_add_(1.5, x)|T.topk(x, 1, 0, True, True, 3)|x.diagonal(2**63)"""
#: as far as PyTorch names its signatures, which it writes with types
ALIKE = """x.eq(1, 2)|x.eq_(1, 2)|x.lerp_()|T.add(x)|x.index_fill_('a')|x.index_fill('a', obj, 1)|x.round(1, 2)|T.mean(x, 'a')
x.scatter(nan)|x.div(2, 3)|x.addbmm_(3)|x.clamp_max(1, 2, 3)|x.hsplit(T.tensor([0, 1]))|x.histogram(1.5)|x.repeat_interleave((5,))
x.bernoulli_('a')|x.to(x, x)"""


def said(T, code):
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(code, {"T": T, "x": T.ones(3, 3), "obj": object(), "nan": float("nan")})
    assert type(caught.value) in (TypeError, ValueError)
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize("line", SAME.split("\n"))
def test_the_same_words(line):
    ours.eye(3)  # a call with numbers that will do
    for code in line.split("|"):
        assert said(ours, code) == said(torch, code), code


@pytest.mark.parametrize("line", ALIKE.split("\n"))
def test_what_was_given_where_there_are_several_signatures(line):
    for code in line.split("|"):
        want, got = said(torch, code), said(ours, code)
        given = want[1].partition(", but")[0]
        assert got[0] is want[0] and (got[1].startswith(given) or given.startswith(got[1])), (code, want, got)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("T.zeros(2**63)", "failed to unpack the object at pos 1"),
        ("T.zeros(2, 10**30)", "failed to unpack the object at pos 2"),
        ("x.view(-(2**63) - 1)", "failed to unpack the object at pos 1"),
        ("x.split([1, 'a'])", "failed to unpack the object at pos 2"),
    ],
)
def test_sizes_that_are_none(code, words):
    for T in (torch, ours):
        assert words in said(T, code)[1]


@pytest.mark.parametrize("T", [torch, ours], ids=["torch", "ours"])
def test_a_number_that_wants_a_gradient_is_none(T):
    number = T.tensor(2.0, requires_grad=True)
    for call in (
        lambda: T.add(T.ones(2), T.ones(2), alpha=number),
        lambda: T.renorm(T.ones(2, 2), 2, 0, number),
        lambda: T.isclose(T.ones(2), T.ones(2), rtol=number),
    ):
        with pytest.raises(TypeError):
            call()
    assert T.equal(T.add(T.ones(2), T.ones(2), alpha=number.detach()), T.full((2,), 3.0))
