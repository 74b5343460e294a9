"""Loaders with worker processes: order, random numbers, what crosses, and when the processes end."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.utils import data

from .loader_helpers import Rows, outcome, plain
from .worker_helpers import FORKS, Mapped, Stream, children, loader, no_children_before  # noqa: F401  (a fixture)

pytestmark = FORKS


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("options", [{"batch_size": 4, "shuffle": True}, {"batch_size": None}, {"batch_size": 5, "prefetch_factor": 1}])
def test_order_is_torchs(torch: Any, num_workers: int, options: dict[str, Any]) -> None:
    def run(package: Any) -> Any:
        loaded = package.utils.data.DataLoader(Rows(23), num_workers=num_workers, multiprocessing_context="fork", **options)
        return [[plain(batch) for batch in loaded] for _ in range(2)], len(loaded)

    assert outcome(ours, 9, run) == outcome(torch, 9, run)


@pytest.mark.parametrize("persistent", [False, True])
def test_worker_streams_are_torchs(torch: Any, persistent: bool) -> None:
    def run(package: Any) -> Any:
        def draw(index: int) -> Any:
            return package.rand(2), package.initial_seed(), random.random(), np.random.rand()

        loaded = package.utils.data.DataLoader(
            Mapped(7, draw), num_workers=2, persistent_workers=persistent, multiprocessing_context="fork"
        )
        return [[plain(batch) for batch in loaded] for _ in range(2)]

    assert outcome(ours, 4, run) == outcome(torch, 4, run)


def test_stream_is_divided_as_torch_divides_it(torch: Any) -> None:
    class TorchStream(torch.utils.data.IterableDataset):
        def __iter__(self) -> Any:
            info = torch.utils.data.get_worker_info()
            return iter(range(info.id, 21, info.num_workers) if info.id else range(0, 6, 3))

    class OurStream(data.IterableDataset):
        def __iter__(self) -> Any:
            info = data.get_worker_info()
            return iter(range(info.id, 21, info.num_workers) if info.id else range(0, 6, 3))

    for options in (
        {"batch_size": 2},
        {"batch_size": None},
        {"batch_size": 2, "drop_last": True},
        {"batch_size": 2, "persistent_workers": True},
    ):
        want = torch.utils.data.DataLoader(TorchStream(), num_workers=3, **options)
        got = loader(OurStream(), 3, **options)
        for _ in range(2):
            assert [plain(batch) for batch in got] == [plain(batch) for batch in want]


def test_unsharded_stream_warns_of_its_length() -> None:
    class Whole(Stream):
        def __iter__(self) -> Any:
            return iter(range(self.size))

        def __len__(self) -> int:
            return self.size

    whole = loader(Whole(2), batch_size=None)
    assert len(whole) == 2
    with pytest.warns(UserWarning, match="divide it by get_worker_info"):
        assert len(list(whole)) == 4


def test_worker_info() -> None:
    def describe(index: int) -> Any:
        info = data.get_worker_info()
        assert info is not None
        return info.id, info.num_workers, info.seed - ours.initial_seed(), len(info.dataset), os.getpid()

    rows = list(loader(Mapped(4, describe), batch_size=None))
    assert [row[:4] for row in rows] == [[0, 2, 0, 4], [1, 2, 0, 4], [0, 2, 0, 4], [1, 2, 0, 4]]
    assert len({row[4] for row in rows} | {os.getpid()}) == 3
    assert data.get_worker_info() is None


def test_worker_init_fn() -> None:
    def init(worker_id: int) -> None:
        info = data.get_worker_info()
        assert info is not None
        info.dataset.function = lambda index: 100 * worker_id + index

    assert [batch.item() for batch in loader(Mapped(4, None), worker_init_fn=init)] == [0, 101, 2, 103]


def test_tensors_of_all_types_cross() -> None:
    dtypes = [ours.float32, ours.float64, ours.float16, ours.bfloat16, ours.int64, ours.uint8, ours.bool]

    def make(index: int) -> Any:
        return [(ours.arange(6).reshape(2, 3) + index).to(dtype) for dtype in dtypes] + [
            ours.ones(0),
            ours.tensor(3.5),
            np.arange(2),
            "text",
        ]

    first, second = loader(Mapped(2, make), batch_size=None)
    for tensor, dtype in zip(second, dtypes, strict=False):
        assert tensor.dtype is dtype and tensor.tolist() == (ours.arange(6).reshape(2, 3) + 1).to(dtype).tolist()
    assert first[7].shape == (0,) and first[8].item() == 3.5
    assert first[9].tolist() == [0, 1] and first[10] == "text"
    first[0] += 1  # it is writable
    assert first[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_gradients_do_not_cross() -> None:
    def leaf(index: int) -> Any:
        return ours.ones(2, requires_grad=True)

    def computed(index: int) -> Any:
        return ours.ones(2, requires_grad=True) * 2

    (tensor,) = loader(Mapped(1, leaf), batch_size=None)
    assert tensor.requires_grad and tensor.is_leaf
    with pytest.raises(RuntimeError, match="non-leaf tensor that requires grad"):
        list(loader(Mapped(1, computed), batch_size=None))


# ---------------------------------------------------------------- life of the processes
def test_workers_end_with_the_pass() -> None:
    list(loader(Rows(10)))
    assert not children()


def test_workers_end_when_the_loop_is_left() -> None:
    for _ in loader(Rows(1000)):
        assert len(children()) == 2
        break
    gc.collect()
    assert not children()


def test_persistent_workers_stay_and_end_with_the_loader() -> None:
    loaded = loader(Mapped(6, lambda index: os.getpid()), persistent_workers=True)
    pids = [{int(batch) for batch in loaded} for _ in range(3)]
    assert pids[0] == pids[1] == pids[2] and len(pids[0]) == 2
    del loaded
    gc.collect()
    assert not children()


def test_persistent_workers_after_a_pass_was_left() -> None:
    loaded = loader(Rows(40), batch_size=2, persistent_workers=True)
    old = iter(loaded)
    for _ in range(3):
        next(old)
    assert [batch[1].tolist() for batch in loaded] == [[i, i + 1] for i in range(0, 40, 2)]
    with pytest.raises(RuntimeError, match="only the newest iterator"):
        next(old)


def test_two_loaders_side_by_side() -> None:
    first, second = iter(loader(Rows(6))), iter(loader(Rows(6)))
    assert [(int(a[1]), int(b[1])) for a, b in zip(first, second, strict=True)] == [(i, i) for i in range(6)]
    assert not children()


def test_out_of_order_gives_everything_once() -> None:
    arrived = multiprocessing.get_context("fork").Event()
    got = []
    for batch in loader(Mapped(12, lambda index: index if index or arrived.wait(60) else -1), in_order=False):
        got.append(batch.item())
        arrived.set()  # the first item waits until another one is there
    assert sorted(got) == list(range(12)) and got[0] != 0
    assert sorted(batch.item() for batch in loader(Stream(11), 3, in_order=False)) == list(range(11))


def test_large_messages_both_ways_do_not_block() -> None:
    rows = np.zeros(300_000, np.float32)
    indices = [[0] * 200_000 for _ in range(8)]

    class Big(Rows):
        def __getitems__(self, batch: list[int]) -> Any:
            assert len(batch) == 200_000
            return [rows]

    assert [batch.shape for batch in loader(Big(1), batch_sampler=indices, prefetch_factor=4)] == [(1, 300_000)] * 8


def test_other_threads_do_not_disturb() -> None:
    stop, failures = threading.Event(), []

    def busy() -> None:
        try:
            while not stop.is_set():
                (ours.rand(100_000) + 1).sum().item()
                np.random.rand(100_000)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            total = [(batch[0] * 2).sum().item() for batch in loader(Mapped(8, lambda index: (ours.ones(3) * index, index)))]
            assert total == [6.0 * i for i in range(8)]
    finally:
        stop.set()
        thread.join()
    assert not failures


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_start_methods_in_a_script(tmp_path: Path, method: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import torchlike_asg as torch
        from torchlike_asg.utils.data import DataLoader, TensorDataset, get_worker_info

        class Noisy(TensorDataset):
            def __getitem__(self, index):
                return super().__getitem__(index)[0] + torch.rand(1) * 0, get_worker_info().id

        if __name__ == "__main__":
            torch.manual_seed(1)
            dataset = Noisy(torch.arange(6) * 1.0)
            loader = DataLoader(dataset, 2, shuffle=True, num_workers=2, multiprocessing_context={method!r})
            print([(x.tolist(), worker.tolist()) for x, worker in loader])
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONWARNINGS": "default"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = eval(done.stdout)
    assert sorted(value[0] for values, _ in rows for value in values) == [0, 1, 2, 3, 4, 5]
    assert [workers for _, workers in rows] == [[0, 0], [1, 1], [0, 0]]


def test_orphaned_workers_end(tmp_path: Path) -> None:
    """Even while a younger sibling, which was forked with copies of the older one's pipe, hangs."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, os, signal, time
        from torchlike_asg.utils.data import DataLoader

        class Hanging:
            def __len__(self):
                return 3

            def __getitem__(self, index):
                open(os.path.join(os.path.dirname(__file__), "hangs"), "x").close()
                time.sleep(600)

        first = iter(DataLoader(range(1000), num_workers=1))
        next(first)
        (older,) = multiprocessing.active_children()
        second = iter(DataLoader(Hanging(), num_workers=1))
        (younger,) = set(multiprocessing.active_children()) - {older}
        while not os.path.exists(os.path.join(os.path.dirname(__file__), "hangs")):
            time.sleep(0.01)
        print(older.pid, younger.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """)
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with open(tmp_path / "out", "w+") as out:  # not a pipe: the hanging worker would keep it open
        subprocess.run([sys.executable, script], stdout=out, env=environment, timeout=120)
        out.seek(0)
        older, younger = map(int, out.read().split())
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and _runs(older):
            time.sleep(0.05)
        assert not _runs(older)
    finally:
        os.kill(younger, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
