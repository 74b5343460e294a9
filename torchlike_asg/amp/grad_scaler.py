"""`GradScaler`: scale the loss up before backward, the gradients down before the step, and skip steps whose gradients overflowed."""

from __future__ import annotations

import inspect
import warnings
from typing import Any
from weakref import ref

from .. import devices, notices
from ..autograd.grad_mode import no_grad
from ..backends.wgpu.adapter import is_available
from ..dtypes import float16
from ..facade.core import Tensor
from ..facade.functions.creation import full

__all__ = ["GradScaler"]

_READY, _UNSCALED, _STEPPED = range(3)


class GradScaler:
    """Loss scaling with a factor that grows while gradients stay finite and shrinks when they do not.

    On a device that does not exist here ("cuda", the default, unless it means "wgpu") it is disabled with PyTorch's warning: ``scale``
    returns its argument, ``step`` steps, ``update`` does nothing. `step` waits for one number, as PyTorch does: whether any gradient
    was infinite or NaN. Nothing else waits.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._device = device
        meant = "wgpu" if device == "gpu" or (device == "cuda" and devices.cuda_means_wgpu[0]) else device
        if enabled and (meant in devices._FOREIGN or (meant == "wgpu" and not is_available())):
            warnings.warn(f"torch.{device}.amp.GradScaler is enabled, but {device.upper()} is not available.  Disabling.", stacklevel=2)
            enabled = False
        if enabled and growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if enabled and backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._enabled = enabled
        self._scale, self._growth_factor, self._backoff_factor = init_scale, growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._begun = False  # whether anything was scaled, or the scale set
        self._states: dict[int, int] = {}  # optimizer -> how far it is in this iteration
        #: optimizer -> whether a gradient overflowed, for each device a tensor; after `step` a bool
        self._overflowed: dict[int, list[Tensor] | bool] = {}

    def scale(self, outputs: Any) -> Any:
        """The loss, or an iterable of losses, times the scale."""
        if not self._enabled:
            return outputs
        self._begun = True
        if isinstance(outputs, Tensor):
            scaled: Any = outputs * self._scale  # type: ignore[operator]
            scaled._scaled = ref(outputs), self._scale  # who shows the loss shows this one
            return scaled
        if isinstance(outputs, (list, tuple)):
            return type(outputs)([self.scale(o) for o in outputs])
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, in place; once for each step."""
        if not self._enabled:
            return
        self._check_begun("unscale_")
        state = self._states.get(id(optimizer), _READY)
        if state == _UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if state == _STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not grads:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        if any(g.dtype is float16 for g in grads):
            raise ValueError("Attempting to unscale FP16 gradients.")
        self._overflowed[id(optimizer)] = self._unscale(grads)
        self._states[id(optimizer)] = _UNSCALED

    def _unscale(self, grads: list[Any]) -> list[Tensor]:
        """Divide gradients by the scale; whether one is infinite or NaN, for each device."""
        finite: dict[Any, Any] = {}
        with no_grad():
            for g in grads:
                found = (g._values() if g.is_sparse else g).isfinite().all()
                finite[g.device] = found if g.device not in finite else finite[g.device] & found
                g.mul_(1.0 / self._scale)
            return [f.logical_not() for f in finite.values()]

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()`` unless a gradient is infinite or NaN; unscales first if that was not done."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._check_begun("step")
        state = self._states.get(id(optimizer), _READY)
        if state == _STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if getattr(optimizer, "_step_supports_amp_scaling", False):
            return self._delegated(optimizer, state, args, kwargs)
        if state == _READY:
            self.unscale_(optimizer)
        self._states[id(optimizer)] = _STEPPED
        if self._overflow(optimizer):
            return None
        return optimizer.step(*args, **kwargs)

    def _delegated(self, optimizer: Any, state: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """A step of an optimizer that unscales and skips by itself: by ``grad_scaler=``, or by its attributes `grad_scale`, None if the
        gradients are unscaled, and `found_inf`, whether one of them overflowed.
        """
        named = "grad_scaler" in inspect.signature(optimizer.step).parameters
        if named:
            notices.deprecated(
                "GradScaler is going to stop passing itself as a keyword argument to the passed optimizer: a step reads the attributes "
                "`grad_scale` and `found_inf` of its optimizer instead."
            )
            kwargs["grad_scaler"] = self
        else:
            if state == _READY:
                self._overflowed[id(optimizer)] = self._overflows(optimizer)
            optimizer.grad_scale = None if state == _UNSCALED else full((), self._scale)
            optimizer.found_inf = full((), float(self._overflow(optimizer)))
        result = optimizer.step(*args, **kwargs)
        self._states[id(optimizer)] = _STEPPED
        if not named:
            del optimizer.grad_scale, optimizer.found_inf
        return result

    def _overflows(self, optimizer: Any) -> bool:
        """Whether a gradient is infinite or NaN as it is."""
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        return not all([bool((g._values() if g.is_sparse else g).isfinite().all()) for g in grads])

    def _check_begun(self, name: str) -> None:
        if not self._begun:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or outputs) earlier in "
                "the iteration."
            )

    def _overflow(self, optimizer: Any) -> bool:
        """Whether a gradient of the optimizer overflowed. Reads one number for each device that has gradients, the first time."""
        found = self._overflowed[id(optimizer)]
        if not isinstance(found, bool):
            found = self._overflowed[id(optimizer)] = any([bool(w) for w in found])
        return found

    def update(self, new_scale: Any = None) -> None:
        """Adapt the scale to what the steps since the last call found, or set it."""
        if not self._enabled:
            return
        self._check_begun("update")
        if new_scale is not None:
            self._scale = float(new_scale)  # a number or a tensor
        else:
            if not self._overflowed:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any([f if isinstance(f, bool) else any([bool(w) for w in f]) for f in self._overflowed.values()]):
                self._scale *= self._backoff_factor
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    self._scale *= self._growth_factor
                    self._growth_tracker = 0
        self._states.clear()
        self._overflowed.clear()

    def get_scale(self) -> float:
        """The scale now; 1 if disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after enough good steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Set the growth factor."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after an overflow."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Set the backoff factor."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row make the scale grow."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Set the growth interval."""
        self._growth_interval = new_interval

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The scale and its schedule; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler.")
        for name in ("scale", "growth_factor", "backoff_factor", "growth_interval"):
            setattr(self, f"_{name}", state_dict[name])
        self._growth_tracker = state_dict["_growth_tracker"]
