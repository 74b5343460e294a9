"""The parts of a training run that a checkpoint holds: taking their state, checking it against live objects, putting it back."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..facade.generator import device_states, set_device_states
from ..random import get_rng_state, set_rng_state
from .tensors import is_tensor

__all__ = ["Restoration", "capture_model", "capture_optimizer", "capture_plain", "capture_rng", "named", "restore_rng"]

_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def named(objects: Any, what: str) -> dict[str, Any]:
    """One object, a list, or a dict of objects that have ``state_dict()``, as a dict by name ("" for a single one)."""
    if objects is None:
        return {}
    if isinstance(objects, Mapping):
        found = dict(objects)
    elif isinstance(objects, list | tuple):
        found = {str(number): obj for number, obj in enumerate(objects)}
    else:
        found = {"": objects}
    for name, obj in found.items():
        if not isinstance(name, str) or not (name == "" or _NAME.fullmatch(name)):
            raise ValueError(f"{what} name {name!r} is not usable: use letters, digits, '_', '-' and '.'")
        if not hasattr(obj, "state_dict") or not hasattr(obj, "load_state_dict"):
            raise TypeError(f"{what} {name!r} of type {type(obj).__name__} has no state_dict() and load_state_dict()")
    return found


def type_name(obj: Any) -> str:
    return type(obj).__qualname__


def capture_model(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(tensors by name, everything else) of a model's state dict. `extra` holds entries that are no tensors, and the version metadata."""
    state = model.state_dict()
    tensors = {name: value for name, value in state.items() if is_tensor(value)}
    others = {name: value for name, value in state.items() if not is_tensor(value)}
    return tensors, {"order": list(state), "others": others, "metadata": getattr(state, "_metadata", None)}


def capture_plain(obj: Any) -> dict[str, Any]:
    return {"type": type_name(obj), "state": obj.state_dict()}


def capture_optimizer(optimizer: Any) -> dict[str, Any]:
    """As `capture_plain`, with the shapes of the parameters the state belongs to."""
    return {**capture_plain(optimizer), "shapes": _group_shapes(optimizer)}


def _group_shapes(optimizer: Any) -> list[list[tuple[int, ...]]]:
    return [[tuple(map(int, p.shape)) for p in group["params"]] for group in optimizer.param_groups]


def capture_rng(python: bool, numpy: bool) -> dict[str, Any]:
    """The states of the package's default generators, and of Python's and NumPy's global ones."""
    state: dict[str, Any] = {"default": get_rng_state()}
    if devices := device_states():
        state["devices"] = [[index, *both] for index, both in devices.items()]
    if python:
        state["python"] = random.getstate()
    if numpy:
        name, keys, *rest = np.random.get_state()
        state["numpy"] = (str(name), [int(k) for k in keys], *rest)
    return state


def restore_rng(state: Mapping[str, Any]) -> None:
    """Put back what `capture_rng` took."""
    set_rng_state(state["default"])
    set_device_states({int(index): (int(seed), int(block)) for index, seed, block in state.get("devices", ())})
    if "python" in state:
        random.setstate(state["python"])
    if "numpy" in state:
        np.random.set_state(_numpy_state(state["numpy"]))


def _numpy_state(state: Any) -> Any:
    return (state[0], np.array(state[1], np.uint32), *state[2:])


class Restoration:
    """Collects what is to be put back, checking each part against its live object; `apply` then does all of it or nothing.

    Every ``add_`` method raises RuntimeError, naming `where`, if the saved state does not fit, and changes nothing.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._steps: list[tuple[Callable[[], Callable[[], None]], Callable[[], None]]] = []  # (take a snapshot -> undo, do)

    def apply(self) -> None:
        """Put everything back. If a part fails in spite of the checks, all parts get their old state again and the error is raised."""
        undo = [snapshot() for snapshot, _ in self._steps]
        done = 0
        try:
            for _, change in self._steps:
                done += 1
                change()
        except BaseException as error:
            for revert in reversed(undo[:done]):
                try:
                    revert()
                except Exception as second:  # the part that failed may refuse its old state too: the others still get theirs
                    error.add_note(f"while putting back the state from before: {type(second).__name__}: {second}")
            raise

    def _fail(self, message: str) -> RuntimeError:
        return RuntimeError(f"checkpoint {self._where} does not fit: {message}. Nothing was changed")

    def add_model(self, label: str, model: Any, tensors: dict[str, Any], extra: Mapping[str, Any]) -> None:
        live = model.state_dict()
        saved = {**tensors, **extra["others"]}
        missing, unexpected = [k for k in live if k not in saved], [k for k in extra["order"] if k not in live]
        if missing or unexpected:
            differences = [("no entries", unexpected), ("entries that are not in the file:", missing)]
            raise self._fail(f"{label} has " + " and ".join(_listed(kind, names) for kind, names in differences if names))
        for name, value in tensors.items():
            here = live[name]
            if not is_tensor(here) or tuple(here.shape) != tuple(value.shape) or here.dtype is not value.dtype:
                ours = f"{tuple(here.shape)} {here.dtype}" if is_tensor(here) else type(here).__name__
                raise self._fail(f"'{name}' of {label} is {tuple(value.shape)} {value.dtype} in the file and {ours} here")
        state = type(live)((name, saved[name]) for name in extra["order"])
        if extra["metadata"] is not None:
            state._metadata = extra["metadata"]

        def snapshot() -> Callable[[], None]:
            before = model.state_dict()
            for name, value in before.items():
                before[name] = value.detach().clone() if is_tensor(value) else copy.deepcopy(value)
            return lambda: model.load_state_dict(before)

        self._steps.append((snapshot, lambda: model.load_state_dict(state)))

    def add_optimizer(self, label: str, optimizer: Any, saved: Mapping[str, Any]) -> None:
        shapes = _group_shapes(optimizer)
        if shapes != [[tuple(s) for s in group] for group in saved["shapes"]]:
            raise self._fail(f"the parameters of {label} have other shapes or another order: {saved['shapes']} in the file, {shapes} here")
        self.add_plain(label, optimizer, saved)

    def add_plain(self, label: str, obj: Any, saved: Mapping[str, Any]) -> None:
        if saved["type"] != type_name(obj):
            raise self._fail(f"{label} is a {saved['type']} in the file and a {type_name(obj)} here")
        live = obj.state_dict()
        if isinstance(live, dict) and (not isinstance(saved["state"], dict) or set(live) != set(saved["state"])):
            raise self._fail(
                f"the state of {label} has other entries: {sorted(map(str, saved['state']))} in the file, {sorted(map(str, live))} here"
            )

        def snapshot() -> Callable[[], None]:
            before = copy.deepcopy(obj.state_dict())
            return lambda: obj.load_state_dict(before)

        self._steps.append((snapshot, lambda: obj.load_state_dict(saved["state"])))

    def add_rng(self, saved: Mapping[str, Any]) -> None:
        live, default = get_rng_state(), saved["default"]
        if not is_tensor(default) or default.dtype is not live.dtype or tuple(default.shape) != tuple(live.shape):
            raise self._fail("the state of the random number generator is of another kind")
        try:  # on generators of their own, to see whether the states are valid
            if "python" in saved:
                random.Random().setstate(saved["python"])
            if "numpy" in saved:
                np.random.RandomState().set_state(_numpy_state(saved["numpy"]))
        except (TypeError, ValueError) as error:
            raise self._fail(f"the state of Python's or NumPy's random numbers is not valid ({error})") from error

        def snapshot() -> Callable[[], None]:
            before = capture_rng("python" in saved, "numpy" in saved)
            return lambda: restore_rng(before)

        self._steps.append((snapshot, lambda: restore_rng(saved)))


def _listed(kind: str, names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{kind} {shown}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
