"""The steps of the optimizers as functions of lists of tensors, under the names and with the arguments of ``torch.optim._functional``.

Each makes an optimizer for one step: what it writes are the tensors that it is given, parameters, states and counts of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .adadelta import Adadelta
from .adagrad import Adagrad
from .adam import Adam
from .adamax import Adamax
from .adamw import AdamW
from .asgd import ASGD
from .nadam import NAdam
from .optimizer import Optimizer
from .radam import RAdam
from .rmsprop import RMSprop
from .rprop import Rprop
from .sgd import SGD

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd"]


def _stepper(
    kind: Callable[..., Optimizer],
    name: str,
    states: dict[str, str],
    clocks: dict[str, str],
    further: tuple[str, ...],
    flags: tuple[str, ...],
) -> Callable[..., None]:
    """A step of `kind`: ``f(params, grads, *states, *clocks, *further, **options)``.

    `states`, `clocks`: argument -> entry of a parameter's state, which is a tensor as large as the parameter or a number. `further`: the
    arguments by position after them, all with a default, of which `flags` are options of the optimizer.
    """
    lists = (*states, *clocks)

    def step(params: list[Any], grads: list[Any], *args: Any, **options: Any) -> None:
        if len(args) > len(lists) + len(further):
            raise TypeError(f"{name}() takes {2 + len(lists) + len(further)} positional arguments but {2 + len(args)} were given")
        given = dict(zip((*lists, *further), args, strict=False))
        if twice := given.keys() & options.keys():
            raise TypeError(f"{name}() got multiple values for argument '{min(twice)}'")
        given |= options
        if absent := [argument for argument in lists if argument not in given]:
            raise TypeError(f"{name}() missing required argument: '{absent[0]}'")
        if given.get("grad_scale") is not None or given.get("found_inf") is not None:
            raise NotImplementedError(f"{name}: scale gradients with amp.GradScaler; grad_scale and found_inf are not supported")
        held = {argument: given.pop(argument) for argument in lists}
        chosen = {k: v for k, v in given.items() if k not in further or k in flags}
        if not params:
            return
        optimizer = kind(params, **_as_options(chosen))
        before = [p.grad for p in params]
        try:
            for i, (p, g) in enumerate(zip(params, grads, strict=True)):
                entries = {states.get(a) or clocks[a]: held[a][i] for a in lists if i < len(held[a]) and held[a][i] is not None}
                if entries:
                    optimizer.state[p] = entries
                p.grad = g
            optimizer.step()
        finally:
            for p, g in zip(params, before, strict=True):
                p.grad = g
        for i, p in enumerate(params):
            for argument in lists:
                entry = optimizer.state[p].get(states.get(argument) or clocks[argument])
                target = held[argument][i] if i < len(held[argument]) else None
                if target is None and i < len(held[argument]):
                    held[argument][i] = entry  # a first momentum
                elif target is not None and entry is not None and entry is not target:
                    target.data.copy_(entry)

    step.__name__ = step.__qualname__ = name
    step.__doc__ = f"One step of {kind.__name__}: writes the parameters, the states and the counts of steps."  # type: ignore[attr-defined]
    return step


def _as_options(given: dict[str, Any]) -> dict[str, Any]:
    """The constructor's options: pairs of numbers are one of its arguments."""
    for pair, (first, second) in {
        "betas": ("beta1", "beta2"),
        "etas": ("etaminus", "etaplus"),
        "step_sizes": ("step_size_min", "step_size_max"),
    }.items():
        if first in given:
            given[pair] = given.pop(first), given.pop(second)
    return given


_STEP = {"state_steps": "step"}
_MOMENTS = {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq"}
_COMMON = ("foreach", "capturable", "differentiable")
_FUSED = ("fused", "grad_scale", "found_inf")

adam = _stepper(
    Adam,
    "adam",
    _MOMENTS | {"max_exp_avg_sqs": "max_exp_avg_sq"},
    _STEP,
    (*_COMMON, *_FUSED, "has_complex", "decoupled_weight_decay"),
    ("decoupled_weight_decay",),
)
adamw = _stepper(AdamW, "adamw", _MOMENTS | {"max_exp_avg_sqs": "max_exp_avg_sq"}, _STEP, (*_COMMON, *_FUSED, "has_complex"), ())
sgd = _stepper(SGD, "sgd", {"momentum_buffer_list": "momentum_buffer"}, {}, ("has_sparse_grad", "foreach", *_FUSED), ())
adagrad = _stepper(
    Adagrad, "adagrad", {"state_sums": "sum"}, _STEP, (*_FUSED, "has_sparse_grad", "foreach", "differentiable", "has_complex"), ()
)
adadelta = _stepper(
    Adadelta,
    "adadelta",
    {"square_avgs": "square_avg", "acc_deltas": "acc_delta"},
    _STEP,
    ("capturable", "foreach", "differentiable", "has_complex"),
    (),
)
adamax = _stepper(
    Adamax,
    "adamax",
    {"exp_avgs": "exp_avg", "exp_infs": "exp_inf"},
    _STEP,
    ("foreach", "maximize", "differentiable", "capturable", "has_complex"),
    ("maximize",),
)
asgd = _stepper(
    ASGD,
    "asgd",
    {"axs": "ax"},
    {"mus": "mu", "etas": "eta", **_STEP},
    ("foreach", "maximize", "differentiable", "capturable", "has_complex"),
    ("maximize",),
)
nadam = _stepper(
    NAdam, "nadam", _MOMENTS, {"mu_products": "mu_product", **_STEP},
    ("decoupled_weight_decay", *_COMMON, "has_complex", "maximize"), ("decoupled_weight_decay", "maximize"),
)  # fmt: skip
radam = _stepper(
    RAdam, "radam", _MOMENTS, _STEP, ("decoupled_weight_decay", "foreach", "differentiable", "capturable", "has_complex", "maximize"),
    ("decoupled_weight_decay", "maximize"),
)  # fmt: skip
rmsprop = _stepper(
    RMSprop, "rmsprop", {"square_avgs": "square_avg", "grad_avgs": "grad_avg", "momentum_buffer_list": "momentum_buffer"}, _STEP,
    ("foreach", "maximize", "differentiable", "capturable", "has_complex"), ("maximize",),
)  # fmt: skip
rprop = _stepper(
    Rprop,
    "rprop",
    {"prevs": "prev", "step_sizes": "step_size"},
    _STEP,
    ("foreach", "capturable", "maximize", "differentiable", "has_complex"),
    ("maximize",),
)
