"""What fails in a worker process, and a worker that ends: the loader says it, and goes on where it can."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from .loader_helpers import Rows
from .worker_helpers import FORKS, Mapped, children, loader, no_children_before  # noqa: F401  (a fixture)

pytestmark = FORKS


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one, two)


@pytest.mark.parametrize(
    ("kind", "raised"),
    [
        (ValueError, ValueError),
        (KeyError, KeyError),
        (ZeroDivisionError, ZeroDivisionError),
        (StopIteration, StopIteration),
        (Odd, RuntimeError),
    ],
)
def test_exceptions_come_with_the_workers_traceback(kind: type[Exception], raised: type[Exception]) -> None:
    def fail(index: int) -> Any:
        if index == 3:
            raise kind(1, 2) if kind is Odd else kind("the reason")
        return index

    batches = iter(loader(Mapped(6, fail)))
    assert [next(batches).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(raised) as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith(f"Caught {kind.__name__} in DataLoader worker process 1.\nOriginal Traceback")
    assert "in fail\n" in text and "\n" in text
    assert [batch.item() for batch in batches] == [4, 5]  # the others are not lost


def test_exception_class_unknown_to_the_parent() -> None:
    def fail(index: int) -> Any:
        class Local(ValueError):
            pass

        raise Local("gone")

    with pytest.raises(RuntimeError, match="Caught Local in DataLoader worker process 0"):
        list(loader(Mapped(1, fail)))


def test_error_in_init_fn() -> None:
    def init(worker_id: int) -> None:
        raise OSError("no licence")

    with pytest.raises(OSError, match="no licence"):
        list(loader(Rows(3), worker_init_fn=init))


def test_batch_that_cannot_be_pickled() -> None:
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*(pickle|local object)"):
        list(loader(Mapped(1, lambda index: lambda: index), batch_size=None))


@pytest.mark.parametrize(
    ("end", "why"), [(lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by signal: Killed"), (lambda: os._exit(7), "exit code 7")]
)
def test_dead_worker_is_noticed_at_once(end: Any, why: str) -> None:
    """By its end, not because nothing has come from it for a while: that would be another error, a minute later."""

    def die(index: int) -> Any:
        if index == 2:
            end()
        return index

    with pytest.raises(RuntimeError, match=rf"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly \({why}\)"):
        list(loader(Mapped(100, die)))
    assert not children()


def test_idle_worker_killed_from_outside_is_noticed() -> None:
    batches = iter(loader(Mapped(50, lambda index: (time.sleep(0.02), index)[1]), persistent_workers=True))
    next(batches)
    os.kill(children()[0].pid, signal.SIGTERM)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(batches)


def test_persistent_workers_start_anew_after_a_death() -> None:
    loaded = loader(Mapped(4, lambda index: os._exit(1) if index == 3 and not os.path.exists(marker) else index), persistent_workers=True)
    marker = "/nonexistent"
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loaded)
    loaded.dataset.function = lambda index: index
    assert [batch.item() for batch in loaded] == [0, 1, 2, 3]


def test_timeout() -> None:
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.2 seconds"):
        list(loader(Mapped(2, lambda index: time.sleep(60)), timeout=0.2))
    assert not children()
