"""Which nodes are computed together."""

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.asg.node import Node
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.asg.trace import current
from torchlike_asg.compiler.fuse import MAX_COLUMN, Fuser
from torchlike_asg.compiler.kinds import kind_of
from torchlike_asg.devices import cpu
from torchlike_asg.ops.linalg import matmul
from torchlike_asg.ops.pointwise import add, mul, sub
from torchlike_asg.ops.reduce import sum_


def data(rows: int, columns: int) -> Node:
    a = np.ones((rows, columns), np.float32)
    return current().input(a, a.shape, (columns, 1), dtypes.float32, cpu)


def groups(roots, leaves):
    order = [n for n in topo(roots, ()) if n not in leaves]
    return Fuser([*leaves, *order], roots, lambda n: kind_of(n, set(leaves), lambda _: False)).groups


def test_sums_of_long_columns_that_do_not_need_each_other_are_taken_together():
    x, y = data(4 * MAX_COLUMN, 8), data(4 * MAX_COLUMN, 8)
    g = mul(x, y)
    first, second = sum_(g, (0,), True), sum_(mul(g, y), (0,), True)
    assert len(groups([sub(g, add(first, mul(y, second)))], [x, y])) == 1


def test_a_sum_of_long_columns_that_needs_another_is_taken_later():
    x = data(4 * MAX_COLUMN, 8)
    centred = sub(x, sum_(x, (0,), True))
    assert len(groups([sum_(mul(centred, centred), (0,), True)], [x])) == 2
    assert len(groups([sum_(add(x, centred), (0,), True)], [x])) == 2


def test_what_a_group_depends_on_is_counted_in_groups():
    """Not in nodes: over a loop of hundreds of steps, sets of nodes are what planning would take its time for."""
    y = x = data(4, 4)
    for _ in range(20):
        y = matmul(mul(add(mul(y, x), y), x), x)
    found = groups([add(y, x)], [x])
    assert len(found) == 21
    assert max(g.above.bit_length() for g in found) == 40
