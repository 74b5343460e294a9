"""Checkpoints of the main job: everything a run needs to continue as if it had not stopped."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..checkpoint import CheckpointManager
from ..serialization.errors import CorruptFileError
from .data import Corpus
from .problem import Problem
from .training import Settings, Training

KEEP = 3


def save(directory: Path, training: Training) -> None:
    """Write the checkpoint of the current step. Raises Problem if the folder cannot be written."""
    metadata = {"settings": asdict(training.settings), "text": training.corpus.digest}
    try:
        CheckpointManager(directory, keep=KEEP).save(
            training.step, training.model, training.optimizer, training.schedule, metadata=metadata
        )
    except OSError as error:
        raise Problem("not_writable", path=directory, reason=error.strerror) from error


def resume(directory: Path, content: str, given: dict[str, Any], device: str = "cpu") -> Training:
    """The run of the newest checkpoint in `directory`, on the same text. `given` are settings the user asked for explicitly.

    Raises Problem if there is no checkpoint, if it is damaged or not of this program, or if the text or a given setting is another.
    """
    manager = CheckpointManager(directory)
    checkpoint = manager.latest()
    if checkpoint is None:
        raise Problem("no_checkpoint", path=directory)
    try:
        settings, digest = Settings(**checkpoint.metadata["settings"]), checkpoint.metadata["text"]
    except (KeyError, TypeError) as error:
        raise Problem("foreign_checkpoint", path=directory) from error
    for name, value in given.items():
        if value != getattr(settings, name):
            raise Problem("other_setting", flag="--" + name.replace("_", "-"), given=value, stored=getattr(settings, name), path=directory)
    corpus = Corpus.of(content, settings.block)
    if corpus.digest != digest:
        raise Problem("other_text", path=directory)
    training = Training(settings, corpus, device)
    try:
        manager.restore(training.model, training.optimizer, training.schedule, which=checkpoint)
    except (CorruptFileError, RuntimeError) as error:
        raise Problem("bad_checkpoint", path=directory, reason=error) from error
    training.step = checkpoint.step
    return training
