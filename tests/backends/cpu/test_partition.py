"""Levels, places of temporaries and lists of tasks: every dependency is kept, work is spread, barriers are few."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg.backends.cpu import partition
from torchlike_asg.backends.cpu.calls import Call, Source

NOTHING = Source(("nothing",), lambda module, name: None)


def call(reads, writes, cost=1e5, units=100):
    return Call(NOTHING, (), (), tuple(reads), tuple(writes), units=units, cost=cost)


def levels(calls, pairs=(), temporaries=None):
    return partition.levels(calls, partition.Overlaps(pairs), temporaries or {})


def lists(calls, threads, pairs=(), temporaries=None):
    """Everything `Program` asks for, in its order."""
    temporaries = temporaries or {}
    level = levels(calls, pairs, temporaries)
    offsets, _ = partition.place(calls, level, temporaries)
    ranges = {s: (at, at + temporaries[s]) for s, at in offsets.items()}
    return partition.spread(calls, level, threads, partition.Overlaps(pairs), ranges), ranges


def test_levels_follow_reads_after_writes_writes_after_reads_and_writes_after_writes():
    assert levels([call([0], [1]), call([1], [2]), call([0], [3])]) == [0, 1, 0]
    assert levels([call([0], [1]), call([2], [0])]) == [0, 1]
    assert levels([call([0], [1]), call([2], [1])]) == [0, 1]


def test_slots_that_share_memory_depend_on_each_other():
    calls = [call([0], [1]), call([5], [2]), call([3], [4])]
    assert levels(calls) == [0, 0, 0]
    assert levels(calls, [(2, 0)]) == [0, 1, 0]
    assert levels(calls, [(2, 1), (3, 2)]) == [0, 1, 2]


def test_a_call_that_waits_for_nobody_runs_just_before_its_result_is_needed():
    chain = [call([i], [i + 1]) for i in range(5)]
    packed = call([20], [21])
    assert levels([packed, *chain, call([5, 21], [6])], temporaries={21: 64}) == [4, 0, 1, 2, 3, 4, 5]


def test_a_call_that_would_keep_more_than_it_makes_runs_early():
    calls = [call([0], [1]), call([1], [2]), *[call([i], [i + 1]) for i in range(10, 14)], call([2, 14], [3])]
    assert levels(calls, temporaries={1: 1000, 2: 10})[:2] == [0, 1]
    assert levels(calls, temporaries={1: 10, 2: 1000})[:2] == [2, 3]


def test_temporaries_share_memory_when_their_times_are_apart():
    calls = [call([0], [10]), call([10], [11]), call([11], [12]), call([12], [1])]
    offsets, size = partition.place(calls, levels(calls), {10: 100, 11: 100, 12: 100})
    assert offsets[10] == offsets[12] != offsets[11]
    assert size == 256
    assert all(at % 64 == 0 for at in offsets.values())


def test_large_calls_are_split_evenly_and_small_ones_go_to_the_idlest():
    (first, second), _ = lists([call([0], [1], cost=1e6)], 2)
    assert (first[0].lo, first[0].hi, second[0].lo, second[0].hi) == (0, 50, 50, 100)
    calls = [call([0], [n + 1], cost=c, units=1) for n, c in enumerate((30e3, 10e3, 20e3, 40e3))]
    tasks, _ = lists(calls, 2)
    assert [{t.call for t in ts} for ts in tasks] == [{3, 1}, {0, 2}]


def test_a_large_call_fills_up_what_smaller_ones_leave():
    calls = [call([0], [1], cost=15e3, units=1), call([0], [2], cost=85e3, units=100)]
    (first, second), _ = lists(calls, 2)
    assert sum(calls[t.call].cost * (t.hi - t.lo) / calls[t.call].units for t in first) == pytest.approx(50e3, rel=0.02)
    assert second == [partition.Task(1, second[0].lo, 100)]


def test_small_calls_that_follow_each_other_need_no_barrier():
    calls = [call([0], [1], cost=1e6), *[call([n], [n + 1], cost=1e3) for n in range(1, 9)], call([9], [10], cost=1e6)]
    tasks, _ = lists(calls, 2)
    assert [sum(t is None for t in ts) for ts in tasks] == [2, 2]


def test_too_little_work_is_not_spread():
    assert lists([call([0], [1], cost=1e3), call([1], [2], cost=1e3)], 4)[0] == [[partition.Task(0, 0, 100), partition.Task(1, 0, 100)]]


@st.composite
def programs(draw):
    """Random calls over few slots, with temporaries that are written before they are read, and slots that share memory."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    temporaries = {s: int(rng.integers(1, 400)) for s in range(10, 18)}
    pairs = [tuple(map(int, rng.choice(6, 2, replace=False))) for _ in range(rng.integers(0, 3))]
    calls, made = [], []
    for _ in range(draw(st.integers(1, 25))):
        known = [*range(6), *made]
        reads = [int(s) for s in rng.choice(known, rng.integers(1, 3))]
        write = int(rng.choice([*range(6), *temporaries]))
        if write in temporaries and write not in made:
            made.append(write)
        calls.append(call(reads, [write], cost=float(rng.choice([1e3, 15e3, 1e5, 1e6])), units=int(rng.choice([1, 2, 3, 50]))))
    return calls, pairs, temporaries


def depends(a, b, share):
    """Whether call `b` must wait for the earlier call `a`."""
    return any(share(x, y) for x in a.writes for y in (*b.reads, *b.writes)) or any(share(x, y) for x in a.reads for y in b.writes)


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(2, 5))
def test_dependent_work_is_in_order_on_one_thread_or_behind_a_barrier(program, threads):
    calls, pairs, temporaries = program
    tasks, ranges = lists(calls, threads, pairs, temporaries)
    overlapping = {frozenset(p) for p in pairs}
    level = levels(calls, pairs, temporaries)

    def same_memory(x, y):
        return x == y or frozenset((x, y)) in overlapping

    when = {}  # call -> [(thread, barriers before, position, task)]
    for thread, ts in enumerate(tasks):
        barriers = 0
        for position, t in enumerate(ts):
            if t is None:
                barriers += 1
            else:
                when.setdefault(t.call, []).append((thread, barriers, position, t))
    assert len({sum(t is None for t in ts) for ts in tasks}) == 1
    for i, c in enumerate(calls):  # all units are done once
        pieces = sorted((t.lo, t.hi) for *_, t in when[i])
        assert pieces[0][0] == 0 and pieces[-1][1] == c.units
        assert all(a[1] == b[0] for a, b in itertools.pairwise(pieces))

    def before(i, j):
        return all(a[1] < b[1] or (a[1] == b[1] and a[0] == b[0] and a[2] < b[2]) for a in when[i] for b in when[j])

    for i, j in itertools.combinations(range(len(calls)), 2):
        if depends(calls[i], calls[j], same_memory):
            assert before(i, j)
            assert level[i] < level[j]
    # temporaries that share memory: all work on the one before all work on the other
    users = {s: [i for i, c in enumerate(calls) if s in (*c.reads, *c.writes)] for s in ranges}
    for s, o in itertools.combinations(ranges, 2):
        if ranges[s][0] < ranges[o][1] and ranges[o][0] < ranges[s][1]:
            assert all(before(i, j) for i in users[s] for j in users[o]) or all(before(j, i) for i in users[s] for j in users[o])
