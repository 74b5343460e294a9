"""Rebuilding parts of the graph: what nodes that are made of others take from them."""

import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg import scope
from torchlike_asg.asg.declare import VAR, get
from torchlike_asg.asg.node import Node, const
from torchlike_asg.asg.rewrite import rewrite, settle, substitute


def leaf(shape, d=dtypes.float32):
    return Node(VAR, (), (), shape, d)


@pytest.fixture
def x():
    return get("exp")(leaf((3, 4)))


def kind(n: Node):
    return n.shape, n.dtype, n.strides, n.offset, n.device, n.rg, n.attrs


@pytest.mark.parametrize(
    "other", [lambda: get("neg")(leaf((3, 4))), lambda: get("neg")(leaf((4, 3))), lambda: get("neg")(leaf((3, 4), dtypes.float64))]
)
def test_an_operation_on_other_operands_is_inferred_as_ever(x, other):
    n, y = get("sum")(x, (1,), True), other()
    assert n.op.again(n, (y,)) is n.op(y, *n.attrs)
    fresh = get("tanh")(other())
    made = n.op.again(n, (fresh,))
    assert kind(made) == kind(Node(n.op, (fresh,), n.attrs, *n.op.rule(fresh, *n.attrs)[:2], device=fresh.device))
    assert n.op(fresh, *n.attrs) is made, "and found again"


def test_what_a_pass_makes_was_recorded_where_the_node_was_that_it_comes_from(x):
    n = get("mul")(x, const(3.0, dtypes.float32))
    n.site = ("Model.layer", "script.py", 7)

    def rule(m):
        return get("sub")(m.srcs[0], const(-11.5, dtypes.float32)) if m.op.name == "mul" else None

    (made,) = rewrite([n], rule)
    assert made.op.name == "sub" and made.site == ("Model.layer", "script.py", 7)
    (again,) = substitute([get("relu")(n)], {n: get("abs")(made)})
    assert again.op.name == "relu" and again.site[1] == __file__
    with scope.inherited() as here:
        here.site = ("", "elsewhere.py", 1)
        assert scope.site() == ("", "elsewhere.py", 1)
    assert scope.site()[1] == __file__


def test_what_a_replacement_is_made_of_is_replaced_at_once(x):
    asked = []

    def rule(m):
        asked.append(m)
        if m.op.name == "softplus":
            return get("neg")(get("sigmoid")(m.srcs[0]))
        if m.op.name == "sigmoid":
            return get("abs")(m.srcs[0])
        return None

    n = get("softplus")(x, 1.0, 20.0)
    n.site = ("Model.layer", "script.py", 7)
    root = get("add")(get("tanh")(n), get("sigmoid")(x))
    (made,) = settle([root], rule)
    assert made is get("add")(get("tanh")(get("neg")(get("abs")(x))), get("abs")(x))
    assert len(asked) == len(set(asked)), "nothing is asked about twice"
    assert made.srcs[0].srcs[0].site == n.site and made.srcs[0].srcs[0].origin == n.origin
    assert settle([root], rule, {n})[0].srcs[0].srcs[0] is n, "what is known is left as it is"
