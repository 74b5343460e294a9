"""The main job end to end, as the command line runs it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.backends.wgpu.harness import device
from torchlike_asg.__main__ import main
from torchlike_asg.checkpoint import CheckpointManager
from torchlike_asg.cli.training import Training
from torchlike_asg.optim.optimizer import Optimizer, register_optimizer_step_post_hook

SMALL = ["--layers", "1", "--width", "16", "--heads", "2", "--block", "8", "--batch", "4", "--sample-length", "12", "--no-progress"]
TEXT = "the quick brown fox jumps over the lazy dog. " * 20


@pytest.fixture
def data(tmp_path: Path) -> list[str]:
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return ["--data", str(path)]


def report(tmp_path: Path, *argv: str) -> dict[str, Any]:
    """Run the job with `argv`; what it wrote to its JSON file."""
    path = tmp_path / "report.json"
    assert main([*SMALL, "--json", str(path), *argv]) == 0
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_report(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    result = report(tmp_path, *data, "--steps", "8")
    assert len(result["losses"]) == 8
    assert all(math.isfinite(loss) and loss > 0 for loss in result["losses"])
    assert result["losses"][0] == pytest.approx(math.log(len(set(TEXT))), rel=0.1)
    assert result["val_loss"] > 0
    assert result["tokens_per_s"] > 0
    assert len(result["sample"]) == 12
    assert set(result["sample"]) <= set(TEXT)
    assert (result["first_step"], result["steps"], result["settings"]["seed"]) == (0, 8, 0)
    out, err = capsys.readouterr()
    assert err == ""
    assert "step 8/8: loss" in out
    assert f"Validation loss {result['val_loss']:.4f}" in out
    assert out.endswith(f"Sample:\n{result['sample']}\n")


def test_on_a_gpu(tmp_path: Path, data: list[str]) -> None:
    """With the CPU's losses, and the network's parameters there."""
    device()
    kinds: set[str] = set()

    def look(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        kinds.update(p.device.type for group in optimizer.param_groups for p in group["params"])

    hook = register_optimizer_step_post_hook(look)
    there = report(tmp_path, *data, "--steps", "3", "--gpu")
    hook.remove()
    assert kinds == {"wgpu"} and len(there["sample"]) == 12
    here = report(tmp_path, *data, "--steps", "3")
    assert there["losses"] == pytest.approx(here["losses"], rel=1e-4)
    assert there["val_loss"] == pytest.approx(here["val_loss"], rel=1e-4)


def test_the_seed_decides_the_run(tmp_path: Path, data: list[str]) -> None:
    first, again, other = (report(tmp_path, *data, "--steps", "5", "--seed", seed) for seed in ("1", "1", "2"))
    assert first["losses"] == again["losses"]
    assert (first["val_loss"], first["sample"]) == (again["val_loss"], again["sample"])
    assert first["losses"] != other["losses"]


def test_resuming_continues_bit_identically(tmp_path: Path, data: list[str]) -> None:
    whole = report(tmp_path, *data, "--steps", "9")
    first = report(tmp_path, *data, "--steps", "5", "--save", str(tmp_path / "run"))
    second = report(tmp_path, *data, "--steps", "9", "--resume", str(tmp_path / "run"))
    assert second["first_step"] == 5
    assert first["losses"] + second["losses"] == whole["losses"]
    assert (second["val_loss"], second["sample"]) == (whole["val_loss"], whole["sample"])


def test_resuming_and_saving_in_one_folder(tmp_path: Path, data: list[str]) -> None:
    run = str(tmp_path / "run")
    report(tmp_path, *data, "--steps", "4", "--save", run, "--save-every", "1")
    report(tmp_path, *data, "--steps", "6", "--save", run, "--resume", run)
    assert [checkpoint.step for checkpoint in CheckpointManager(run).checkpoints()] == [3, 4, 6]


def test_resuming_a_finished_run_only_reports(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    whole = report(tmp_path, *data, "--steps", "4", "--save", run)
    again = report(tmp_path, *data, "--steps", "4", "--resume", run)
    assert (again["losses"], again["val_loss"]) == ([], whole["val_loss"])
    assert "already has 4 of 4 steps" in capsys.readouterr().out


def test_settings_come_from_the_checkpoint(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    whole = report(tmp_path, *data, "--steps", "4", "--save", run)
    path = tmp_path / "again.json"
    assert main([*data, "--no-progress", "--steps", "4", "--sample-length", "12", "--resume", run, "--json", str(path)]) == 0
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again["settings"] == whole["settings"]
    capsys.readouterr()
    assert main([*data, *SMALL, "--width", "32", "--resume", run]) == 2
    assert "--width 32 contradicts the checkpoint" in capsys.readouterr().err


def test_refused_checkpoints(tmp_path: Path, data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*data, *SMALL, "--resume", str(run)]) == 2
    assert "There is no checkpoint in" in capsys.readouterr().err

    report(tmp_path, *data, "--steps", "2", "--save", str(run))
    other = tmp_path / "other.txt"
    other.write_text(TEXT[::-1], encoding="utf-8")
    capsys.readouterr()
    assert main([*SMALL, "--data", str(other), "--resume", str(run)]) == 2
    assert "was trained on another text" in capsys.readouterr().err

    weights = run / "step-2" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert main([*data, *SMALL, "--resume", str(run)]) == 2
    assert "model.safetensors" in capsys.readouterr().err

    CheckpointManager(tmp_path / "foreign").save(1)
    assert main([*data, *SMALL, "--resume", str(tmp_path / "foreign")]) == 2
    assert "was not written by this program" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "There is no file"), (b"", "is empty"), (b"\xff\xfe\x00", "is not UTF-8 text"), (b"short", "The text has 5 characters")],
)
def test_unusable_texts(content: bytes | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    assert main([*SMALL, "--data", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err


def test_interrupting(data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    advance = Training.advance

    def interrupted(self: Training) -> float:
        if self.step == 3:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(Training, "advance", interrupted)
    assert main([*data, *SMALL, "--steps", "8"]) == 130
    assert capsys.readouterr().out.endswith("Interrupted after step 3.\n")


def test_diverging(data: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    assert main([*data, *SMALL, "--steps", "50", "--lr", "1e30", "--warmup", "0", "--json", str(path)]) == 1
    assert "try a smaller --lr" in capsys.readouterr().out
    assert not path.exists()


def test_no_steps(tmp_path: Path, data: list[str]) -> None:
    result = report(tmp_path, *data, "--steps", "0")
    assert (result["losses"], result["tokens_per_s"]) == ([], 0)
    assert result["val_loss"] == pytest.approx(math.log(len(set(TEXT))), rel=0.1)


def test_progress_bar_and_language(data: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    argv = [argument for argument in SMALL if argument != "--no-progress"]
    assert main([*data, *argv, "--steps", "3", "--lang", "Russian"]) == 0
    out, err = capsys.readouterr()
    assert "обучение: 100%" in err
    assert "3/3" in err
    assert "токенов/с" in err
    assert "Потери на проверке" in out


@pytest.mark.slow
def test_the_default_text_is_learned(tmp_path: Path) -> None:
    """The job itself, in a process of its own: 150 steps on the standard library's source bring the loss down by more than a quarter."""
    path = tmp_path / "report.json"
    command = [sys.executable, "-m", "torchlike_asg", "--steps", "150", "--no-progress", "--json", str(path)]
    subprocess.run(command, check=True, timeout=600)
    result = json.loads(path.read_text(encoding="utf-8"))
    assert len(result["losses"]) == 150
    assert sum(result["losses"][-10:]) / 10 < 0.75 * result["losses"][0]
    assert result["val_loss"] < 0.75 * result["losses"][0]
    assert len(result["sample"]) == 300
