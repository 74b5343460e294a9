"""Plans, schedules and memory."""

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg import events
from torchlike_asg.asg import arena, trace
from torchlike_asg.backends import base
from torchlike_asg.backends.reference import ReferenceBackend
from torchlike_asg.compiler import execution, plan
from torchlike_asg.compiler.memory import ALIGNMENT, Planner
from torchlike_asg.devices import cpu
from torchlike_asg.facade.core import node_of
from torchlike_asg.ops.pointwise import mul


def plans():
    return ours.asg.stats()["plans"], ours.asg.stats()["compiles"]


def test_equal_programs_over_different_data_share_one_executable():
    @ours.no_grad()
    def run(x):
        return (x * 3 - 1).exp().sum().item()

    a, b = ours.randn(7, requires_grad=True), ours.randn(7, requires_grad=True)
    run(a)
    before = plans()
    run(b)
    after = plans()
    assert after[0] == before[0] + 1 and after[1] == before[1], "a new plan, relinked, nothing compiled"
    run(b)
    assert plans() == after


def test_different_constants_and_shapes_do_not_share():
    x, y = ours.randn(53), ours.randn(59)  # shapes that no other test computes with
    (x * 3.28125).sum().item()
    before = plans()[1]
    (x * 4.28125).sum().item()
    (y * 3.28125).sum().item()
    assert plans()[1] == before + 2


def test_a_plan_frees_values_after_their_last_use_and_reuses_memory(monkeypatch):
    monkeypatch.setattr(ours.config, "backend", "reference")
    x = ours.randn(64, 64, requires_grad=True)
    y = x.detach() * 2
    for _ in range(20):
        y = y * 1.5 + 0.25
    y.sum().item()
    schedule = next(reversed(plan.PLANS.values())).executable.schedule
    assert schedule.page_size <= 3 * 64 * 64 * 4, "a chain of twenty products needs two or three places, not twenty"
    freed = [slot for step in schedule.steps for slot in step.frees]
    assert len(freed) == len(set(freed)) and len(freed) >= len(schedule.steps) - 1


def test_results_do_not_alias_memory_of_the_plan():
    x = ours.randn(8, requires_grad=True)

    def run(k):
        base_ = x.detach() * k
        return (base_ + 1).reshape(2, 4), base_ + 2

    first, second = run(2.0)
    kept = first.numpy().copy(), second.numpy().copy()
    for _ in range(3):
        a, b = run(2.0)
        a.tolist(), b.tolist()
    assert np.array_equal(first.numpy(), kept[0]) and np.array_equal(second.numpy(), kept[1])


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(0, 10)), min_size=1, max_size=60))
def test_the_planner_never_overlaps_live_blocks(requests):
    planner, live = Planner(), []
    for time, (nbytes, lifetime) in enumerate(requests):
        for block in [b for b in live if b[2] < time]:
            planner.free(block[0])
            live.remove(block)
        at = planner.allocate(nbytes)
        assert at % ALIGNMENT == 0
        assert all(at + nbytes <= o or o + n <= at for o, n, _ in live)
        assert at + nbytes <= planner.size
        live.append((at, nbytes, time + lifetime))


def test_events_tell_of_plans_and_cost_nothing_unheard():
    seen = []
    stops = [events.subscribe(topic, seen.append) for topic in ("plan_built", "pass_applied", "plan_executed", "cache_miss")]
    try:
        x = ours.randn(3, 11)
        (x.cos() * 7.25).sum().item()
    finally:
        for stop in stops:
            stop()
    kinds = {type(e).__name__ for e in seen}
    assert {"PlanBuilt", "PassApplied", "PlanExecuted", "CacheMiss"} <= kinds
    built = next(e for e in seen if isinstance(e, events.PlanBuilt))
    assert built.nodes >= 3 and built.steps >= 1 and built.seconds > 0
    assert not events.listeners
    with pytest.raises(ValueError, match="unknown topic"):
        events.subscribe("nothing", seen.append)


def test_threads_may_build_and_retire_plans_at_once(monkeypatch):
    """A full table, from which every new plan takes the one used least, while others take those of dropped models."""
    monkeypatch.setattr(ours.config, "max_plans", 100)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    failures = []

    def work(first):
        try:
            for k in range(100):
                w = ours.nn.Parameter(ours.ones(3))
                ((ours.ones(first + k) + 1).sum() * w.sum()).item()
                if k % 5 == 0:
                    arena.compact()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (1, 200, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert not failures


def test_a_listener_that_raises_is_dropped():
    def broken(_):
        raise KeyError("oops")

    events.subscribe("plan_executed", broken)
    with pytest.warns(UserWarning, match="unsubscribed"):
        (ours.randn(3) * 2).tolist()
    assert (ours.randn(3) * 2).tolist() and not events.listeners


def test_the_reference_backend_keeps_the_protocol():
    backend = ReferenceBackend()
    page = backend.allocate(1000)
    assert page.nbytes == 1000 and page.ctypes.data % 64 == 0
    data = np.arange(10, dtype=np.float32)
    backend.upload(page, data)
    assert np.array_equal(backend.download(page)[:40].view(np.float32), data)
    with pytest.raises(ValueError, match="upload of"):
        backend.upload(backend.allocate(4), data)
    spec = base.Spec((10,), ours.float32)
    kernel = base.Kernel("mul", (), (spec, spec), spec, np.multiply, np.multiply)
    assert backend.compile(kernel) is backend.compile(base.Kernel("mul", (), (spec, spec), spec, np.multiply, np.multiply))
    schedule = base.Schedule(2, 3, [base.Step(kernel, (0, 1), 2)], (2,), {})
    executable = backend.link(schedule, [])
    executable.run([data, data])
    assert np.array_equal(executable.outputs()[0], data * data)
    with pytest.raises(RuntimeError, match="no backend named"):
        base.get("abacus")
    assert ours.float64 in backend.caps.dtypes


@pytest.mark.parametrize("d", ["float16", "bfloat16"])
def test_reduced_types_compute_in_float32_and_round_once_per_operation(d):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((16, 16)).astype(np.float32)
    a = ours.tensor(x).to(getattr(ours, d))
    b = torch.tensor(x).to(getattr(torch, d))
    for f in (lambda t: (t * 1.7 + 0.3).exp(), lambda t: t.sum(0), lambda t: t @ t, lambda t: t.softmax(-1)):
        got, want = f(a), f(b)
        assert got.dtype is getattr(ours, d)
        np.testing.assert_allclose(got.float().numpy(), want.float().numpy(), rtol=2e-2 if d == "bfloat16" else 4e-3, atol=1e-2)


def misses(run):
    """The reasons of the plans that were not found while `run` ran."""
    seen = []
    stop = events.subscribe("cache_miss", lambda event: seen.append(event.reason))
    try:
        run()
    finally:
        stop()
    return seen


def test_a_recompilation_is_named_with_its_reason():
    w = ours.nn.Parameter(ours.ones(3, 3))

    def loss(n=4, power=1, kind=ours.float32, op=ours.tanh):
        return (op(ours.ones(n, 3).cumsum(0).to(kind).float() @ w) ** 2).roll(power, 0).sum().item()

    loss(), loss()
    assert misses(loss) == []
    (reason,) = misses(lambda: loss(n=7))
    assert "(7, 3) instead of (4, 3)" in reason and f"{__name__.rpartition('.')[2]}.py" in reason
    loss(n=7), loss(n=7)
    assert misses(lambda: loss(n=7)) == []
    reason = misses(lambda: loss(op=ours.sigmoid))[0]
    assert "sigmoid" in reason and "tanh" in reason
    reason = misses(lambda: loss(power=2))[0]
    assert "roll" in reason


def test_a_ragged_batch_is_named():
    model = ours.nn.Linear(3, 2)
    optimizer = ours.optim.SGD(model.parameters(), 0.1)

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    batches = [ours.randn(8, 3) for _ in range(4)]
    for x in batches:
        step(x)
    assert misses(lambda: step(ours.randn(8, 3))) == []
    reasons = misses(lambda: step(ours.randn(5, 3)))
    assert len(reasons) == 1 and "[5, 3] instead of [8, 3]" in reasons[0], reasons
    assert misses(lambda: step(ours.randn(5, 3))) == []


@pytest.mark.parametrize(
    "part,whole",
    [
        (lambda x: x - x.amax(1, keepdim=True), lambda x: x.softmax(1)),
        (lambda x: x * x, lambda x: ours.nn.functional.rms_norm(x, (33,))),
        (lambda x: x - x.mean(1, keepdim=True), lambda x: x.var(1)),
    ],
    ids=["softmax", "rms_norm", "var"],
)
def test_what_an_operation_is_lowered_to_was_read_before(part, whole):
    """In mid-step, so that it is known: but it is no argument of the plan, which was made before lowering met it."""
    x = ours.arange(99.0).reshape(3, 33).sin().detach()
    want = whole(x).numpy().copy()
    leaf = x.clone().requires_grad_()
    p = part(leaf)
    p.sum().item()
    np.testing.assert_allclose(whole(leaf).detach().numpy(), want, rtol=1e-6)
    assert p.requires_grad


def test_a_plan_for_a_value_whose_elements_share_memory_is_not_run_on_another_layout():
    first = np.broadcast_to(np.float32(3), (4, 3))
    for value in (first, np.arange(12, dtype=np.float32).reshape(4, 3), first, np.arange(12, dtype=np.float32).reshape(3, 4).T):
        tr = trace.current()
        n = mul(tr.input(value, (4, 3), (3, 1), ours.float32, cpu), tr.input(value, (4, 3), (3, 1), ours.float32, cpu))
        with trace.lock:
            execution.execute(tr, (n,))
            np.testing.assert_array_equal(tr.known[n], value * value)
        tr.reset()


def test_outputs_are_asked_for_in_the_order_of_a_plan_that_is_there():
    """So steps that ask for the same in other orders share a program; and nothing of plans that are gone is kept."""
    ours.sync()
    plan.clear()
    outputs = tuple([node_of(ours.ones(3) * i) for i in (2, 3, 4)])
    kept = [plan.Plan(outputs, [], (), (), None, ()) for _ in range(2)]
    with trace.lock:
        for i, p in enumerate(kept):
            plan.enter(i, p)
        assert plan.ordered(outputs[::-1]) is outputs
        assert plan.ordered(outputs[1::-1]) == outputs[1::-1]
        plan.retire(0)
        assert plan.ordered(outputs[::-1]) is outputs
        plan.retire(1)
        assert plan.ordered(outputs[::-1]) == outputs[::-1]
        assert not plan._orders
