"""The base of all schedules: counting, writing the rates into the optimizer's groups, saving."""

from __future__ import annotations

import contextlib
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from ...facade.core import Tensor
from ..optimizer import Group, Optimizer

__all__ = ["EPOCH_DEPRECATION_WARNING", "LRScheduler", "_LRScheduler"]

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use `scheduler.step()` to "
    "step the scheduler. During the deprecation, if epoch is different from None, the closed form is used instead of the new chainable "
    "form, where available."
)
_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the opposite "
    "order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first value of the "
    "learning rate schedule."
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure to call "
    "`optimizer.step()` before `lr_scheduler.step()`."
)


class LRScheduler:
    """A schedule of learning rates, one for each parameter group of `optimizer`.

    The constructor makes the step to epoch 0 and so sets the first rates; each `step()` moves on by one. With a `last_epoch` other than -1
    it resumes: every group must then have an "initial_lr". Subclasses write `get_lr`, which gives the rates of `last_epoch`, and may write
    `_get_closed_form_lr` for ``step(epoch)``. A rate that is a tensor is written in place.
    """

    _get_lr_called_within_step = False
    _is_initial = False
    #: attributes that `state_dict` leaves out
    _unsaved: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked(optimizer)
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", own(group["lr"]))
        else:
            for i, group in enumerate(optimizer.param_groups):
                if "initial_lr" not in group:
                    raise KeyError(
                        f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch >= 0.\n"
                        "This typically happens when:\n"
                        "1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n"
                        "2. You're using last_epoch >= 0 for a fresh training run (not recommended)"
                    )
        self.base_lrs = values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if "_scheduled_step" not in optimizer.__dict__:  # steps count from the first schedule on
            optimizer.__dict__.update(_scheduled_step=_function(optimizer.step), _opt_called=False)
        self._initial_step()

    def _initial_step(self) -> None:
        """The step to the first epoch."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, as a dict."""
        return {key: value for key, value in self.__dict__.items() if key not in self._unsaved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. (The rates themselves are saved with the optimizer.)"""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step has set."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates of `last_epoch`; called by `step`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Move on to the next epoch (or, deprecated, to `epoch`) and set its rates."""
        if self._step_count == 1:
            optimizer = self.optimizer
            if _function(optimizer.step) is not optimizer.__dict__.get("_scheduled_step"):
                warnings.warn(_OVERRIDDEN, UserWarning, stacklevel=2)
            elif not optimizer.__dict__.get("_opt_called"):
                warnings.warn(_ORDER, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        with within_step(self):
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", None)
                rates = self.get_lr() if closed is None else closed()
        self._set(rates)

    def _set(self, rates: Sequence[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            assign(group, "lr", rate)
        self._last_lr = values(self.optimizer, "lr")

    def _kept(self) -> list[Any]:
        """The rates as they are."""
        return values(self.optimizer, "lr")

    def _scaled(self, factor: float) -> list[Any]:
        """The rates as they are, times `factor`."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]


class _LRScheduler(LRScheduler):
    """The name that older scripts subclass."""


# ---------------------------------------------------------------- what schedules share
def checked(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def own(value: Any) -> Any:
    """A copy if it is a tensor: nobody may change a rate by writing into what was handed out."""
    return value.clone() if isinstance(value, Tensor) else value  # type: ignore[attr-defined]


def values(optimizer: Optimizer, key: str) -> list[Any]:
    """A hyper-parameter of every group."""
    return [own(group[key]) for group in optimizer.param_groups]


def assign(group: Group, key: str, value: Any) -> None:
    """Set a hyper-parameter; a tensor keeps its identity."""
    if isinstance(group[key], Tensor):
        group[key].fill_(value.squeeze() if isinstance(value, Tensor) else value)  # type: ignore[attr-defined]
    else:
        group[key] = value


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value for every group from one, or from a list of the right length."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [own(value) for _ in range(count)]
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups has {count}."
        )
    return [own(v) for v in value]


@contextlib.contextmanager
def within_step(scheduler: LRScheduler) -> Iterator[None]:
    scheduler._get_lr_called_within_step = True
    try:
        yield
    finally:
        scheduler._get_lr_called_within_step = False


def warn_outside_step(scheduler: LRScheduler) -> None:
    """`get_lr` is relative to the last rates: it means nothing outside `step`."""
    if not scheduler._get_lr_called_within_step:
        warnings.warn("To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", UserWarning, stacklevel=3)


def _function(step: Any) -> Any:
    return getattr(step, "__func__", step)


def saved_functions(functions: Sequence[Any]) -> list[Any]:
    """What of functions can be saved: the attributes of callable objects, nothing of plain functions."""
    return [None if isinstance(f, types.FunctionType) else dict(getattr(f, "__dict__", {})) for f in functions]


def restore_functions(functions: Sequence[Any], saved: Sequence[Any]) -> None:
    for function, attributes in zip(functions, saved, strict=False):
        if attributes is not None:
            function.__dict__.update(attributes)
