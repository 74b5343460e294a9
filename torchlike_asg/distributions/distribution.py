"""The base class of distributions: shapes, checks, and what follows from the methods of a subclass."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any, Self

import torchlike_asg as torch

from . import constraints
from .utils import lazy_property

__all__ = ["Distribution", "ExponentialFamily"]


class Distribution:
    """A batch of distributions over events: samples have the shape ``sample_shape + batch_shape + event_shape``.

    Subclasses set ``arg_constraints`` (parameter name -> constraint) and ``support``, and define `sample` or `rsample`, and `log_prob`.
    With `validate_args` (on unless Python runs with -O) parameters and values are checked, which reads them: a script that wants the
    whole training step in one program turns it off.
    """

    has_rsample = False
    has_enumerate_support = False
    _validate_args = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Turn the checks on or off for distributions made from now on."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(self, batch_shape: Iterable[int] = (), event_shape: Iterable[int] = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = torch.Size(batch_shape), torch.Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_parameters()

    def _check_parameters(self) -> None:
        try:
            required = self.arg_constraints
        except NotImplementedError:
            required = {}
            warnings.warn(
                f"{self.__class__} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the "
                "distribution with `validate_args=False` to turn off validation.",
                stacklevel=3,
            )
        for name, constraint in required.items():
            if constraints.is_dependent(constraint):
                continue
            if name not in self.__dict__ and isinstance(getattr(type(self), name), lazy_property):
                continue  # it follows from the parameter that was given
            value = getattr(self, name)
            if not constraint.check(value).all():
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} to satisfy "
                    f"the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """The same distributions with a larger batch shape, to which the parameters are expanded."""
        raise NotImplementedError

    def _expanded(self, instance: Any, names: Iterable[str], batch_shape: Any, event_dims: dict[str, int] | None = None) -> Any:
        """A new instance (or the one a subclass passes) with those of the named parameters that are set, expanded."""
        new = self._get_checked_instance(type(self)._expands, instance)
        batch = torch.Size(batch_shape)
        for name in names:
            if name in self.__dict__:
                own = self.__dict__[name]
                trailing = (event_dims or {}).get(name, 0)
                new.__dict__[name] = own.expand(batch + own.shape[own.dim() - trailing :] if trailing else batch)
        Distribution.__init__(new, batch, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    #: the class whose `__init__` makes what `expand` needs; a subclass with another one must define its own `expand`
    _expands: type

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "expand" in cls.__dict__:
            cls._expands = cls

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {self.__class__.__name__} of {cls.__name__} that defines a custom __init__ method "
                "must also define a custom .expand() method."
            )
        return self.__new__(type(self)) if _instance is None else _instance

    # ------------------------------------------------------------ shapes and support
    @property
    def batch_shape(self) -> torch.Size:
        """The shape over which parameters are batched."""
        return self._batch_shape

    @property
    def event_shape(self) -> torch.Size:
        """The shape of one event, without batching."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Any]:
        """Parameter name -> the constraint it must satisfy."""
        raise NotImplementedError

    @property
    def support(self) -> Any:
        """The constraint that samples satisfy."""
        raise NotImplementedError

    def _extended_shape(self, sample_shape: Any = ()) -> torch.Size:
        return torch.Size((*sample_shape, *self._batch_shape, *self._event_shape))

    # ------------------------------------------------------------ moments
    @property
    def mean(self) -> torch.Tensor:
        """Expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> torch.Tensor:
        """Most likely value."""
        raise NotImplementedError(f"{self.__class__} does not implement mode")

    @property
    def variance(self) -> torch.Tensor:
        """Expected squared distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> torch.Tensor:
        """Square root of the variance."""
        return self.variance.sqrt()

    # ------------------------------------------------------------ sampling
    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draws, without gradients."""
        with torch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draws that are differentiable functions of the parameters (Kingma and Welling, 2013)."""
        raise NotImplementedError

    def sample_n(self, n: int) -> torch.Tensor:
        """`n` draws."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample((n,))

    # ------------------------------------------------------------ densities
    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Logarithm of the density (or probability) at `value`: ``sample_shape + batch_shape``."""
        raise NotImplementedError

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        """Probability of a value up to `value`."""
        raise NotImplementedError

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        """The value whose `cdf` is `value`."""
        raise NotImplementedError

    def enumerate_support(self, expand: bool = True) -> torch.Tensor:
        """Every value of a discrete distribution, along dimension 0."""
        raise NotImplementedError

    def entropy(self) -> torch.Tensor:
        """Expected negative `log_prob`: ``batch_shape``."""
        raise NotImplementedError

    def perplexity(self) -> torch.Tensor:
        """Exponential of the entropy."""
        return torch.exp(self.entropy())

    def _validate_sample(self, value: Any) -> None:
        """ValueError if `value` is no possible sample."""
        if not isinstance(value, torch.Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        events = value.dim() - len(self._event_shape)
        if value.shape[events:] != self._event_shape:
            raise ValueError(f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}.")
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {expected}.")
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(
                f"{self.__class__} does not define `support` to enable sample validation. Please initialize the distribution with "
                "`validate_args=False` to turn off validation.",
                stacklevel=3,
            )
            return
        if not support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support ({support!r}) "
                f"of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        own = [n for n in self.arg_constraints if n in self.__dict__]
        shown = [f"{n}: {v if (v := self.__dict__[n]).numel() == 1 else v.size()}" for n in own]
        return f"{self.__class__.__name__}({', '.join(shown)})"


class ExponentialFamily(Distribution):
    """Marks the exponential families; each states its entropy and divergences itself."""


def given_one(probs: Any, logits: Any) -> bool:
    """Whether `probs` was given rather than `logits`; ValueError unless exactly one was."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
    return probs is not None
