"""Places in a page: live blocks never overlap, gaps are used again."""

import numpy as np
import pytest

from torchlike_asg.compiler.memory import ALIGNMENT, Planner


@pytest.mark.parametrize("seed", range(20))
def test_live_blocks_never_overlap(seed):
    rng = np.random.default_rng(seed)
    planner, live, most = Planner(), {}, 0
    for _ in range(400):
        if live and rng.random() < 0.5:
            offset = int(rng.choice(list(live)))
            del live[offset]
            planner.free(offset)
        else:
            n = int(rng.integers(1, 1000))
            at = planner.allocate(n)
            assert at % ALIGNMENT == 0
            assert all(at + n <= other or at >= other + length for other, length in live.items())
            live[at] = n
        most = max(most, sum(-(-n // ALIGNMENT) * ALIGNMENT for n in live.values()))
        assert most <= planner.size <= 2.5 * most
    for at in list(live):
        planner.free(at)
    assert planner.allocate(planner.size) == 0


def test_the_first_gap_that_is_large_enough_is_used():
    planner = Planner()
    a, b, c, d, _ = (planner.allocate(n) for n in (64, 64, 256, 64, 64))
    planner.free(a)
    planner.free(c)
    assert planner.allocate(100) == c
    assert planner.allocate(64) == a
    planner.free(b)
    planner.free(d)
    assert planner.allocate(64) == b


def test_a_block_grows_out_of_the_last_gap():
    planner = Planner()
    planner.allocate(64)
    planner.free(planner.allocate(128))
    assert planner.allocate(256) == 64
    assert planner.size == 320
