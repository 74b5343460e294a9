"""The functions that do as a view function does and give fresh memory: ``permute_copy``, ``split_copy``, ..."""

from __future__ import annotations

from typing import Any

from ...dtypes import dtype
from ...formats import contiguous_format
from ..core import Tensor
from ..register import FUNCTIONS, named
from ..results import deliver
from ..steps import note
from .complex import view_as_complex, view_as_real
from .layout import clone
from .parts import split, split_with_sizes, unbind
from .views import detach, reshape, unfold, view_


def _slice(input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return input[(slice(None),) * (dim % input.dim()) + (slice(start, end, step),)]


def _sized(input: Tensor, *size: Any, **kwargs: Any) -> Any:
    asked = (*size, *kwargs.values())
    return view_(input, *asked) if asked and isinstance(asked[0], dtype) else reshape(input, *asked)


def _copy(seen: Tensor) -> Tensor:
    return clone(seen, memory_format=contiguous_format)  # type: ignore[no-any-return]


def _copying(name: str, view: Any) -> None:
    def copy(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        seen = view(*args, **kwargs)
        copies = tuple(_copy(v) for v in seen) if isinstance(seen, tuple | list) else _copy(seen)
        note(copies, step_name(*args, **kwargs))
        return copies if out is None else deliver(copies, out, f"{name}_copy")

    words = "".join(part.capitalize() for part in name.split("_"))

    def step_name(*args: Any, **kwargs: Any) -> str:
        return f"{words}Backward{1 if name == 'squeeze' and len(args) + len(kwargs) > 1 else 0}_copy"

    named(copy, f"{name}_copy", f"What `{name}` gives, in memory of its own.")
    FUNCTIONS[copy.__name__] = copy


for _name in ("as_strided", "diagonal", "expand", "permute", "select", "squeeze", "t", "transpose", "unsqueeze"):
    _copying(_name, FUNCTIONS[_name])
for _name, _view in (
    ("alias", lambda input: input),
    ("detach", detach),
    ("slice", _slice),
    ("split", split),
    ("split_with_sizes", split_with_sizes),
    ("unbind", unbind),
    ("unfold", unfold),
    ("view", _sized),
    ("view_as_complex", view_as_complex),
    ("view_as_real", view_as_real),
):
    _copying(_name, _view)
