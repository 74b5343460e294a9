"""Checkpoints of training runs: complete, atomic, checked, and rotated.

    manager = CheckpointManager("runs/gpt", keep=3, mode="min")
    if manager.latest():
        manager.restore(model, optimizer, scheduler, loader=loader)
    for batch in loader:
        ...
        manager.save(step, model, optimizer, scheduler, loader=loader, metric=loss.item())

A run that is restored continues bit for bit as if it had not stopped. Each checkpoint is a folder ``step-<number>``:

    manifest.json           step, metric, metadata, and the size and CRC-32 of the other files
    model.safetensors       the tensors of the model's state dict, for any tool that reads safetensors
    state.pt                optimizers, schedulers, random states, loader position (PyTorch's format; `load` reads it)
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import time
import warnings
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .serialization import get_unsafe_globals_in_checkpoint, load, save
from .serialization.atomic import atomic_write, sync_directory
from .serialization.components import Restoration, capture_model, capture_optimizer, capture_plain, capture_rng, named
from .serialization.errors import CorruptFileError
from .serialization.resumable import ResumableLoader
from .serialization.safetensors import load_file, save_file

__all__ = ["Checkpoint", "CheckpointManager", "ResumableLoader"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_FOLDER = re.compile(r"step-(\d+)(\.replaced)?")
_SAVING, _DELETING = ".saving-", ".deleting-"


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on the disk: what its manifest says. `created` is in seconds since 1970; `files` maps names to (bytes, CRC-32)."""

    path: str
    step: int
    metric: float | None
    metadata: dict[str, Any]
    created: float
    files: dict[str, tuple[int, int]] = field(repr=False)

    def verify(self) -> None:
        """Read every file and compare it with its checksum. Raises CorruptFileError naming the first that differs."""
        for name, (size, crc) in self.files.items():
            path = os.path.join(self.path, name)
            try:
                found = _size_and_crc(path)
            except FileNotFoundError:
                raise CorruptFileError(f"'{path}' is missing") from None
            if found[0] != size:
                raise CorruptFileError(f"'{path}' is truncated or damaged: it has {found[0]} bytes instead of {size}")
            if found[1] != crc:
                raise CorruptFileError(f"'{path}' is damaged: its checksum is {found[1]:08x} instead of {crc:08x}")

    def model_tensors(self, name: str = "") -> dict[str, Any]:
        """The tensors of a saved model, by name. `name` tells several models apart."""
        return load_file(os.path.join(self.path, _model_file(name)), mmap=False)

    def state(self) -> dict[str, Any]:
        """Everything else that was saved."""
        return load(os.path.join(self.path, "state.pt"), map_location="cpu")  # type: ignore[no-any-return]


class CheckpointManager:
    """Saves and restores checkpoints below `directory`. One process at a time may save there; any number may read.

    Args:
        keep: how many of the newest checkpoints to keep; None keeps all. The best one is kept in addition.
        mode: whether the "min" or the "max" metric is best.
        python_rng, numpy_rng: whether to save the global states of `random` and `numpy.random` too.
    """

    def __init__(
        self, directory: str | os.PathLike[str], keep: int | None = 5, mode: str = "min", *, python_rng: bool = True, numpy_rng: bool = True
    ) -> None:
        if keep is not None and (not isinstance(keep, int) or keep < 1):
            raise ValueError(f"keep must be a positive number or None, not {keep!r}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', not {mode!r}")
        self.directory, self.keep, self.mode = os.path.abspath(os.fspath(directory)), keep, mode
        self._python_rng, self._numpy_rng = python_rng, numpy_rng

    # -- finding ----------------------------------------------------------------------------------------------------

    def checkpoints(self) -> list[Checkpoint]:
        """All usable checkpoints, by ascending step. Damaged ones (without a manifest, or a file too short) cause a warning."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        found: dict[int, Checkpoint] = {}
        for name in sorted(names, key=len, reverse=True):  # "step-7" after, and so instead of, "step-7.replaced"
            match = _FOLDER.fullmatch(name)
            if match is None:
                continue
            try:
                found[int(match[1])] = _read(os.path.join(self.directory, name))
            except FileNotFoundError:
                continue  # another process is just deleting it
            except CorruptFileError as error:
                warnings.warn(f"passing over a checkpoint: {error}", stacklevel=2)
        return [found[step] for step in sorted(found)]

    def latest(self) -> Checkpoint | None:
        """The checkpoint with the highest step, or None."""
        found = self.checkpoints()
        return found[-1] if found else None

    def best(self) -> Checkpoint | None:
        """The checkpoint with the best metric (the first of equals), or None if none has a metric."""
        return self._best(self.checkpoints())

    def _best(self, found: list[Checkpoint]) -> Checkpoint | None:
        rated = [c for c in found if c.metric is not None]
        return min(rated, key=lambda c: (c.metric if self.mode == "min" else -c.metric, c.step), default=None)  # type: ignore[operator]

    # -- saving -----------------------------------------------------------------------------------------------------

    def save(
        self,
        step: int,
        model: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
        *,
        loader: Any = None,
        extra: Any = None,
        metric: Any = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Write checkpoint number `step` and remove those no longer to be kept.

        Models, optimizers, schedulers, loaders and `extra` are objects with ``state_dict()``, or lists or dicts of them. `metadata` must be
        expressible in JSON. `metric` is a number (or tensor of one element); one that is not finite never counts as best. Nothing becomes
        visible before everything is on the disk: a process killed at any moment leaves the previous checkpoints as they were.
        """
        if not isinstance(step, int) or isinstance(step, bool) or step < 0:
            raise ValueError(f"step must be a non-negative int, not {step!r}")
        metadata = {} if metadata is None else dict(metadata)
        json.dumps(metadata)  # raises before anything is written
        metric = None if metric is None or not math.isfinite(float(metric)) else float(metric)
        parts = _capture(model, optimizer, scheduler, loader, extra)
        parts["state"]["rng"] = capture_rng(self._python_rng, self._numpy_rng)

        os.makedirs(self.directory, exist_ok=True)
        self._clear_leftovers()
        temporary = os.path.join(self.directory, f"{_SAVING}{step}-{secrets.token_hex(4)}")
        os.mkdir(temporary)
        try:
            for name, tensors in parts["models"].items():
                save_file(tensors, os.path.join(temporary, _model_file(name)), metadata={"format": "pt"})
            save(parts["state"], os.path.join(temporary, "state.pt"))
            _check_loadable(os.path.join(temporary, "state.pt"))
            manifest = {
                "format": _FORMAT,
                "step": step,
                "metric": metric,
                "metadata": metadata,
                "created": time.time(),
                "files": {name: _size_and_crc(os.path.join(temporary, name)) for name in sorted(os.listdir(temporary))},
            }
            with atomic_write(os.path.join(temporary, _MANIFEST)) as stream:
                stream.write(json.dumps(manifest, indent=1).encode())
            final = self._publish(temporary, step)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._rotate()
        return _read(final)

    def _publish(self, temporary: str, step: int) -> str:
        """Give a finished folder its name. If one of that name exists, there is no moment at which neither can be found."""
        final = os.path.join(self.directory, f"step-{step}")
        replaced = f"{final}.replaced"
        if os.path.exists(final):
            self._delete(replaced)
            os.rename(final, replaced)
        os.rename(temporary, final)
        sync_directory(self.directory)
        self._delete(replaced)
        return final

    def _rotate(self) -> None:
        found = self.checkpoints()
        if self.keep is None or len(found) <= self.keep:
            return
        best = self._best(found)
        for checkpoint in found[: -self.keep]:
            if best is None or checkpoint.path != best.path:
                self._delete(checkpoint.path)

    def _delete(self, path: str) -> None:
        """Remove a folder; it disappears under its name at once, so that no reader meets half of it."""
        doomed = os.path.join(self.directory, f"{_DELETING}{secrets.token_hex(8)}")
        with suppress(FileNotFoundError):
            os.rename(path, doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _clear_leftovers(self) -> None:
        """Remove what a killed process left behind."""
        for name in os.listdir(self.directory):
            if name.startswith((_SAVING, _DELETING)):
                shutil.rmtree(os.path.join(self.directory, name), ignore_errors=True)

    # -- restoring --------------------------------------------------------------------------------------------------

    def restore(
        self,
        model: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
        *,
        loader: Any = None,
        extra: Any = None,
        which: str | int | Checkpoint = "latest",
        rng: bool = True,
    ) -> Checkpoint:
        """Put the state of a checkpoint into the given objects and, with `rng`, the random number generators; returns the checkpoint.

        `which` is "latest", "best", a step, or a Checkpoint. What is not given is left alone. All files are checked and all states compared
        with the objects first: raises CorruptFileError for damaged files, RuntimeError for what does not fit, FileNotFoundError if there is
        no such checkpoint, and in each case nothing has changed.
        """
        checkpoint = self._find(which)
        checkpoint.verify()
        state = checkpoint.state()
        where = f"'{checkpoint.path}'"
        plan = Restoration(where)
        for name, obj in named(model, "model").items():
            saved = _saved(state, "model", name, where)
            plan.add_model(_label("model", name), obj, checkpoint.model_tensors(name), saved)
        for name, obj in named(optimizer, "optimizer").items():
            plan.add_optimizer(_label("optimizer", name), obj, _saved(state, "optimizer", name, where))
        for kind, objects in (("scheduler", scheduler), ("loader", loader), ("extra", extra)):
            for name, obj in named(objects, kind).items():
                plan.add_plain(_label(kind, name), obj, _saved(state, kind, name, where))
        if rng:
            plan.add_rng(state["rng"])
        plan.apply()
        return checkpoint

    def _find(self, which: str | int | Checkpoint) -> Checkpoint:
        if isinstance(which, Checkpoint):
            return which
        if which not in ("latest", "best") and not isinstance(which, int):
            raise ValueError(f"which must be 'latest', 'best', a step or a Checkpoint, not {which!r}")
        found = self.checkpoints()
        if which == "latest":
            chosen = found[-1] if found else None
        elif which == "best":
            chosen = self._best(found)
        else:
            chosen = next((c for c in found if c.step == which), None)
        if chosen is None:
            raise FileNotFoundError(f"there is no {f'step {which}' if isinstance(which, int) else which} checkpoint in '{self.directory}'")
        return chosen


def _capture(model: Any, optimizer: Any, scheduler: Any, loader: Any, extra: Any) -> dict[str, Any]:
    models, rests = {}, {}
    for name, obj in named(model, "model").items():
        models[name], rests[name] = capture_model(obj)
    state: dict[str, Any] = {"model": rests, "optimizer": {n: capture_optimizer(o) for n, o in named(optimizer, "optimizer").items()}}
    for kind, objects in (("scheduler", scheduler), ("loader", loader), ("extra", extra)):
        state[kind] = {name: capture_plain(obj) for name, obj in named(objects, kind).items()}
    return {"models": models, "state": state}


def _check_loadable(path: str) -> None:
    unsafe = get_unsafe_globals_in_checkpoint(path)
    if unsafe:
        raise TypeError(
            f"the state to save contains objects that could not be loaded again: {', '.join(unsafe)}. Use plain values, or add_safe_globals"
        )


def _saved(state: Mapping[str, Any], kind: str, name: str, where: str) -> Any:
    if name not in state[kind]:
        raise RuntimeError(f"checkpoint {where} does not fit: it holds no {_label(kind, name)}. Nothing was changed")
    return state[kind][name]


def _label(kind: str, name: str) -> str:
    return f"{kind} '{name}'" if name else kind


def _model_file(name: str) -> str:
    return f"model-{name}.safetensors" if name else "model.safetensors"


def _size_and_crc(path: str) -> tuple[int, int]:
    size = crc = 0
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
    return size, crc


def _read(folder: str) -> Checkpoint:
    """The checkpoint in `folder`, if its manifest is well-formed and its files have the right sizes."""
    path = os.path.join(folder, _MANIFEST)
    try:
        with open(path, "rb") as stream:
            m = json.loads(stream.read())
        if m["format"] != _FORMAT:
            raise CorruptFileError(f"'{path}' is of format {m['format']}, this version reads format {_FORMAT}")
        files = {str(name): (int(size), int(crc)) for name, (size, crc) in m["files"].items()}
        metric = None if m["metric"] is None else float(m["metric"])
        found = Checkpoint(folder, int(m["step"]), metric, dict(m["metadata"]), float(m["created"]), files)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptFileError(f"'{path}' is truncated or damaged: {error}") from error
    for name, (size, _) in files.items():
        file = os.path.join(folder, name)
        if not os.path.exists(file):
            raise CorruptFileError(f"'{file}' is missing")
        if os.path.getsize(file) != size:
            raise CorruptFileError(f"'{file}' is truncated or damaged: it has {os.path.getsize(file)} bytes instead of {size}")
    return found
