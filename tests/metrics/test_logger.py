from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

import torchlike_asg as ours
from torchlike_asg.metrics import Accuracy, MetricLogger, MetricSummary


def filled(**options: Any) -> MetricLogger:
    logger = MetricLogger(**options)
    for loss, accuracy in ((0.9, 0.5), (0.4, 0.8), (0.6, 0.7)):
        logger.log_dict({"loss": loss, "accuracy": accuracy})
        logger.end_epoch()
    return logger


def test_best_follows_the_direction() -> None:
    logger = filled()
    assert logger.get_best("loss") == (0.4, 1)
    assert logger.get_best("accuracy") == (0.8, 1)
    assert filled(directions={"loss": "max"}).get_best("loss") == (0.9, 0)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val_loss", "min"),
        ("train/accuracy", "max"),
        ("Top1 acc", "max"),
        ("accuracy_loss", "min"),
        ("ndcg@10", "max"),
        ("RMSE", "min"),
        ("f1-score", "max"),
    ],
)
def test_directions_guessed_from_names(name: str, direction: str) -> None:
    assert MetricLogger().direction(name) == direction


def test_unknown_direction_is_not_guessed() -> None:
    logger = MetricLogger()
    logger.log("temperature", 3.0)
    logger.end_epoch()
    with pytest.raises(ValueError, match=r"call set_direction\('temperature'"):
        logger.get_best("temperature")
    assert logger.summary()["temperature"].best_value is None
    logger.set_direction("temperature", "max")
    assert logger.get_best("temperature") == (3.0, 0)
    with pytest.raises(ValueError, match="must be 'min' or 'max'"):
        logger.set_direction("temperature", "up")


def test_epoch_values_are_weighted_means() -> None:
    logger = MetricLogger()
    logger.log("loss", ours.tensor(1.0), weight=3)
    logger.log("loss", ours.tensor([5.0]), weight=1)
    assert logger.get_current_mean("loss") == 2.0
    assert logger.format_current() == "loss: 2.0000"
    assert logger.end_epoch() == {"loss": 2.0}
    assert logger.get_history("loss") == [2.0] and logger.current_epoch == 1
    with pytest.raises(ValueError, match="must be one number"):
        logger.log("loss", [1.0, 2.0])


def test_metrics_missing_in_some_epochs_keep_their_place() -> None:
    logger = MetricLogger()
    for epoch in range(4):
        logger.log("loss", epoch)
        if epoch % 2:
            logger.log("accuracy", epoch / 10)
        logger.end_epoch()
    assert logger.get_epochs("accuracy") == [1, 3] and logger.get_history("accuracy") == [0.1, 0.3]
    assert logger.get_best("accuracy") == (0.3, 3) and logger.get_last("accuracy") == 0.3
    assert logger.metric_names == ["loss", "accuracy"]


def test_summary_and_text() -> None:
    logger = filled()
    assert logger.summary()["loss"] == MetricSummary(last=0.6, best_value=0.4, best_epoch=1, mean=pytest.approx(1.9 / 3), epochs=3)
    assert logger.format_epoch(1) == "epoch 1 | loss: 0.4000 * | accuracy: 0.8000 *"
    assert logger.format_epoch() == "epoch 2 | loss: 0.6000 | accuracy: 0.7000"
    with pytest.raises(ValueError, match="epoch 3 has not ended"):
        logger.format_epoch(3)


def test_nan_is_never_best() -> None:
    logger = MetricLogger()
    for value in (math.nan, 2.0, 1.0, math.nan):
        logger.log("loss", value)
        logger.end_epoch()
    assert logger.get_best("loss") == (1.0, 2)
    assert math.isnan(logger.get_last("loss"))
    only = MetricLogger()
    only.log("loss", math.nan)
    only.end_epoch()
    with pytest.raises(ValueError, match="are NaN"):
        only.get_best("loss")


def test_nan_policies() -> None:
    omitting = MetricLogger(nan_policy="omit")
    omitting.log("loss", math.nan)
    omitting.log("loss", 2.0)
    assert omitting.end_epoch() == {"loss": 2.0}
    omitting.log("loss", math.nan)
    assert math.isnan(omitting.end_epoch()["loss"])
    with pytest.raises(ValueError, match="was given NaN"):
        MetricLogger(nan_policy="raise").log("loss", math.nan)


def test_metric_objects_bring_their_direction() -> None:
    logger, metric = MetricLogger(), Accuracy()
    metric.update([1, 0], [1, 1])
    logger.log_metric(metric, "val")
    logger.end_epoch()
    assert logger.direction("val") == "max" and logger.get_last("val") == 0.5


def test_unknown_names() -> None:
    with pytest.raises(KeyError, match="no epoch with a value of 'loss'"):
        MetricLogger().get_best("loss")
    assert MetricLogger().get_history("loss") == []


def test_csv(tmp_path: Path) -> None:
    logger = filled()
    logger.log("loss", 1 / 3)
    logger.end_epoch()
    logger.to_csv(tmp_path / "log.csv")
    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "loss", "accuracy"]
    assert [float(row[1]) for row in rows[1:]] == logger.get_history("loss")
    assert rows[4] == ["3", repr(1 / 3), ""]


def test_json_round_trip(tmp_path: Path) -> None:
    logger = filled(directions={"other": "max"}, nan_policy="omit")
    logger.log_dict({"loss": math.inf, "accuracy": math.nan})
    logger.end_epoch()
    logger.to_json(tmp_path / "log.json")
    json.loads((tmp_path / "log.json").read_text(encoding="utf-8"), parse_constant=lambda text: pytest.fail(f"not strict JSON: {text}"))
    again = MetricLogger.from_json(tmp_path / "log.json")
    assert again.get_history("loss") == logger.get_history("loss")
    assert math.isnan(again.get_last("accuracy"))
    assert again.get_best("accuracy") == (0.8, 1) and again.direction("other") == "max"
    again.log("loss", 0.1)
    again.end_epoch()
    assert again.get_best("loss") == (0.1, 4)


def test_reset() -> None:
    logger = filled(directions={"x": "max"})
    logger.reset()
    assert logger.current_epoch == 0 and logger.metric_names == [] and logger.direction("x") == "max"
