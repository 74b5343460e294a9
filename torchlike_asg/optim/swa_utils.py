"""Averages of weights: stochastic weight averaging (Izmailov et al., 2018) and exponential moving averages."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import torchlike_asg as torch

from ..facade.core import Tensor
from ..nn.modules.batchnorm import _BatchNorm
from ..nn.modules.module import Module
from .lr_scheduler.base import LRScheduler, per_group
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

One = Callable[[Tensor, Tensor, Any], Tensor]
Many = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> One:
    """``f(average, value, count)`` giving the exponential moving average ``decay * average + (1 - decay) * value``."""
    _check_decay(decay)

    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with torch.no_grad():
            return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_swa_avg_fn() -> One:
    """``f(average, value, count)`` giving the mean of `count` values and one more."""

    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        with torch.no_grad():
            return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Many:
    """As `get_ema_avg_fn`, for lists of tensors, in place."""
    return _in_place(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Many:
    """As `get_swa_avg_fn`, for lists of tensors, in place."""
    return _in_place(get_swa_avg_fn())


def _in_place(one: One) -> Many:
    def update(averaged: Sequence[Any], current: Sequence[Any], num_averaged: Any) -> None:
        with torch.no_grad():
            for average, value in zip(averaged, current, strict=True):
                average.copy_(one(average, value, num_averaged))

    return update


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


class AveragedModel(Module):
    """A copy of a model that holds the average of its parameters over the calls of `update_parameters` (the mean, unless told otherwise).

    ``avg_fn(average, value, count)`` gives a new average, or ``multi_avg_fn(averages, values, count)`` updates lists of them in place.
    Buffers are averaged with `use_buffers`, and copied without. The count is the buffer `n_averaged`; the copy is `module`.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: One | None = None,
        multi_avg_fn: Many | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the parameters of `model` into the average."""
        own = chain(self.module.parameters(), self.module.buffers()) if self.use_buffers else self.parameters()
        sources = chain(model.parameters(), model.buffers()) if self.use_buffers else model.parameters()
        averaged, current = [], []
        for mine, theirs in zip(own, sources, strict=False):
            averaged.append(mine.detach())
            current.append(theirs.detach().to(mine.device))
        count = self.n_averaged
        if count == 0:
            for average, value in zip(averaged, current, strict=True):
                average.copy_(value)
        elif self.avg_fn is not None:
            for average, value in zip(averaged, current, strict=True):
                average.copy_(self.avg_fn(average, value, count.to(average.device)))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for averages, values in _alike(averaged, current):
                update(averages, values, count.to(averages[0].device))
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.detach().copy_(theirs.detach().to(mine.device))
        self.n_averaged += 1


def _alike(averaged: Sequence[Any], current: Sequence[Any]) -> list[tuple[list[Any], list[Any]]]:
    """Lists of one device and type each, as `multi_avg_fn` expects them."""
    found: dict[Any, tuple[list[Any], list[Any]]] = {}
    for average, value in zip(averaged, current, strict=True):
        averages, values = found.setdefault((average.device, average.dtype), ([], []))
        averages.append(average)
        values.append(value)
    return list(found.values())


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of the model's batch norms anew, as plain means over one pass of `loader`.

    A batch may be a list or tuple: its first element is the input. Averaged weights need this, since no batch was seen with them.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    was_training = model.training
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    with torch.no_grad():
        for batch in loader:
            batch = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(batch if device is None else batch.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the rate of each group to `swa_lr` in `anneal_epochs` epochs, by "cos" or "linear", and that rate from there on."""

    _unsaved = ("optimizer", "anneal_func")

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:
        for rate, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._set_anneal_func(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _set_anneal_func(self, anneal_strategy: str) -> None:
        self._anneal_strategy = anneal_strategy
        self.anneal_func = _half_cosine if anneal_strategy == "cos" else _line

    def get_lr(self) -> list[Any]:
        if not self._get_lr_called_within_step:
            warnings.warn("To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", UserWarning, stacklevel=2)
        length = max(1, self.anneal_epochs)
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = (self.anneal_func(max(0.0, min(1.0, t / length))) for t in (step - 1, step))
        return [group["swa_lr"] * now + _start(group["lr"], group["swa_lr"], before) * (1 - now) for group in self.optimizer.param_groups]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._set_anneal_func(self._anneal_strategy)


def _line(t: float) -> float:
    return t


def _half_cosine(t: float) -> float:
    return (1 - math.cos(math.pi * t)) / 2


def _start(rate: Any, end: Any, done: float) -> Any:
    """Where the way to `end` began, of which the share `done` has led to `rate`."""
    return end if done == 1 else (rate - done * end) / (1 - done)
