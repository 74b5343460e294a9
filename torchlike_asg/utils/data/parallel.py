"""The iterator of a loader with worker processes."""

from __future__ import annotations

from typing import Any

from .iterator import LoaderIterator, Resume
from .pool import WorkerPool
from .position import Position
from .worker import Result, WorkerStart

__all__ = ["WorkersIterator"]


class WorkersIterator(LoaderIterator):
    """Keeps `prefetch_factor` batches per worker under way, dealt out in turn, and yields them in the order of the sampler."""

    _pool: WorkerPool

    def _new_position(self, resume: Resume | None) -> Position:
        loader = self._loader
        if loader._pool is not None:  # persistent workers go on as they are: no new base seed
            return loader._position.next_pass(loader._pool.latest_states)
        if resume is not None and loader.persistent_workers and resume.position.base_seed is not None:
            return resume.position.next_pass(resume.position.worker_states)
        return super()._new_position(resume)

    def _prepare(self, skip: int) -> None:
        loader = self._loader
        skipped = [next(self._indices) for _ in range(skip)]
        if loader._pool is None:
            starts = [self._start(worker_id, skipped) for worker_id in range(loader.num_workers)]
            pool = WorkerPool(loader._context(), starts, loader.timeout)
            if loader.persistent_workers:
                loader._pool = pool
        else:
            pool = loader._pool
        self._pool = pool
        pool.begin_pass()
        # Results of a broken off pass have just come in with the workers' last states.
        self.position.worker_states = list(pool.latest_states)
        if not skip:
            self.position.worker_states_at_epoch = list(pool.latest_states)
        self._pass = pool.passes
        self._sent = self._wanted = 0  # numbers of the next task to send and of the next result to hand out
        self._under_way = 0
        self._arrived: dict[int, tuple[int, Result]] = {}
        self._active = [True] * loader.num_workers  # False once a worker's stream has ended
        self._tasks = [0] * loader.num_workers  # sent and not yet handed to the caller
        self._turn = self.position.next_worker
        for _ in range(self._capacity):
            self._send_next_task()

    def _start(self, worker_id: int, skipped: list[Any]) -> WorkerStart:
        loader, position = self._loader, self.position
        assert position.base_seed is not None
        return WorkerStart(
            loader.dataset,
            loader._auto_collation,
            loader.collate_fn,
            loader.drop_last,
            position.base_seed,
            loader.worker_init_fn,
            worker_id,
            loader.num_workers,
            random_at_epoch=position.worker_states_at_epoch[worker_id],
            skip=skipped[: position.worker_batches[worker_id]] if self._streaming else [],
            random_now=position.worker_states[worker_id],
        )

    @property
    def _capacity(self) -> int:
        return self._loader.prefetch_factor * self._loader.num_workers

    def _send_next_task(self) -> None:
        try:
            index = self._next_index()
        except StopIteration:
            return
        worker_id = self._choose_worker()
        if worker_id is None:
            return
        self._pool.submit(worker_id, self._sent, index)
        self._sent += 1
        self._under_way += 1
        self._tasks[worker_id] += 1

    def _choose_worker(self) -> int | None:
        """The next active worker in turn (out of order: the next that has room); None if there is none."""
        for _ in self._active:
            worker_id, self._turn = self._turn, (self._turn + 1) % len(self._active)
            if self._active[worker_id] and (self._loader.in_order or self._tasks[worker_id] < self._capacity // sum(self._active)):
                return worker_id
        return None

    def _next_batch(self) -> Any:
        if self._pool.passes != self._pass:
            raise RuntimeError(
                "this iterator's workers have begun another pass: with persistent_workers only the newest iterator can be used"
            )
        while self._under_way or self._arrived:
            number = self._wanted if self._loader.in_order else next(iter(self._arrived), -1)
            if number not in self._arrived:
                self._receive()
                continue
            worker_id, result = self._arrived.pop(number)
            self._wanted += 1
            if not result.ended:
                return self._hand_out(worker_id, result)
        self.position.finished = True
        if not self._loader.persistent_workers:
            self._pool.stop()
        raise StopIteration

    def _hand_out(self, worker_id: int, result: Result) -> Any:
        position = self.position
        position.consumed += 1
        position.worker_batches[worker_id] += 1
        position.next_worker = (worker_id + 1) % len(self._active)
        if result.random_states is not None:
            position.worker_states[worker_id] = result.random_states
        self._tasks[worker_id] -= 1
        self._send_next_task()
        if result.error is not None:
            result.error.reraise()
        return result.batch

    def _receive(self) -> None:
        for worker_id, result in self._pool.receive():
            self._under_way -= 1
            self._arrived[result.number] = worker_id, result
            if result.ended:
                self._active[worker_id] = False
                self._send_next_task()  # the task found nothing to read: another worker takes its place
