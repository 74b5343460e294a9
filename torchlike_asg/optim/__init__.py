"""Optimizers and learning-rate schedules, under PyTorch's names."""

from __future__ import annotations

import sys
from typing import Any

from ..errors import Unsupported
from . import _functional, lr_scheduler, swa_utils
from .adadelta import Adadelta
from .adafactor import Adafactor
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .asgd import ASGD
from .lbfgs import LBFGS
from .muon import Muon
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD
from .sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "LBFGS",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "lr_scheduler",
    "swa_utils",
]

for _name in _functional.__all__:  # torch.optim.adam.adam, beside the class
    setattr(sys.modules[f"{__name__}.{_name}"], _name, getattr(_functional, _name))

_UNSUPPORTED = {
    "swap_in_optimizer_params_and_state": "keep a copy of optimizer.state_dict() instead",
}


def __getattr__(name: str) -> Any:
    if name in _UNSUPPORTED:
        raise Unsupported(f"torchlike_asg.optim.{name} is not implemented: {_UNSUPPORTED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
