"""Random training loops: every optimizer with random options, parameter groups, schedules, clipping, loss scaling, saving and loading.

A loop is a list of actions, made from a seed without either library. Both run it, and after every action everything that a script can
see of parameters, gradients, states and groups must agree.
"""

from __future__ import annotations

import copy
import io
import math
import pickle
import random
import warnings
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.errors import ReferenceWarning  # noqa: E402

SHAPES = ((3, 2), (2,), (), (2, 3), (4, 3), (1,))
#: options of every optimizer as functions of a random generator; each is present in half of the loops
DECAY = {"weight_decay": lambda r: r.choice([0.0, 0.01, 0.2])}
COMMON = {**DECAY, "maximize": lambda r: r.random() < 0.5, "foreach": lambda r: r.choice([None, True, False])}
BETAS = {"betas": lambda r: (r.choice([0.0, 0.5, 0.9]), r.choice([0.9, 0.99])), "eps": lambda r: r.choice([1e-8, 1e-3])}
RATE = {"lr": lambda r: r.choice([0.001, 0.03, 0.1])}
OPTIONS: dict[str, dict[str, Any]] = {
    # without "foreach": with Nesterov's momentum torch's loop over lists writes into the gradients
    "SGD": {**DECAY, **RATE, "maximize": COMMON["maximize"], "momentum": lambda r: r.choice([0.5, 0.9]),
            "dampening": lambda r: r.choice([0, 0.3])},
    "Adam": {**COMMON, **RATE, **BETAS, "amsgrad": lambda r: True, "decoupled_weight_decay": lambda r: True},
    "AdamW": {**COMMON, **RATE, **BETAS, "amsgrad": lambda r: True},
    "RMSprop": {**COMMON, **RATE, "alpha": lambda r: r.choice([0.5, 0.9]), "momentum": lambda r: 0.7, "centered": lambda r: True,
                "eps": lambda r: 1e-3},
    "Adagrad": {**COMMON, **RATE, "lr_decay": lambda r: 0.1, "initial_accumulator_value": lambda r: 0.5},
    "Adadelta": {**COMMON, "rho": lambda r: r.choice([0.0, 0.5, 0.9]), "lr": lambda r: r.choice([0.3, 1.0])},
    "Adamax": {**COMMON, **RATE, **BETAS},
    "NAdam": {**COMMON, **RATE, **BETAS, "momentum_decay": lambda r: 0.1, "decoupled_weight_decay": lambda r: True},
    "RAdam": {**COMMON, **RATE, **BETAS, "decoupled_weight_decay": lambda r: True},
    "ASGD": {**COMMON, **RATE, "lambd": lambda r: 0.1, "alpha": lambda r: 0.3, "t0": lambda r: r.choice([0, 3])},
    "Rprop": {**RATE, "etas": lambda r: (0.3, 1.7), "step_sizes": lambda r: (0.01, 0.2), "maximize": lambda r: True},
    "Adafactor": {**COMMON, **RATE, "beta2_decay": lambda r: -0.3, "d": lambda r: 2.0, "eps": lambda r: (1e-4, 1e-2)},
    "LBFGS": {"lr": lambda r: r.choice([0.5, 1]), "max_iter": lambda r: r.choice([1, 3, 6]), "history_size": lambda r: 2,
              "line_search_fn": lambda r: "strong_wolfe", "max_eval": lambda r: 4},
}  # fmt: skip
SCHEDULES: dict[str, Any] = {
    "StepLR": lambda r: {"step_size": r.choice([1, 2]), "gamma": 0.5},
    "MultiStepLR": lambda r: {"milestones": [1, 3], "gamma": 0.3},
    "ExponentialLR": lambda r: {"gamma": 0.8},
    "ConstantLR": lambda r: {"factor": 0.5, "total_iters": 2},
    "LinearLR": lambda r: {"start_factor": 0.25, "total_iters": 3},
    "PolynomialLR": lambda r: {"total_iters": 4, "power": 2.0},
    "CosineAnnealingLR": lambda r: {"T_max": r.choice([3, 5]), "eta_min": 1e-4},
    "CosineAnnealingWarmRestarts": lambda r: {"T_0": 2, "T_mult": r.choice([1, 2])},
    "LambdaLR": lambda r: {"lr_lambda": lambda epoch: 0.9**epoch},
    "MultiplicativeLR": lambda r: {"lr_lambda": lambda epoch: 0.7},
    "ReduceLROnPlateau": lambda r: {"patience": 0, "factor": 0.5, "threshold": 0.5},
    "OneCycleLR": lambda r: {"max_lr": 0.1, "total_steps": 8, "three_phase": r.random() < 0.5},
    "CyclicLR": lambda r: {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "mode": r.choice(["triangular", "triangular2"])},
}


class Rate(float):
    """A learning rate that is given as a tensor."""


def make(seed: int) -> dict[str, Any]:
    """The loop of a seed: which optimizer, groups and options, and the actions."""
    r = random.Random(seed)
    name = r.choice(sorted(OPTIONS))
    count = r.randint(2, 4)
    counts = [count] if name == "LBFGS" or r.random() < 0.5 else [1, count - 1]
    shared = _options(r, name)
    groups = [{} if i == 0 and r.random() < 0.5 else _options(r, name, 0.25) for i in range(len(counts))]
    named = r.random() < 0.15
    actions = [_action(r, name) for _ in range(r.randint(4, 12))]
    if "lr" in shared and r.random() < 0.2:
        shared["lr"] = Rate(shared["lr"])
        for options in (shared, *groups):
            options.pop("foreach", None)  # which refuses them, at one place or another
    return {"optimizer": name, "counts": counts, "shared": shared, "groups": groups, "named": named, "actions": actions, "seed": seed}


def _options(r: random.Random, name: str, share: float = 0.5) -> dict[str, Any]:
    found = {key: draw(r) for key, draw in OPTIONS[name].items() if r.random() < share}
    if name == "SGD" and found.get("momentum") and r.random() < 0.3:
        found.update(nesterov=True, dampening=0)
    return found


def _action(r: random.Random, name: str) -> tuple[Any, ...]:
    kind = r.choices(
        ["step", "closure", "accumulate", "zero", "rate", "schedule", "advance", "group", "reload", "copy", "freeze", "drop", "write",
         "state", "scaled", "read", "scale gradient", "hyper", "clear"],
        [8, 3, 2, 3, 2, 2, 4, 1, 3, 1, 1, 1, 2, 2, 2, 2, 2, 1, 0.5],
    )[0]  # fmt: skip
    if name == "LBFGS" and kind in ("step", "scaled"):
        kind = "closure"
    if name == "LBFGS" and kind == "closure":  # with other than the function's own gradients its search amplifies roundings
        return kind, "all", None, True
    if kind in ("step", "closure", "scaled"):
        return kind, r.choice(["all", "all", "all", "first", "last"]), r.choice([None, None, "norm", "norm inf", "value"]), r.random() < 0.7
    if kind == "accumulate":
        return kind, r.choice(["all", "first"])
    if kind == "zero":
        return kind, r.choice([True, False]), r.choice(["optimizer", "parameters"])
    if kind == "rate":
        return kind, r.choice([0.0, 0.02, 0.5])
    if kind == "schedule":
        schedule = r.choice(sorted(SCHEDULES))
        return kind, schedule, SCHEDULES[schedule](r)
    if kind == "group":
        return kind, r.choice(SHAPES), _options(r, name, 0.3)
    if kind == "reload":
        return kind, r.choice(["same", "new", "file"])
    if kind == "hyper":
        return kind, r.choice(["weight_decay", "momentum", "maximize", "eps", "amsgrad"]), r.random()
    return kind, r.randrange(10)


class Loop:
    """One library running a loop."""

    def __init__(self, lib: Any, loop: dict[str, Any]) -> None:
        self.lib, self.loop = lib, loop
        self.random = np.random.default_rng(loop["seed"])
        self.params = [self.parameter(SHAPES[(loop["seed"] + i) % len(SHAPES)]) for i in range(sum(loop["counts"]))]
        self.optimizer = self.build()
        self.scheduler: Any = None
        self.scaler: Any = None
        self.losses: list[float] = []
        self.extra: list[Any] = []

    def parameter(self, shape: tuple[int, ...]) -> Any:
        return self.lib.nn.Parameter(self.lib.tensor(self.random.standard_normal(shape)))

    def build(self) -> Any:
        loop, given, rest = self.loop, [], list(self.params)
        named = [(f"p{i}", p) for i, p in enumerate(rest)] if loop["named"] else rest
        for count, options in zip(loop["counts"], loop["groups"], strict=True):
            given.append({"params": named[:count], **options})
            named = named[count:]
        shared = {k: self.lib.tensor(float(v), dtype=self.lib.float64) if isinstance(v, Rate) else v for k, v in loop["shared"].items()}
        return getattr(self.lib.optim, loop["optimizer"])(given if len(given) > 1 or loop["groups"][0] else given[0]["params"], **shared)

    def loss(self, which: str) -> Any:
        chosen = {"all": self.params, "first": self.params[:1], "last": self.params[-1:]}[which]
        total = 0.0
        for i, p in enumerate(chosen):
            target = self.lib.tensor(np.linspace(-1, 2, math.prod(p.shape)).reshape(tuple(p.shape)) + 0.3 * i)
            total = total + ((p - target) ** 2 * (1 + 0.5 * i)).sum() + (p * 1.7).sin().sum()
        return total

    def clip(self, how: str | None) -> None:
        clip = self.lib.nn.utils
        if how == "value":
            clip.clip_grad_value_(self.params, 0.5)
        elif how is not None:
            norm = clip.clip_grad_norm_(self.params, 0.7, norm_type=math.inf if how == "norm inf" else 2.0)
            self.losses.append(float(norm))

    def do(self, action: tuple[Any, ...]) -> None:
        getattr(self, "do_" + action[0].replace(" ", "_"))(*action[1:])

    def do_step(self, which: str, clip: str | None, zero: bool) -> None:
        if zero:
            self.optimizer.zero_grad()
        loss = self.loss(which)
        loss.backward()
        self.clip(clip)
        self.optimizer.step()
        self.losses.append(loss.item())

    def do_closure(self, which: str, clip: str | None, zero: bool) -> None:
        def closure() -> Any:
            if zero:
                self.optimizer.zero_grad()
            loss = self.loss(which)
            loss.backward()
            self.clip(clip)
            return loss

        self.losses.append(self.optimizer.step(closure).item())

    def do_scaled(self, which: str, clip: str | None, zero: bool) -> None:
        if self.scaler is None:
            self.scaler = self.lib.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
        self.optimizer.zero_grad(set_to_none=zero)
        loss = self.loss(which)
        if which == "last":
            loss = loss / 0.0  # not finite: the step is skipped and the scale halved
        self.scaler.scale(loss).backward()
        if clip is not None:
            self.scaler.unscale_(self.optimizer)
            self.clip(clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.losses.append(self.scaler.get_scale())

    def do_accumulate(self, which: str) -> None:
        self.loss(which).backward()

    def do_zero(self, to_none: bool, by: str) -> None:
        if by == "optimizer":
            self.optimizer.zero_grad(set_to_none=to_none)
            return
        for p in self.params:
            if to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    def do_rate(self, rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = rate

    def do_schedule(self, name: str, options: dict[str, Any]) -> None:
        self.scheduler = getattr(self.lib.optim.lr_scheduler, name)(self.optimizer, **options)

    def do_advance(self, _: int) -> None:
        if type(self.scheduler).__name__ == "ReduceLROnPlateau":
            self.scheduler.step(1.0)
        elif self.scheduler is not None:
            self.scheduler.step()
        if self.scheduler is not None:
            self.losses += [float(rate) for rate in self.scheduler.get_last_lr()]

    def do_group(self, shape: tuple[int, ...], options: dict[str, Any]) -> None:
        self.params.append(self.parameter(shape))
        p: Any = self.params[-1]
        self.optimizer.add_param_group({"params": [(f"p{len(self.params)}", p)] if self.loop["named"] else p, **options})

    def do_reload(self, how: str) -> None:
        saved = self.optimizer.state_dict()
        if how == "file":
            file = io.BytesIO()
            self.lib.save(saved, file)
            file.seek(0)
            saved = self.lib.load(file)
        if how != "same":
            self.optimizer = self.build()
        self.optimizer.load_state_dict(saved)
        if self.scheduler is not None and how != "same":
            self.scheduler = None

    def do_copy(self, _: int) -> None:
        self.scheduler = None
        for p in self.params:
            p.grad = None
        self.params, self.optimizer = copy.deepcopy((self.params, self.optimizer))
        self.params, self.optimizer = pickle.loads(pickle.dumps((self.params, self.optimizer)))

    def do_freeze(self, number: int) -> None:
        p = self.params[number % len(self.params)]
        p.requires_grad_(not p.requires_grad)

    def do_drop(self, number: int) -> None:
        self.params[number % len(self.params)].grad = None

    def do_write(self, number: int) -> None:
        p = self.params[number % len(self.params)]
        if number % 3 == 0:
            with self.lib.no_grad():
                p.mul_(0.5)
        elif number % 3 == 1:
            p.data = p.data + 0.25
        else:
            p.data.add_(0.125)

    def do_state(self, number: int) -> None:
        state = self.optimizer.state.get(self.params[number % len(self.params)], {})
        for value in state.values():
            if hasattr(value, "mul_") and value.dim():
                value.mul_(0.5)

    def do_clear(self, _: int) -> None:
        self.optimizer.state.clear()

    def do_read(self, number: int) -> None:
        p = self.params[number % len(self.params)]
        self.losses.append(float(p.detach().sum()))
        if p.grad is not None:
            self.losses.append(float(p.grad.abs().max()))

    def do_scale_gradient(self, number: int) -> None:
        p = self.params[number % len(self.params)]
        if p.grad is not None:
            if number % 2:
                p.grad.mul_(2.0)
            else:
                p.grad = p.grad * 0.5

    def do_hyper(self, name: str, number: float) -> None:
        group = self.optimizer.param_groups[-1]
        if name == "momentum" and "alpha" in group:
            return  # torch's RMSprop looks for a buffer that is not there
        if name in group and not isinstance(group[name], tuple):
            group[name] = number < 0.5 if name in ("maximize", "amsgrad") else round(number, 3)

    def seen(self) -> dict[str, Any]:
        """Everything that a script can look at, as arrays and plain objects."""
        index = {id(p): i for i, p in enumerate(self.params)}
        state = {index.get(id(p), "unknown"): {str(k): _plain(v) for k, v in s.items()} for p, s in self.optimizer.state.items()}
        groups = [{str(k): _plain(v) for k, v in g.items() if k not in ("params", "differentiable")} for g in self.optimizer.param_groups]
        return {
            "parameters": [_plain(p) for p in self.params],
            "gradients": [_plain(p.grad) for p in self.params],
            "state": state,
            "groups": groups,
            "losses": self.losses,
        }


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):
        return value.detach().numpy().copy()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def difference(a: Any, b: Any, path: str, tolerance: float) -> str | None:
    """Where two of what `seen` gives differ, or None."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return f"{path}: keys {sorted(map(str, a))} and {sorted(map(str, b))}"
        return next((d for k in a if (d := difference(a[k], b[k], f"{path}.{k}", tolerance))), None)
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return f"{path}: lengths {len(a)} and {len(b)}"
        return next((d for i, (x, y) in enumerate(zip(a, b, strict=True)) if (d := difference(x, y, f"{path}[{i}]", tolerance))), None)
    if isinstance(a, (np.ndarray, int, float)) and isinstance(b, (np.ndarray, int, float)) and isinstance(a, bool) is isinstance(b, bool):
        x, y = np.asarray(a), np.asarray(b)
        if x.shape != y.shape or (x.ndim and x.dtype != y.dtype):
            return f"{path}: {x.dtype}{x.shape} and {y.dtype}{y.shape}"
        return None if np.allclose(x, y, tolerance, tolerance, equal_nan=True) else f"{path}: {a} and {b}"
    if type(a).__name__ != type(b).__name__ or (not callable(a) and a != b):
        return f"{path}: {a!r} and {b!r}"
    return None


#: what runs through a reference is said by the compiled backend alone
NOT_COMPARED = (ReferenceWarning,)
#: torch's copied LBFGS has lost its parameters, its line search divides by zero, its RMSprop looks for a momentum that began later
THEIR_OWN = (AttributeError, ZeroDivisionError, KeyError)
#: coefficients that torch keeps as float32 tensors, and we as numbers, show in float64
ROUNDED = {"NAdam": 1e-5, "ASGD": 1e-5, "LBFGS": 1e-4}


def check(seed: int) -> str | None:
    """What differs between the libraries in the loop of `seed`, or None."""
    loop = make(seed)
    tolerance = ROUNDED.get(loop["optimizer"], 1e-8)
    sides: list[Any] = []
    errors: list[Any] = []
    for lib in (torch, ours):
        try:
            sides.append(Loop(lib, loop))
            errors.append(None)
        except (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            errors.append(error)
    if any(errors):
        return None if same_error(*errors) else f"{loop['optimizer']}: building: {errors}"
    for step, action in enumerate(loop["actions"]):
        errors, warned = [], []
        for side in sides:
            error = None
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    side.do(action)
                except Exception as e:
                    error = e
            errors.append(error)
            warned.append([w.category.__name__ for w in caught if not issubclass(w.category, NOT_COMPARED)])
        where = f"{loop['optimizer']}, action {step} {action}"
        if any(errors):
            return None if isinstance(errors[0], THEIR_OWN) or same_error(*errors) else f"{where}: {errors[0]!r} and {errors[1]!r}"
        if warned[0] != warned[1]:
            return f"{where}: warnings {warned}"
        found = difference(sides[0].seen(), sides[1].seen(), "", tolerance)
        if found:
            return f"{where}: {found}"
    return None


def same_error(theirs: Any, mine: Any) -> bool:
    return type(theirs).__name__ == type(mine).__name__ and str(theirs)[:30] == str(mine)[:30]
