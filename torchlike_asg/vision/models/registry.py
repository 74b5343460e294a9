"""The builders by name, and what their ``weights=`` arguments share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from .weights import FILES, enumeration, load_into

__all__ = ["BUILDERS", "ENUMERATIONS", "builder", "get_model", "get_model_weights", "list_models"]

#: name -> function that builds the model;  enumeration's name -> enumeration
BUILDERS: dict[str, Callable[..., Any]] = {}
ENUMERATIONS: dict[str, Any] = {}


def builder(make: Callable[..., Any]) -> Callable[..., Any]:
    """Register ``make(**options)`` as ``NAME(*, weights=None, progress=True, **options)``; `weights` as `weights.load_into` takes it.

    The number of classes is not checked against the weights: loading says what does not fit. ``pretrained=True`` is the older spelling of
    the first weights.
    """
    name = make.__name__
    choices = enumeration(name) if name in FILES else None
    if choices is not None:
        ENUMERATIONS[choices.__name__] = choices

    @functools.wraps(make)
    def build(*, weights: Any = None, progress: bool = True, pretrained: bool | None = None, **options: Any) -> Any:
        if pretrained is not None:
            warnings.warn("The parameter 'pretrained' is deprecated, please use 'weights' instead.", UserWarning, stacklevel=2)
            weights = "IMAGENET1K_V1" if pretrained else None
        if choices is None and weights is not None and not hasattr(weights, "__fspath__") and not isinstance(weights, str):
            raise TypeError(f"{name}: weights must be a file's name, got {type(weights).__name__}")
        return load_into(make(**options), weights, choices or _NONE, progress)

    BUILDERS[name] = build
    return build


class _NONE:
    """The enumeration of a model without published weights."""

    __members__: ClassVar[dict[str, Any]] = {}


def list_models() -> list[str]:
    """The names `get_model` knows."""
    return sorted(BUILDERS)


def get_model(name: str, **config: Any) -> Any:
    """The model of that name (in any case).

    Raises:
        ValueError: there is none.
    """
    found = BUILDERS.get(name.lower())
    if found is None:
        raise ValueError(f"Unknown model {name}: one of {', '.join(list_models())}")
    return found(**config)


def get_model_weights(name: Any) -> Any:
    """The enumeration of a model's weights, by its name or builder."""
    key = name if isinstance(name, str) else name.__name__
    if key not in FILES:
        raise ValueError(f"Unknown model {key}: one of {', '.join(sorted(FILES))}")
    return ENUMERATIONS[FILES[key][0]]
