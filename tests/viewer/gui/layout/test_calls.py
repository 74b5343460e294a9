"""Modules that are called several times: every call is a group, and no group is both before and after another."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.viewer.gui.layout import Nested, Tree, split
from torchlike_asg.viewer.gui.layout.calls import MOST_PARTS


def arrays(edges):
    src, dst = (np.asarray(column, np.int64) for column in (zip(*edges, strict=True) if edges else ((), ())))
    return src, dst


def chain(scopes, weights=()):
    """A graph in which each node reads the one before it."""
    edges = [(i, i + 1) for i in range(len(scopes) - 1)]
    flags = np.asarray([i in weights for i in range(len(scopes))], bool)
    return split(scopes, *arrays(edges), flags)


def test_an_activation_that_two_layers_share():
    scopes, made = chain(["N.conv1", "N.relu", "N.conv2", "N.relu", "N.conv3", "N.relu"])
    assert scopes == ["N.conv1", "N.relu", "N.conv2", "N.relu (2)", "N.conv3", "N.relu (3)"]
    assert made == {"N.relu (2)": "N.relu", "N.relu (3)": "N.relu"}


def test_a_block_that_is_repeated_takes_what_is_in_it_along():
    scopes, made = chain(["N.block.fc", "N.block.act", "N.norm", "N.block.fc", "N.block.act", "N.block.fc"])
    assert scopes == ["N.block.fc", "N.block.act", "N.norm", "N.block (2).fc", "N.block (2).act", "N.block (2).fc (2)"]
    assert made["N.block (2).fc"] == "N.block.fc"
    assert made["N.block (2).fc (2)"] == "N.block (2).fc"


def test_a_list_of_blocks_with_something_between_them_is_taken_apart():
    scopes, made = chain(["N.list.0", "N", "N.list.1.fc", "N", "N.list.2.fc"])
    assert scopes == ["N.list[0]", "N", "N.list[1].fc", "N", "N.list[2].fc"]
    assert made == {
        "N.list[0]": "N.list.0",
        "N.list[1]": "N.list.1",
        "N.list[1].fc": "N.list.1.fc",
        "N.list[2]": "N.list.2",
        "N.list[2].fc": "N.list.2.fc",
    }
    # weights go with their block
    scopes = ["N.list.0", "N.list.1", "N", "N.list.1"]
    found, _ = split(scopes, *arrays([(0, 2), (2, 3), (1, 3)]), np.asarray([False, True, False, False]))
    assert found == ["N.list[0]", "N.list[1]", "N", "N.list[1]"]
    # without anything between them they stay a list, and so do very many
    same = ["N.list.0", "N.list.1", "N"]
    assert chain(same) == (same, {})
    many = [s for k in range(MOST_PARTS + 1) for s in (f"N.list.{k}", "N")]
    assert chain(many) == (many, {})
    # a sequence that is called twice is no list
    assert chain(["N.s.0", "N.s.1", "N", "N.s.0", "N.s.1"])[0] == ["N.s.0", "N.s.1", "N", "N.s (2).0", "N.s (2).1"]


def test_gradients_count_calls_from_the_end():
    scopes, _ = chain(["N.relu", "N.conv", "N.relu", "∂.N.relu", "∂.N.conv", "∂.N.relu"])
    assert scopes == ["N.relu", "N.conv", "N.relu (2)", "∂.N.relu (2)", "∂.N.conv", "∂.N.relu"]


def test_what_belongs_together_stays_together():
    same = ["N.a", "N.a", "N", "N.b", "∂.N", "N.c", "∂.N", "optimizer.w", "N.c"]
    assert chain(["N.a", "N.a", "N", "N.b"]) == (["N.a", "N.a", "N", "N.b"], {})
    assert {s.partition(".")[0] for s in chain(same)[0]} == {"N", "N (2)", "N (3)", "∂", "optimizer"}, "what can be hidden keeps its name"
    # two calls beside each other, as a discriminator's on real and on generated data
    scopes = ["N.d", "N.d", "N.loss"]
    assert split(scopes, *arrays([(0, 2), (1, 2)]), np.zeros(3, bool)) == (scopes, {})
    # a weight that is made late is read by both calls and begins neither
    scopes = ["N.d", "N.e", "N.d", "N.d"]
    assert split(scopes, *arrays([(0, 1), (2, 3), (1, 3)]), np.asarray([False, False, True, False])) == (
        ["N.d", "N.e", "N.d", "N.d (2)"],
        {"N.d (2)": "N.d"},
    )
    assert split([], *arrays([]), np.zeros(0, bool)) == ([], {})


@st.composite
def programs(draw):
    """Calls of modules with inner modules, in any order, each node reading some before it."""
    scopes, edges = [], []
    for _ in range(draw(st.integers(1, 12))):
        module = draw(st.sampled_from(["N.a", "N.b", "N.c", "N"]))
        for inner in draw(st.lists(st.sampled_from(["", ".p", ".q"]), min_size=1, max_size=3)):
            at = len(scopes)
            scopes.append(module + inner)
            edges += [(s, at) for s in draw(st.sets(st.integers(0, at - 1), max_size=2))] if at else []
    return scopes, edges


@settings(max_examples=200, deadline=None)
@given(programs())
def test_no_group_is_both_before_and_after_another(program):
    scopes, edges = program
    src, dst = arrays(edges)
    found, made = split(scopes, src, dst, np.zeros(len(scopes), bool))
    for before, after in zip(scopes, found, strict=True):
        path = after
        while path in made:
            path = made[path]
        assert path == before
    groups = {tuple(s.split(".")[:k]) for s in found for k in (1, 2, 3)}
    for group in groups:  # once left, a group is not entered again by what came of it
        inside = [tuple(s.split(".")[: len(group)]) == group for s in found]
        left = [False] * len(found)
        for node in range(len(found)):
            operands = [s for s, d in edges if d == node]
            left[node] = any(left[o] or (inside[o] and not inside[node]) for o in operands)
            assert not (inside[node] and left[node] and len(group) > 1)


@pytest.mark.parametrize("calls", [3, 9])
def test_a_shared_activation_is_drawn_without_an_edge_that_goes_back(calls):
    scopes = [s for k in range(calls) for s in (f"N.conv{k}", f"N.bn{k}", "N.relu")]
    src, dst = arrays([(i, i + 1) for i in range(len(scopes) - 1)])
    weights = np.zeros(len(scopes), bool)

    def scene(names):
        tree = Tree(names, [s.rpartition(".")[2] for s in scopes], src, dst, {}, weights)
        return Nested(tree, lambda kind, item, members: (100.0, 40.0)).scene(tree.auto_open(100))

    assert any(e.back for e in scene(scopes).edges)
    assert not any(e.back for e in scene(split(scopes, src, dst, weights)[0]).edges)


def test_equal_blocks_with_something_between_them_are_not_folded_into_one():
    scopes = [s for k in range(5) for s in (f"N.list[{k}].fc", f"N.list[{k}].act", "N")]
    src, dst = arrays([(i, i + 1) for i in range(len(scopes) - 1)])
    labels = [s.rpartition(".")[2] for s in scopes]
    tree = Tree(scopes, labels, src, dst)
    assert [len(r) for r in tree.runs(tree.by_path["N"], ())] == [1] * 5
    scene = Nested(tree, lambda kind, item, members: (100.0, 40.0)).scene(tree.auto_open())
    assert not any(e.back for e in scene.edges)
    # heads beside each other, each with something after it, are a series
    src, dst = arrays([(3 * k + j, 3 * k + j + 1) for k in range(5) for j in range(2)])
    tree = Tree(scopes, labels, src, dst)
    assert [len(r) for r in tree.runs(tree.by_path["N"], ())] == [5]
