"""torch.utils.benchmark: what is timed, and how it is shown."""

import time

import pytest

import torchlike_asg as torch
from torchlike_asg.utils import benchmark


def test_statements_are_computed_every_time():
    """Also a value that nobody keeps, and one that was computed before."""
    runs = []
    a = torch.randn(20, 20)
    stop = torch.events.subscribe("plan_executed", runs.append)
    try:
        benchmark.Timer("a @ a", globals={"a": a}).timeit(3)
        assert len(runs) == 5  # two before, to warm up
        benchmark.Timer("b = a + 1\nb * 2", globals={"a": a}).timeit(2)
        assert len(runs) == 9
    finally:
        stop()


def test_measurements():
    ticks = iter(range(10_000))
    timer = benchmark.Timer("n.append(1)", setup="n = []", timer=lambda: float(next(ticks)), label="append", sub_label="x", description="d")
    measured = timer.timeit(4)
    assert measured.times == [0.25]
    assert measured.mean == measured.median == 0.25 and measured.iqr == 0
    assert "append: x" in repr(measured) and "250" in repr(measured)
    merged = benchmark.Measurement.merge([measured, timer.timeit(4)])
    assert len(merged) == 1 and len(merged[0].raw_times) == 2
    called = []
    ranged = timer.blocked_autorange(callback=lambda number, took: called.append((number, took)), min_run_time=3.0)
    assert len(ranged.raw_times) == len(called) == 3
    assert ranged.meets_confidence()
    assert timer.adaptive_autorange(min_run_time=4.0).raw_times


def test_threads_are_set_inside_and_put_back():
    before = torch.get_num_threads()
    seen = []
    benchmark.Timer("look()", globals={"look": lambda: seen.append(torch.get_num_threads())}, num_threads=before + 2).timeit(1)
    assert set(seen) == {before + 2}
    assert torch.get_num_threads() == before


def test_a_table(capsys):
    def measured(seconds, sub_label, description):
        spec = benchmark.TaskSpec("f(x)", "pass", label="f", sub_label=sub_label, description=description)
        return benchmark.Measurement(1, [seconds], spec)

    table = benchmark.Compare([measured(2e-3, "10", "here"), measured(4e-3, "10", "there")])
    table.extend_results([measured(0.5, "1000", "here")])
    table.trim_significant_figures()
    table.print()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["10", "|", "2", "|", "4"] in lines
    assert ["1000", "|", "500", "|"] in lines
    assert ["Times", "are", "in", "ms."] in lines


def test_units_and_figures():
    assert benchmark.select_unit(3e-5) == ("us", 1e-6)
    assert benchmark.select_unit(0.0) == ("ns", 1e-9)
    assert benchmark.trim_sigfig(1234.5, 2) == 1200
    assert benchmark.trim_sigfig(0.012345, 3) == 0.0123


def test_what_is_not_timed():
    with pytest.raises(NotImplementedError, match="use Python"):
        benchmark.Timer("x;", language="c++")
    with pytest.raises(ValueError, match="`str` stmt"):
        benchmark.Timer(time.sleep)
    with pytest.raises(NotImplementedError, match="profiler"):
        benchmark.Timer("1").collect_callgrind()


def test_measurements_are_shown_as_pytorch_shows_them():
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torch.utils.benchmark")

    def shown(b):
        tasks = [
            b.TaskSpec("x\ny", "s", sub_label="S"),
            b.TaskSpec("x", "a\nb", label="L", description="D", num_threads=2),
            b.TaskSpec("x", "pass", sub_label="S", env="E"),
        ]
        times = [[1e-3, 1.3e-3, 1.4e-3, 1e-3], [1e-3] * 4, [1.0, 2.0], [2.5e-6], [1.0, 1.1, 1.2, 1.3, 1.5]]
        found = []
        for task in tasks:
            for raw in times:
                m = b.Measurement(3, raw, task)
                found += [repr(m).partition("\n")[2], m.title, m.as_row_name, m.env, m.significant_figures, m.has_warnings]
        return found, [task.summarize() for task in tasks]

    assert torch.__version__ and shown(benchmark) == shown(theirs)
