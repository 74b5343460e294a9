"""The profiler: what it counts, the table, the trace file, and that nothing is left behind."""

import json
import time

import pytest

import torchlike_asg as torch
from torchlike_asg import config
from torchlike_asg.backends.cpu import timing


@pytest.fixture(params=[1, 2])
def threads(request, monkeypatch):
    monkeypatch.setattr(config, "threads", request.param)
    monkeypatch.setattr(config, "backend", "cpu")
    return request.param


def work(a, b):
    return float((torch.tanh(a @ b) + 1).sum())


def test_kernels_are_counted_and_timed(threads):
    a, b = torch.randn(300, 400), torch.randn(400, 500)
    expected = work(a, b)
    with torch.profiler.profile() as p:
        start = time.perf_counter_ns()
        for _ in range(3):
            assert work(a, b) == expected
        took = time.perf_counter_ns() - start
    averages = {x.key: x for x in p.key_averages()}
    product = next(x for key, x in averages.items() if key.startswith("matmul"))
    assert product.count == 3 and product.flops == 3 * 2 * 300 * 400 * 500 and product.gigaflops > 0
    kernels = [e for e in p.events() if e.kind == "kernel"]
    assert all(0 < e.end - e.start < took * 1.05 and e.busy > 0 for e in kernels)
    assert all(start - 1e6 < e.start and e.end < start + took + 1e6 for e in kernels)
    assert {thread for e in kernels for thread, _, _ in e.parts} <= set(range(threads))
    assert sum(e.busy for e in kernels) <= took * threads * 1.05


def test_nothing_is_measured_without_a_profiler(threads):
    a, b = torch.randn(30, 40), torch.randn(40, 50)
    with torch.profiler.profile() as p:
        pass
    assert timing.watcher is None
    work(a, b)
    assert not [e for e in p.events() if e.kind == "kernel"]


def test_an_error_ends_the_measurement(threads):
    with pytest.raises(ZeroDivisionError), torch.profiler.profile() as p:
        work(torch.randn(3, 4), torch.randn(4, 5))
        raise ZeroDivisionError
    assert timing.watcher is None and p.events()
    with torch.profiler.profile():
        pass


def test_pending_work_belongs_to_where_it_was_recorded(threads):
    a = torch.randn(200, 300)
    before = torch.exp(a)
    with torch.profiler.profile() as p:
        after = torch.sin(a)
    assert after is not None and before is not None
    names = " ".join(e.name for e in p.events())
    assert "sin" in names and "exp" not in names


def test_operations_of_numpy_are_shown(threads):
    a = torch.randn(5, 5)
    with torch.profiler.profile() as p:
        torch.linalg.svdvals(a).sum().item()
    assert any(e.kind == "numpy" and "svdvals" in e.name for e in p.events())


def test_the_table(threads):
    a, b = torch.randn(300, 400), torch.randn(400, 500)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as p:
        work(a, b)
    averages = p.key_averages()
    text = averages.table(sort_by="self_cpu_time_total", row_limit=1, header="one row")
    lines = text.splitlines()
    assert lines[0] == "one row" and lines[2].startswith("Name") and len(lines) == 7
    largest = max(averages, key=lambda x: x.self_cpu_time_total)
    assert lines[4].startswith(largest.key[:20]) and lines[-1].startswith("Self CPU time total:")
    with pytest.raises(AttributeError, match="no_such_column"):
        averages.table(sort_by="no_such_column")


def test_the_trace_file(threads, tmp_path):
    a, b = torch.randn(300, 400), torch.randn(400, 500)
    with torch.profiler.profile(on_trace_ready=lambda p: p.export_chrome_trace(tmp_path / "trace.json")) as p:
        with torch.profiler.record_function("forward"):
            work(a, b)
        p.step()
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    shown = {e["name"]: e for e in events if e["ph"] == "X"}
    label, step = shown["forward"], shown["ProfilerStep#0"]
    product = next(e for name, e in shown.items() if name.startswith("matmul"))
    assert label["tid"] == step["tid"] == 0 < product["tid"] and product["args"]["flops"] == 2 * 300 * 400 * 500
    assert step["ts"] <= label["ts"] and label["ts"] <= product["ts"] + 1000
    assert product["ts"] + product["dur"] <= label["ts"] + label["dur"] + 1000
    assert {e["args"]["name"] for e in events if e["ph"] == "M"} >= {"program", "thread 0"}


def test_misuse():
    p = torch.profiler.profile()
    with pytest.raises(RuntimeError, match="not finished"):
        p.events()
    with pytest.raises(RuntimeError, match="not active"):
        p.stop()
    with p, pytest.raises(RuntimeError, match="already enabled"):
        torch.profiler.profile().start()
    with torch.profiler.record_function("outside"):
        pass


def test_a_schedule_names_what_is_done_in_each_step():
    A = torch.profiler.ProfilerAction
    plan = torch.profiler.schedule(skip_first=1, wait=1, warmup=1, active=2, repeat=2)
    assert [plan(n) for n in range(10)] == [A.NONE, *[A.NONE, A.WARMUP, A.RECORD, A.RECORD_AND_SAVE] * 2, A.NONE]
    at_once = torch.profiler.schedule(wait=2, warmup=0, active=1, skip_first_wait=1)
    assert [at_once(n) for n in range(4)] == [A.RECORD_AND_SAVE, A.NONE, A.NONE, A.RECORD_AND_SAVE]
    with pytest.raises(AssertionError, match="Invalid profiler schedule"):
        torch.profiler.schedule(wait=1, warmup=1, active=0)


def test_active_steps_are_measured_and_each_cycle_is_handed_over(tmp_path):
    model = torch.nn.Linear(8, 8)
    save = torch.profiler.tensorboard_trace_handler(str(tmp_path), worker_name="me")
    cycles = []

    def ready(p):
        cycles.append([e.name for e in p.events() if e.kind == "step"])
        save(p)

    with torch.profiler.profile(schedule=torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=2), on_trace_ready=ready) as p:
        for _ in range(10):
            model(torch.ones(2, 8)).sum().item()
            p.step()
    assert cycles == [["ProfilerStep#2", "ProfilerStep#3"], ["ProfilerStep#6", "ProfilerStep#7"]] and p.step_num == 10
    traces = sorted(tmp_path.glob("me.*.pt.trace.json"))
    assert len(traces) == 2 and all(json.loads(t.read_text())["traceEvents"] for t in traces)


def test_a_block_that_ends_within_a_cycle_hands_over_what_it_has(tmp_path):
    names = []
    handler = torch.profiler.tensorboard_trace_handler(str(tmp_path), use_gzip=True)
    with torch.profiler.profile(
        schedule=torch.profiler.schedule(wait=0, warmup=0, active=5),
        on_trace_ready=lambda p: (names.append([e.name for e in p.events() if e.kind == "step"]), handler(p)),
    ) as p:
        torch.ones(3).sum().item()
        p.step()
    assert names == [["ProfilerStep#0"]] and len(list(tmp_path.glob("*.pt.trace.json.gz"))) == 1


def test_a_label_can_be_entered_by_hand_and_by_its_old_name():
    with torch.profiler.profile() as p:
        label = torch.autograd.profiler.record_function("by hand")
        assert label.__enter__() is label
        label.__exit__(None, None, None)
    assert [e.name for e in p.events() if e.kind == "user_annotation"] == ["by hand"]
