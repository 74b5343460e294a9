"""``torch.utils.benchmark``: how long statements take, the computation of what they record included.

from torchlike_asg.utils import benchmark

print(benchmark.Timer("a @ b", globals={"a": a, "b": b}).blocked_autorange())
"""

from __future__ import annotations

import ast
import enum
import math
import statistics
import textwrap
import timeit
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter as timer
from typing import Any

import torchlike_asg as torch

from ..absent import asked
from ..errors import Unsupported

__all__ = ["Compare", "Language", "Measurement", "TaskSpec", "Timer", "select_unit", "timer", "trim_sigfig"]

_UNITS = (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0))


class Language(enum.Enum):
    """What a statement is written in."""

    PYTHON = 0
    CPP = 1


def select_unit(t: float) -> tuple[str, float]:
    """(name, seconds) of the unit in which a time reads well."""
    return next(((name, unit) for name, unit in reversed(_UNITS) if t >= unit), _UNITS[0])


def trim_sigfig(x: float, n: int) -> float:
    """`x` rounded to `n` significant figures."""
    if x == 0 or not math.isfinite(x):
        return x
    scale = 10.0 ** (n - math.floor(math.log10(abs(x))) - 1)
    return round(x * scale) / scale


@dataclass(frozen=True)
class TaskSpec:
    """What is timed."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The labels, or the statement."""
        sub = self.sub_label or ""
        if self.label is not None:
            return self.label + (f": {sub}" if sub else "")
        if "\n" not in self.stmt:
            return self.stmt + (f": {sub}" if sub else "")
        return f"stmt:{f' ({sub})' if sub else ''}\n" + textwrap.indent(self.stmt, "  ")

    def setup_str(self) -> str:
        """The setup as it is shown; empty if there is none."""
        if self.setup in ("pass", ""):
            return ""
        return f"setup: {self.setup}" if "\n" not in self.setup else "setup:\n" + textwrap.indent(self.setup, "  ")

    def summarize(self) -> str:
        """Title, description and setup; what has several lines is followed by an empty one."""
        parts = (self.title, self.description or "", self.setup_str())
        return "\n".join([part + "\n" * ("\n" in part) for part in parts if part])


@dataclass
class Measurement:
    """Times of a statement: `raw_times` in seconds, each of `number_per_run` runs."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[str, Any] | None = field(default=None)

    @property
    def times(self) -> list[float]:
        """Seconds of one run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        return statistics.median(self.times) if self.raw_times else math.nan

    @property
    def mean(self) -> float:
        return statistics.fmean(self.times) if self.raw_times else math.nan

    @property
    def _quartiles(self) -> tuple[float, float]:
        if len(self.raw_times) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.times, method="inclusive")
        return low, high

    @property
    def iqr(self) -> float:
        """The distance of the quartiles."""
        low, high = self._quartiles
        return high - low

    @property
    def significant_figures(self) -> int:
        """How many figures of the median are certain, 1 to 5: from the 90 % interval of the times between the quartiles, 25 ns at least."""
        if not self.median:
            return 1
        times, n = sorted(self.times), len(self.raw_times)
        inner = times[n // 4 : math.ceil(3 * n / 4)]
        interval = max(1.645 * statistics.pstdev(inner) / math.sqrt(len(inner)), 25e-9)
        return max(1, min(5, math.floor(-math.log10(interval / self.median))))

    @property
    def has_warnings(self) -> bool:
        """Whether the times differ by more than a tenth of their median."""
        return self.iqr > 0.1 * self.median

    @property
    def title(self) -> str:
        return self.task_spec.title

    @property
    def env(self) -> str | None:
        return self.task_spec.env

    @property
    def as_row_name(self) -> str:
        """What its row is called in a table."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    @property
    def num_threads(self) -> int:
        return self.task_spec.num_threads

    def meets_confidence(self, threshold: float = 0.1) -> bool:
        """Whether the distance of the quartiles is below this part of the median."""
        return len(self.raw_times) > 2 and self.iqr / self.median < threshold

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Measurements of the same task and the same number of runs together."""
        found: dict[Any, Measurement] = {}
        for m in measurements:
            key = m.task_spec, m.number_per_run
            if key in found:
                found[key].raw_times.extend(m.raw_times)
            else:
                found[key] = Measurement(m.number_per_run, list(m.raw_times), m.task_spec)
        return list(found.values())

    def __repr__(self) -> str:
        unit, scale = select_unit(self.median)
        n, several = len(self.raw_times), len(self.raw_times) > 1
        lines = [object.__repr__(self), self.task_spec.summarize(), f"  {'Median: ' * several}{self.median / scale:.2f} {unit}"]
        low, high = (t / scale for t in self._quartiles)
        if n > 2:
            lines.append(f"  IQR:    {high - low:.2f} {unit} ({low:.2f} to {high:.2f})")
        lines.append(
            f"  {n} measurement{'s' * several}, {self.number_per_run} runs {'per measurement' * several}, "
            f"{self.num_threads} thread{'s' * (self.num_threads > 1)}"
        )
        if self.has_warnings:
            spread = self.iqr / self.median
            advice = "This suggests significant environmental influence." if spread > 0.25 else "This could indicate system fluctuation."
            lines.append(f"  WARNING: Interquartile range is {spread * 100:.1f}% of the median measurement.\n           {advice}")
        return "\n".join(lines)


def _computed(stmt: str) -> str:
    """A statement that computes what it records: values that nobody keeps would not be looked at."""
    module = ast.parse(stmt)
    for i, line in enumerate(module.body):
        if isinstance(line, ast.Expr):
            kept = ast.Name(f"__result{i}", ast.Store())
            module.body[i] = ast.copy_location(ast.Assign([kept], line.value), line)
    return ast.unparse(ast.fix_missing_locations(module)) + "\n__compute()"


class Timer:
    """Times a Python statement, as `timeit.Timer` does, with `num_threads` threads (1).

    Every run of the statement ends with the computation of what it has recorded: its values, and those it assigns to names.
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language not in (Language.PYTHON, "py", "python"):
            raise Unsupported("torch.utils.benchmark.Timer: statements in C++ are not supported; use Python")
        stmt, setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        self._spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)
        names = dict(globals or {})
        names.setdefault("torch", torch)

        names["__compute"] = torch.sync
        torch.sync()
        self._timer = timeit.Timer(_computed(stmt), setup, timer, names)

    def _timeit(self, number: int) -> float:
        before = torch.get_num_threads()  # type: ignore[attr-defined]
        torch.set_num_threads(self._spec.num_threads)  # type: ignore[attr-defined]
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            torch.set_num_threads(before)  # type: ignore[attr-defined]

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """The time of `number` runs, after a few that are not counted."""
        self._timeit(max(number // 100, 2))
        return Measurement(number, [self._timeit(number)], self._spec)

    def _runs(self, min_run_time: float) -> int:
        """How many runs take about a thousandth of a time, and at most a tenth of a second."""
        number, least = 1, max(min(min_run_time / 1000, 0.1), 1e-5)
        while True:
            took = self._timeit(number)
            if took >= least:
                return number
            number *= 10

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Not supported, in PyTorch neither."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2) -> Measurement:
        """Measurements of equally many runs until `min_run_time` seconds are measured."""
        number = self._runs(min_run_time)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._timeit(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._spec)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Measurements until the distance of their quartiles is below `threshold` of the median, or for `max_run_time` seconds."""
        number = self._runs(0.05)
        times: list[float] = []
        while sum(times) < max_run_time:
            times.append(self._timeit(number))
            if callback is not None:
                callback(number, times[-1])
            found = Measurement(number, times, self._spec)
            if sum(times) >= min_run_time and found.meets_confidence(threshold):
                break
        return Measurement(number, times, self._spec)

    def collect_callgrind(self, *args: Any, **options: Any) -> Any:
        """Not supported: see the error."""
        raise Unsupported("torch.utils.benchmark.Timer.collect_callgrind: use torch.profiler.profile")


def _row(m: Measurement) -> str:
    return m.task_spec.sub_label or "; ".join(m.task_spec.stmt.splitlines())


class Compare:
    """Measurements as a table: a row for each `sub_label` and number of threads, a column for each `description`."""

    def __init__(self, results: list[Measurement]) -> None:
        self._results: list[Measurement] = list(results)
        self._trim = False

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """More measurements."""
        self._results += results

    def trim_significant_figures(self) -> None:
        """Show only the figures that the spread leaves."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Accepted: tables have no colours."""

    def highlight_warnings(self) -> None:
        """Accepted: rows whose times differ are not marked."""

    def __str__(self) -> str:
        tables = []
        for label in dict.fromkeys(m.task_spec.label for m in self._results):
            tables.append(self._table(label, [m for m in Measurement.merge(self._results) if m.task_spec.label == label]))
        return "\n".join(tables)

    def _table(self, label: str | None, results: list[Measurement]) -> str:
        columns = list(dict.fromkeys(m.task_spec.description or m.title for m in results))
        unit, scale = select_unit(min(m.median for m in results))
        lines = [["", *columns]]
        for threads in dict.fromkeys(m.num_threads for m in results):
            lines.append([f"{threads} threads:", *[""] * len(columns)])
            for row in dict.fromkeys(_row(m) for m in results):
                cells = {m.task_spec.description or m.title: m for m in results
                         if m.num_threads == threads and _row(m) == row}  # fmt: skip
                if cells:
                    lines.append([f"  {row}", *[self._cell(cells[c], scale) if c in cells else "" for c in columns]])
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns) + 1)]
        rows = [
            " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))) for line in lines
        ]
        return "\n".join([f"[ {label or ''} ]".center(len(rows[0]), "-"), *rows, "", f"Times are in {unit}.", ""])

    def _cell(self, m: Measurement, scale: float) -> str:
        value = m.median / scale
        return f"{trim_sigfig(value, m.significant_figures) if self._trim else trim_sigfig(value, 4):g}"

    def print(self) -> None:
        """Print the tables."""
        print(str(self))


__getattr__ = asked(__name__)
