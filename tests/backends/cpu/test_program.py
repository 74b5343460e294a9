"""Programs compute the same bits on any number of threads, and report failures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg import config
from torchlike_asg.backends.cpu import blocks
from torchlike_asg.backends.cpu.program import PointerTable, Program

from .kernels import LARGE, SMALL, check, combine, through_scratch

N = 500


class Bound:
    """A program with memory: slots 0 to `arrays` - 1 are arrays, `aliases` maps further slots to the arrays they share."""

    def __init__(self, calls, arrays, temporaries=(), aliases=None):
        aliases = aliases or {}
        self.arrays = arrays
        table = PointerTable(1 + max([len(arrays) - 1, *temporaries, *aliases]))
        pairs = list(aliases.items()) + [(a, b) for a in aliases for b in aliases if a < b and aliases[a] == aliases[b]]
        self.program = Program(calls, table, {t: 8 * N for t in temporaries}, pairs)
        self.page = blocks.aligned(self.program.page_bytes)
        self.page.fill(0xFF)
        for slot, a in enumerate(arrays):
            table.words[slot] = a.ctypes.data
        for slot, original in aliases.items():
            table.words[slot] = arrays[original].ctypes.data
        self.program.place(self.page.ctypes.data)


@pytest.fixture
def threads(monkeypatch):
    def use(n):
        monkeypatch.setattr(config, "threads", n)

    return use


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_any_number_of_threads_gives_the_same_bits(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    temporaries, aliases = range(10, 16), {6: 0, 7: 0, 8: 1}
    calls, made = [], []
    for _ in range(count):
        known = [*range(5), *aliases, *made]
        x, y = (int(s) for s in rng.choice(known, 2))
        z = int(rng.choice([*range(5), *aliases, *temporaries]))
        if z in temporaries and z not in made:
            made.append(z)
        calls.append(combine(x, y, z, N, float(rng.choice([SMALL, LARGE]))))
    start = [rng.standard_normal(N) for _ in range(5)]

    values = dict(enumerate([a.copy() for a in start]))
    for c in calls:
        x, y, z = (aliases.get(s, s) for s, _ in c.operands)
        values[z] = _reference(values[x], values[y])
    before = config.threads
    try:
        for n in (1, 2, 3, 4):
            config.threads = n
            arrays = [a.copy() for a in start]
            assert Bound(calls, arrays, temporaries, aliases).program.run()
            for i, a in enumerate(arrays):
                np.testing.assert_array_equal(a, values[i])
    finally:
        config.threads = before


def _reference(x, y):
    """2 x + y with one rounding: 2 x is exact."""
    return 2 * x + y


def test_a_changed_number_of_threads_is_obeyed(threads):
    calls = [combine(0, 0, 10, N, LARGE), combine(10, 0, 1, N, LARGE)]
    x = np.arange(float(N))
    b = Bound(calls, [x, np.zeros(N)], [10])
    for n, used in ((1, 1), (3, 3), (2, 2), (1, 1)):
        threads(n)
        b.arrays[1].fill(0)
        assert b.program.run()
        assert b.program.threads == used
        np.testing.assert_array_equal(b.arrays[1], 7 * x)


def test_addresses_may_change_between_runs(threads):
    threads(2)
    b = Bound([combine(0, 0, 1, N, LARGE)], [np.ones(N), np.zeros(N)])
    assert b.program.run()
    other = np.full(N, 5.0)
    b.program.table.words[0] = other.ctypes.data
    assert b.program.run()
    assert (b.arrays[1] == 15).all()


def test_small_programs_use_one_thread(threads):
    threads(4)
    assert Bound([combine(0, 0, 1, N, SMALL)], [np.ones(N), np.zeros(N)]).program.threads == 1


def test_no_calls(threads):
    threads(2)
    assert Bound([], [np.ones(N)]).program.run()


def test_scratch_is_each_threads_own(threads):
    x, y = np.arange(float(N)), np.zeros(N)
    for n in (1, 2, 3):
        threads(n)
        y.fill(0)
        assert Bound([through_scratch(0, 1, N, LARGE)], [x, y]).program.run()
        np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("where", [0, N - 1])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_failure_is_reported_once_and_stops_what_depends_on_it(threads, n, where):
    threads(n)
    x, out = np.ones(N), np.zeros(N)
    b = Bound([check(0, N, LARGE), combine(0, 0, 10, N, LARGE), combine(10, 10, 1, N, LARGE)], [x, out], [10])
    assert b.program.run()
    out.fill(0)
    x[where] = -1
    assert not b.program.run()
    assert not out.any()
    x[where] = 1
    assert b.program.run()
    assert (out == 9).all()
