"""What the viewer costs the training process: ``QT_QPA_PLATFORM=offscreen python docs/measure_viewer.py``.

Processor time of the whole process, its thread beside the training included, per step: with a window attached at 10 Hz, and without, in
turns of 0.3 seconds, as the median of the ratios to the mean of both neighbours. Processor time is disturbed less by other work on the
machine than the clock, but still by some percent, so the parts are printed, too: what hearing a step
adds to it, and the share of the thread.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.cli.data import Corpus, standard_library_text
from torchlike_asg.cli.training import Settings, Training
from torchlike_asg.viewer import taps

TURNS, SECONDS = 60, 0.3
Make = Callable[[], tuple[nn.Module, Callable[[], object]]]


def perceptron(batch: int, width: int) -> Make:
    """Three layers, with Adam."""

    def make() -> tuple[nn.Module, Callable[[], object]]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        x, y = torch.randn(batch, 64), torch.randint(0, 10, (batch,))

        def step() -> None:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()

        return model, step

    return make


def transformer(layers: int, width: int) -> Make:
    """The main job's model."""

    def make() -> tuple[nn.Module, Callable[[], object]]:
        settings = Settings(seed=0, layers=layers, width=width, heads=4, block=64, batch=16, lr=3e-3, warmup=20, decay_steps=1000)
        training = Training(settings, Corpus.of(standard_library_text(200_000), settings.block))
        return training.model, training.advance

    return make


WORKLOADS = {
    "perceptron, tiny": perceptron(16, 32),
    "perceptron": perceptron(64, 128),
    "perceptron, wide": perceptron(512, 512),
    "transformer": transformer(2, 96),
    "transformer, larger": transformer(4, 192),
}


def child_time(pid: int) -> float:
    """Processor seconds of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def run(step: Callable[[], object], seconds: float) -> float:
    """Processor seconds of this process per step."""
    until, begun, steps = time.monotonic() + seconds, time.process_time(), 0
    while time.monotonic() < until or not steps:
        step()
        steps += 1
    return (time.process_time() - begun) / steps


def hearing(step: Callable[[], object]) -> float:
    """Seconds that listening to a step takes by itself: the calls of the tap, on the step's own tensors."""
    tap = taps.Tap()
    taps.add(tap)
    for _ in range(2 * taps.FIRST):
        step()
    tap.every, tap.due = 1, 0
    optimizer, held = tap._last_optimizer(), []
    heard, tap.step = tap.step, lambda o: held.append(tap.log.held[-1][0])  # type: ignore[method-assign]
    taps._connect()
    step()
    taps.remove(tap)
    tap.busy, tap.every, times = False, 3, []
    for _ in range(2000):
        begun = time.perf_counter()
        tap.log.differentiated(held[0])
        heard(optimizer)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


FRESH = """
import time
from torchlike_asg import nn
model = nn.Linear(4, 4)
wall, own = time.perf_counter(), time.thread_time()
handle = model.visualize()
print(time.perf_counter() - wall, time.thread_time() - own)
handle.close()
"""


def returning(times: int = 9) -> None:
    """How long `visualize` takes to return, in programs of their own: the first call is the one that a script makes."""
    found = []
    for _ in range(times):
        out = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True, timeout=120).stdout
        found.append([1e3 * float(x) for x in out.split()])
    wall, own = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"visualize() returns after {wall:.1f} ms, {own:.1f} ms of its thread's processor time", flush=True)


def measure(name: str, make: Make) -> None:
    model, step = make()
    for _ in range(20):
        step()
    handle = model.visualize()
    session, tap = handle._session, handle._tap
    run(step, 6.0)  # the window opens, the graph is sent and laid out
    assert session.publisher.connected
    pid, clock, tick = session.publisher._process.pid, time.pthread_getcpuclockid(session.ident), session.tick
    without, watched, shares = [], [], []
    child, wall = child_time(pid), time.monotonic()
    for turn in range(2 * TURNS + 1):
        listening = turn % 2
        (taps.add if listening else taps.remove)(tap)
        session.tick = tick if listening else lambda: None  # type: ignore[method-assign]
        run(step, 0.02)
        thread, process = time.clock_gettime(clock), time.process_time()
        (watched if listening else without).append(run(step, SECONDS))
        if listening:
            shares.append((time.clock_gettime(clock) - thread) / (time.process_time() - process))
    window = (child_time(pid) - child) / (time.monotonic() - wall)
    every = tap.every
    handle.close()
    ratio = statistics.median([2 * b / (a + c) for a, b, c in zip(without, watched, without[1:], strict=False)])
    plain = statistics.median(without)
    print(
        f"{name}: {1e3 * plain:.2f} ms of processor time a step, {100 * (ratio - 1):+.1f} % with a window; "
        f"hearing a step, one of {every}, takes {1e6 * hearing(step):.1f} us ({100 * hearing(step) / plain / every:.2f} %), "
        f"the thread {100 * statistics.mean(shares):.2f} %; "
        f"the window takes {100 * window:.1f} % of a core",
        flush=True,
    )


if __name__ == "__main__":
    returning()
    for name in sys.argv[1:] or WORKLOADS:
        measure(name, WORKLOADS[name])
