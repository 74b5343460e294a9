"""What the viewer costs the training process: ``QT_QPA_PLATFORM=offscreen python docs/measure_viewer.py``.

Processor time, which other work on the machine disturbs less than the clock: of the training thread per step, with and without somebody who
listens, in turns; of the thread that publishes, with a window at 10 Hz; and of the window's own process.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.cli.data import Corpus, standard_library_text
from torchlike_asg.cli.training import Settings, Training
from torchlike_asg.viewer import taps

SECONDS = 12.0


def perceptron() -> tuple[nn.Module, Callable[[], object]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))

    def step() -> None:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

    return model, step


def transformer() -> tuple[nn.Module, Callable[[], object]]:
    settings = Settings(seed=0, layers=2, width=96, heads=4, block=64, batch=16, lr=3e-3, warmup=20, decay_steps=1000)
    training = Training(settings, Corpus.of(standard_library_text(200_000), settings.block))
    return training.model, training.advance


def child_time(pid: int) -> float:
    """Processor seconds of another process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def hot_path(step: Callable[[], object], tap: taps.Tap, count: int) -> tuple[float, float]:
    """Processor seconds of the training thread per step, without and with the tap, in turns; medians."""
    without, heard = [], []
    for _ in range(30):
        for times, on in ((without, False), (heard, True)):
            (taps.add if on else taps.remove)(tap)
            begun = time.thread_time()
            for _ in range(count):
                step()
            times.append((time.thread_time() - begun) / count)
    return statistics.median(without), statistics.median(heard)


def measure(name: str, make: Callable[[], tuple[nn.Module, Callable[[], object]]], count: int) -> None:
    model, step = make()
    for _ in range(50):
        step()
    begun = time.perf_counter()
    handle = model.visualize()
    returned = time.perf_counter() - begun
    session, publisher = handle._session, handle._session.publisher
    run(step, 6.0)  # the window opens, the graph is sent and laid out
    assert publisher.connected
    pid, clock = publisher._process.pid, time.pthread_getcpuclockid(session.ident)
    child, thread, wall, process = child_time(pid), time.clock_gettime(clock), time.monotonic(), time.process_time()
    steps = run(step, SECONDS)
    wall, process = time.monotonic() - wall, time.process_time() - process
    beside, share = (time.clock_gettime(clock) - thread) / wall, (child_time(pid) - child) / wall
    handle.close()
    tap = taps.Tap()
    taps.add(tap)
    plain, heard = hot_path(step, tap, count)
    taps.remove(tap)
    print(
        f"{name}: a step takes {process / steps * 1e3:.2f} ms of processor time; listening adds {1e6 * (heard - plain):.1f} us to it, "
        f"the thread beside it takes {1e3 * beside:.1f} ms a second; visualize() returned after {1e3 * returned:.1f} ms; "
        f"the window takes {100 * share:.1f} % of a core"
    )


def run(step: Callable[[], object], seconds: float) -> int:
    until, steps = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        step()
        steps += 1
    return steps


if __name__ == "__main__":
    measure("perceptron", perceptron, 200)
    measure("transformer", transformer, 5)
