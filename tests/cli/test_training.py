"""One step, the schedule, the validation loss."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import torchlike_asg as ours
from torchlike_asg.cli.data import Corpus
from torchlike_asg.cli.training import FLOOR, VALIDATION_WINDOWS, Settings, Training

SETTINGS = Settings(seed=0, layers=1, width=16, heads=2, block=8, batch=4, lr=1e-2, warmup=5, decay_steps=50)
CORPUS = Corpus.of("the quick brown fox jumps over the lazy dog. " * 20, 8)


def test_rate_warms_up_peaks_and_decays_to_the_floor() -> None:
    rates = [SETTINGS.rate(step) for step in range(80)]
    assert rates[0] > 0
    assert rates[:6] == sorted(rates[:6])
    assert rates[5] == max(rates) == 1
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[50] == pytest.approx(FLOOR)
    assert rates[79] == pytest.approx(FLOOR)


@pytest.mark.parametrize(("warmup", "decay_steps"), [(0, 1), (10, 5), (0, 100)])
def test_rate_is_defined_for_odd_settings(warmup: int, decay_steps: int) -> None:
    rates = [replace(SETTINGS, warmup=warmup, decay_steps=decay_steps).rate(step) for step in range(20)]
    assert all(0 < rate <= 1 for rate in rates)


def test_the_optimizer_follows_the_schedule() -> None:
    training = Training(SETTINGS, CORPUS)
    for step in range(8):
        assert training.optimizer.param_groups[0]["lr"] == pytest.approx(SETTINGS.lr * SETTINGS.rate(step))
        training.advance()
    assert training.step == 8


def test_only_matrices_decay() -> None:
    matrices, vectors = Training(SETTINGS, CORPUS).optimizer.param_groups
    assert matrices["weight_decay"] > vectors["weight_decay"] == 0
    assert {p.dim() for p in matrices["params"]} == {2}
    assert {p.dim() for p in vectors["params"]} == {1}


def test_training_learns() -> None:
    training = Training(SETTINGS, CORPUS)
    before = training.validation_loss()
    losses = [training.advance() for _ in range(60)]
    assert before == pytest.approx(math.log(len(CORPUS.vocabulary)), rel=0.05)
    assert sum(losses[-5:]) / 5 < 0.75 * losses[0]
    assert training.validation_loss() < 0.75 * before


def test_looking_does_not_change_the_run() -> None:
    """Validation and sampling between steps leave the random numbers of training alone."""
    plain, watched = Training(SETTINGS, CORPUS), None
    losses = [plain.advance() for _ in range(4)]
    watched = Training(SETTINGS, CORPUS)
    seen = []
    for _ in range(4):
        seen.append(watched.advance())
        watched.validation_loss()
        watched.sample(3, 1.0)
    assert seen == losses


@pytest.mark.parametrize("length", [90, 91, 500, 5000])
def test_validation_covers_the_held_out_text(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus.of("abcdefghij" * (length // 10) + "k" * (length % 10), 8)
    training = Training(SETTINGS, corpus)
    windows: list[list[int]] = []

    def recorded(batch: ours.Tensor) -> ours.Tensor:
        windows.extend(batch.tolist())
        return ours.tensor(float(len(windows)))

    monkeypatch.setattr(training, "_loss", recorded)
    training.validation_loss()
    held_out = corpus.held_out.tolist()
    assert 1 <= len(windows) <= VALIDATION_WINDOWS
    assert windows[0] == held_out[:9]
    assert len(windows) == 1 or windows[-1] == held_out[-9:]


def test_steps_record_no_new_nodes_once_warm() -> None:
    training = Training(SETTINGS, CORPUS)
    for _ in range(3):
        training.advance()
    before = ours.asg.stats()
    for _ in range(5):
        training.advance()
    after = ours.asg.stats()
    assert (after["nodes"], after["plans"], after["compiles"]) == (before["nodes"], before["plans"], before["compiles"])
