"""Each thread records for itself: two of them do not meet in one trace."""

import gc
import threading

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def test_two_threads_train_two_models():
    results = {}

    def train(name, seed):
        step_ours, losses = small_training_seeded(ours, seed)
        for _ in range(20):
            step_ours()
        results[name] = losses

    def small_training_seeded(T, seed):
        rng = np.random.default_rng(seed)
        w = T.tensor(rng.standard_normal((4, 1)), dtype=T.float32, requires_grad=True)
        x, y = T.tensor(rng.standard_normal((16, 4)), dtype=T.float32), T.tensor(rng.standard_normal((16, 1)), dtype=T.float32)
        opt = T.optim.SGD([w], lr=0.05, momentum=0.9)
        losses = []

        def step():
            opt.zero_grad()
            loss = ((x @ w - y) ** 2).mean()
            loss.backward()
            opt.step()
            losses.append(loss.item())

        return step, losses

    threads = [threading.Thread(target=train, args=(k, k)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    for k in range(4):
        step, losses = small_training_seeded(torch, k)
        for _ in range(20):
            step()
        np.testing.assert_allclose(results[k], losses, rtol=1e-4)


def test_a_tensor_recorded_in_another_thread_is_refused_or_right():
    box = {}

    def record():
        box["t"] = ours.ones(3) * ours.tensor([1.0, 2.0, 3.0])

    thread = threading.Thread(target=record)
    thread.start()
    thread.join()
    gc.collect()
    try:
        assert (box["t"] + 1).tolist() == [2.0, 3.0, 4.0]
    except RuntimeError as error:
        assert "thread" in str(error)
