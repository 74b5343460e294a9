"""The base of all optimizers, and the recorded update that makes a step one lookup.

A subclass writes its rule once, as a pure function of nodes: `update`. `step()` records it for all parameters at once and remembers
the result by the identity of everything it read, so that from the second iteration on nothing is recorded again. Learning rates and
step counts are run-time numbers: schedulers recompile nothing.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from .. import dtypes
from ..asg.geometry import preserved_strides
from ..asg.node import Node
from ..asg.trace import current
from ..facade.backward import grad_mode
from ..facade.boundary import begin_training
from ..facade.core import Tensor, concrete
from ..facade.held import settle
from ..facade.hooks import RemovableHandle, attach
from . import differentiable
from .recorded import Recorded
from .rules import Group, Nodes
from .state import ParamState
from .stepping import hooked, no_hooks, register_optimizer_step_post_hook, register_optimizer_step_pre_hook, run

__all__ = ["Group", "Nodes", "Optimizer", "ParamState", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]


class _Required:
    """Marks a hyper-parameter without a default."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


#: what groups of older versions of PyTorch's optimizers lack, and how these worked
_LATER: dict[str, Any] = dict.fromkeys("amsgrad capturable centered decoupled_weight_decay differentiable maximize nesterov".split(), False)
_LATER |= {"foreach": None, "fused": None}


class Optimizer:
    """Parameters in groups with their hyper-parameters, and what an optimizer remembers of each parameter.

    Subclasses either override `step`, in plain PyTorch style, or declare

    ``form(group)``         what of the hyper-parameters decides which operations are recorded: flags, "is it zero"
    ``state_names(group, p)``     the tensors kept of a parameter (zeros like it at first, see `initial`)
    ``clock(group)``        the numbers kept of a parameter that depend on the count of steps only, and their first values
    ``scalars(group, clock, dtype)``   the numbers of this step, by name: they enter as run-time data
    ``update(group, p, g, state, numbers)``  the new parameter and the new states, as nodes

    `foreach` and `fused` are accepted everywhere and change nothing: there is one implementation, and it is fused. So is `capturable`, but
    not by the CPU, where a step with it is an AssertionError, as in PyTorch.
    """

    #: whether `update` treats every element by itself, so that complex parameters can be given to it as pairs of real numbers
    elementwise = True
    #: whether the count of steps in a state is a Python number, as SparseAdam's is
    whole_steps = False

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(ParamState)
        self.param_groups: list[dict[str, Any]] = []
        self._hooks = no_hooks()
        self._recorded = Recorded()
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {_type_name(params)}"
            )
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)
        begin_training(current())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def _patch_step_function(self) -> None:
        """Nothing is left to do: a class's `step` has what belongs around it from the start. Wrappers of another optimizer, which do
        not call ``super().__init__()``, ask for it by this name."""

    # ---------------------------------------------------------------- groups
    def add_param_group(self, param_group: Group) -> None:
        """Add a group ``{"params": ..., "lr": ...}``; missing hyper-parameters take the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but "
                "the ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple) and len(p) == 2]
        if names:
            if len(names) != len(params):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"] = names
            params = [p for _, p in params]
        param_group["params"] = params
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_type_name(p)}")
            if not (self.defaults.get("differentiable") or p.is_leaf or p.retains_grad):  # type: ignore[attr-defined]
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len({id(p) for p in params}):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error", stacklevel=3
            )
        for group in self.param_groups:
            if ("param_names" in param_group) != ("param_names" in group):
                kind = "with names" if "param_names" in param_group else "without names"
                raise ValueError(f"all optimizer param groups should be with/without names. cannot add param group {kind} to the optimizer")
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        if any(id(p) in seen for p in params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or set them to zero)."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    f = p._f
                    if f is not None:
                        f.held = None
                elif p.grad is not None:
                    if p.grad.requires_grad:
                        p.grad = p.grad.detach()
                    p.grad.zero_()

    # ---------------------------------------------------------------- the step
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters that have gradients. `closure` re-evaluates the model and returns the loss."""
        if type(self).update is Optimizer.update:
            raise NotImplementedError(f"{type(self).__name__} overrides neither step() nor update()")
        recorded = self.defaults.get("differentiable", False)
        if recorded is not False and recorded is not True:
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(recorded).__name__}")
        loss = None
        if closure is not None:
            with grad_mode(True):
                loss = closure()
        if recorded:
            with grad_mode(True):
                differentiable.run(self)
            return loss
        run(self)
        return loss

    def form(self, group: Group) -> tuple[Any, ...]:
        """What decides which operations `update` records, as something hashable: when it changes, the update is recorded anew."""
        return ()

    def refusal_of_sparse(self, group: Group) -> str | None:
        """Why a gradient that is a sparse tensor is refused; None where it is taken, as the dense one that it stands for."""
        return f"{type(self).__name__} does not support sparse gradients"

    def clock(self, group: Group) -> dict[str, float]:
        """Names and first values of the numbers in a parameter's state that depend on the count of steps only."""
        return {"step": 0.0}

    def scalars(self, group: Group, clock: dict[str, float], dtype: Any) -> dict[str, float]:
        """The numbers of step number ``clock["step"]``, for parameters of one type. Other entries of `clock` are brought up to date."""
        return {"lr": float(group["lr"])}

    def update(self, group: Group, p: Node, g: Node, state: Nodes, numbers: Nodes) -> tuple[Node, Nodes]:
        """The new parameter and the new states. Reads nothing of `group` that `form` does not tell."""
        raise NotImplementedError

    def initial(self, group: Group, p: Tensor, name: str) -> Tensor:
        """The first value of a state: zeros, laid out as the parameter is."""
        return filled_like(p, 0.0)

    def state_names(self, group: Group, p: Tensor) -> tuple[str, ...]:
        """The tensors kept of a parameter, which may depend on the group's flags."""
        return ()

    # ---------------------------------------------------------------- saving
    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: {...}}, "param_groups": [...]}`` with parameters numbered in order."""
        for hook in self._hooks["state_pre"].values():
            hook(self)
        index: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                index.setdefault(id(p), len(index))
            packed["params"] = [index[id(p)] for p in group["params"]]
            groups.append(packed)
        found = {
            "state": {
                index[id(p)] if isinstance(p, Tensor) else p: dict(s.items()) if isinstance(s, dict) else s for p, s in self.state.items()
            },
            "param_groups": groups,
        }
        for hook in self._hooks["state_post"].values():
            found = hook(self, found) or found
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take groups and state from `state_dict()`; nothing changes if they do not fit. Tensors are copied, in the parameters' types."""
        state_dict = dict(state_dict)
        for hook in self._hooks["load_pre"].values():
            state_dict = hook(self, state_dict) or state_dict
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(ours["params"]) != len(theirs["params"]) for ours, theirs in zip(self.param_groups, saved, strict=True)):
            raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
        by_index = {
            i: p
            for ours, theirs in zip(self.param_groups, saved, strict=True)
            for p, i in zip(ours["params"], theirs["params"], strict=True)
        }
        state: defaultdict[Any, Any] = defaultdict(ParamState)
        for key, value in state_dict["state"].items():
            if key in by_index:
                state[by_index[key]] = ParamState({k: _fitted(by_index[key], v, k) for k, v in value.items()})
            else:
                state[key] = value
        groups = []
        for ours, theirs in zip(self.param_groups, saved, strict=True):
            group = copy.deepcopy({k: v for k, v in theirs.items() if k != "params"})
            group["params"] = ours["params"]
            if "param_names" in ours:
                group.setdefault("param_names", ours["param_names"])
            groups.append(group)
        for ours, group in zip(self.param_groups, groups, strict=True):  # into the same dict objects: others may hold them
            ours.clear()
            ours.update(group)
        self.__setstate__({"state": state, "param_groups": self.param_groups})
        for hook in self._hooks["load_post"].values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over attributes, as saved by pickle, deepcopy or an older version: what came later is as it was then. (A missing
        learning rate is an error of the next step.)"""
        self.__dict__.update(state)
        self.__dict__.setdefault("_hooks", no_hooks())
        self._recorded = Recorded()
        for group in self.param_groups:
            for name in self.defaults:
                if name in _LATER:
                    group.setdefault(name, _LATER[name])

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            entries = "".join([f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"])
            groups.append(f"\nParameter Group {i}\n{entries}")
        return f"{type(self).__name__} ({''.join(groups)})"

    # ---------------------------------------------------------------- hooks
    def _add_hook(self, kind: str, hook: Any, prepend: bool = False) -> RemovableHandle:
        handle = attach(self._hooks[kind], hook)
        if prepend:
            self._hooks[kind].move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook: Any) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` before each step."""
        return self._add_hook("pre", hook)

    def register_step_post_hook(self, hook: Any) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` after each step."""
        return self._add_hook("post", hook)

    def register_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` before `state_dict`."""
        return self._add_hook("state_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` after `state_dict`; may return a replacement."""
        return self._add_hook("state_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` before `load_state_dict`; may return a replacement."""
        return self._add_hook("load_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """``hook(optimizer)`` after `load_state_dict`."""
        return self._add_hook("load_post", hook, prepend)


def filled_like(p: Tensor, value: float) -> Tensor:
    """A new concrete tensor of one value (in both parts of complex numbers), with the shape, type and layout of `p`."""
    shape, strides, _ = p.geometry
    number = dtypes.store(np.asarray(complex(value, value) if p.dtype.is_complex else value, p.dtype.compute), p.dtype)[()]
    buf = np.full(p.shape.numel(), number, p.dtype.storage)
    return concrete(buf, shape, p.dtype, p.device, preserved_strides(tuple(shape), strides))  # type: ignore[no-any-return]


Optimizer.step = hooked(Optimizer.step)  # type: ignore[method-assign]


def _fitted(p: Tensor, value: Any, key: Any = None) -> Any:
    """A loaded state of parameter `p`: a copy of its own, in the parameter's type (counts of steps keep theirs)."""
    if isinstance(value, Tensor):
        own = value.detach().clone()  # type: ignore[attr-defined]
        if key != "step":
            own = own.to(p.device, p.dtype) if p.dtype.is_floating_point else own.to(p.device)
        settle(own)
        return own
    if isinstance(value, dict):
        return {k: _fitted(p, v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_fitted(p, v) for v in value])
    return copy.deepcopy(value)


def _type_name(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(value.type())  # type: ignore[attr-defined]
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


#: what an optimizer takes as its first argument, for annotations
ParamsT: TypeAlias = Iterable[Any]
_RequiredParameter = _Required


def _use_grad_for_differentiable(func: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of the `step` of optimizers of others: gradients are recorded in it as ``self.defaults["differentiable"]`` says."""

    @functools.wraps(func)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        with grad_mode(bool(self.defaults.get("differentiable", False))):
            return func(self, *args, **kwargs)

    return step


def _get_value(x: Any) -> Any:
    """The number that a tensor of one element holds; numbers as they are."""
    return x.item() if isinstance(x, Tensor) else x


def _default_to_fused_or_foreach(params: Any, differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    """(fused, foreach): False for both, there is one implementation."""
    return False, False
