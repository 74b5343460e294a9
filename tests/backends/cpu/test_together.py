"""Launches joined into one do what they did apart, however the units are split."""

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.backends.cpu.calls import Lowering, View
from torchlike_asg.backends.cpu.copies import copy_call, fill_call
from torchlike_asg.backends.cpu.together import together

from .harness import run


def region(slot, lo, n, step=1):
    return View(slot, (n,), (step,), lo, dtypes.float32)


def parts(low):
    return [
        copy_call(low.isa, region(0, 0, 20_000), region(2, 0, 20_000)),
        fill_call(low.isa, region(2, 20_000, 10), 7.0),
        copy_call(low.isa, region(1, 9, 10, -1), region(2, 20_010, 10)),
    ]


def test_every_part_runs_once():
    a, b = np.arange(20_000, dtype=np.float32), np.arange(10, dtype=np.float32)
    for threads in (1, 2, 3, 5, 9):
        low, out = Lowering(3), np.zeros(20_020, np.float32)
        low.add(together(parts(low)))
        assert not run(low, {0: a, 1: b, 2: out}, threads)
        np.testing.assert_array_equal(out, np.concatenate([a, np.full(10, 7, np.float32), b[::-1]]))


def test_what_it_says_of_itself():
    low = Lowering(3)
    apart, call = parts(low), together(parts(low))
    assert set(call.reads) == {0, 1} and call.writes == (2,)
    assert (
        call.units == sum(c.units for c in apart) and call.cost == sum(c.cost for c in apart) and call.bytes == sum(c.bytes for c in apart)
    )
    assert together(apart[:1]) is apart[0]
