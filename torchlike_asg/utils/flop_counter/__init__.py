"""``torch.utils.flop_counter``: how many floating-point operations the products and convolutions of a script are, by modules."""

from __future__ import annotations

import contextlib
import warnings
from collections import defaultdict
from typing import Any

from ..._ops import OpOverloadPacket
from .counting import Recorder
from .formulas import (
    addmm_flop,
    baddbmm_flop,
    bmm_flop,
    conv_backward_flop,
    conv_flop,
    conv_flop_count,
    flop_registry,
    mm_flop,
    register_flop_formula,
    sdpa_backward_flop_count,
    sdpa_flop,
    sdpa_flop_count,
)

__all__ = [
    "FlopCounterMode",
    "addmm_flop",
    "baddbmm_flop",
    "bmm_flop",
    "conv_backward_flop",
    "conv_flop",
    "conv_flop_count",
    "convert_num_with_suffix",
    "convert_to_percent_str",
    "flop_registry",
    "get_suffix_str",
    "mm_flop",
    "register_flop_formula",
    "sdpa_backward_flop_count",
    "sdpa_flop",
    "sdpa_flop_count",
    "suffixes",
]

suffixes = ["", "K", "M", "B", "T"]


def get_suffix_str(number: int) -> str:
    """The suffix with which a number has at most five digits before the point."""
    return suffixes[max(0, min(len(suffixes) - 1, (len(str(number)) - 2) // 3))]


def convert_num_with_suffix(number: int, suffix: str) -> str:
    """A number in units of `suffix`."""
    power = suffixes.index(suffix)
    return f"{number / 1000**power:.3f}{suffix}" if power else str(number)


def convert_to_percent_str(num: float, denom: float) -> str:
    """A share, to a hundredth of a percent."""
    return f"{num / denom:.2%}" if denom else "0%"


class FlopCounterMode:
    """A context manager that counts the operations of what is recorded inside, backward passes included::

        with FlopCounterMode() as counter:
            model(x).sum().backward()
        counter.get_total_flops(), counter.get_flop_counts()["Net.layer1"]

    Matrix products, ``einsum``, linear layers, convolutions, GRU and RNN layers and unfused attention are counted, as operators of
    PyTorch's (``torch.ops.aten.mm``, ...) under the names of all modules that are being called. What is called twice counts twice, computed
    or not; the function under `checkpoint` runs once. Attention of four dimensions and LSTM layers count nothing, as on PyTorch's CPU.

    `depth`: of the modules in the table; `display`: whether it is printed at the end; `custom_mapping`: operator -> formula, instead of
    those in `flop_registry`.
    """

    def __init__(self, mods: Any = None, depth: int = 2, display: bool = True, custom_mapping: dict[Any, Any] | None = None) -> None:
        if mods is not None:
            warnings.warn("mods argument is not needed anymore, you can stop passing it", stacklevel=2)
        self.depth, self.display = depth, display
        self.flop_registry = {**flop_registry, **(custom_mapping or {})}
        self.flop_counts: defaultdict[str, defaultdict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self._names: dict[int, str] = {}
        self._modules: list[Any] = []  # which keeps their ids
        self._open: contextlib.ExitStack | None = None

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts = defaultdict(lambda: defaultdict(int))
        self._names, self._modules = {}, []
        self._open = contextlib.ExitStack()
        self._open.enter_context(Recorder(self._count).counting())
        return self

    def __exit__(self, *error: object) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
        if self.display:
            print(self.get_table(self.depth))

    def _count(self, operator: OpOverloadPacket, shapes: tuple[Any, ...], out_shape: Any, modules: tuple[Any, ...]) -> None:
        flops = self.flop_registry[operator](*shapes, out_shape=out_shape)
        if not flops:
            return
        for name in {"Global", *[self._name(i, modules) for i in range(len(modules))]}:
            self.flop_counts[name][operator] += flops

    def _name(self, i: int, modules: tuple[Any, ...]) -> str:
        """A module's name: its class, or where it is in the module that was called before it."""
        module = modules[i]
        found = self._names.get(id(module))
        if found is None:
            if i:
                self._name(i - 1, modules)
                found = self._names.get(id(module))
            if found is None:
                for path, part in module.named_modules(prefix=type(module).__name__):
                    self._names.setdefault(id(part), path)
                    self._modules.append(part)
                found = self._names[id(module)]
        return found

    def get_total_flops(self) -> int:
        """The number of all operations."""
        return sum(self.flop_counts.get("Global", {}).values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """Module's name -> operator -> number; under ``"Global"`` all of them."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The numbers as a table of modules down to `depth`, with their shares."""
        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        suffix = get_suffix_str(total)

        def lines(name: str) -> list[tuple[str, str, str]]:
            counts = self.flop_counts[name]
            parts = [(name, sum(counts.values())), *[(f"- aten.{operator.__name__}", n) for operator, n in counts.items()]]
            return [(label, convert_num_with_suffix(n, suffix), convert_to_percent_str(n, total)) for label, n in parts]

        rows: list[tuple[str, str, str]] = []
        subsumed = False
        for name in sorted(self.flop_counts):
            if name != "Global" and name.count(".") < depth:
                subsumed = subsumed or sum(self.flop_counts[name].values()) >= total
                rows += lines(name)
        if total and not subsumed:
            rows = lines("Global") + rows
        return _aligned(("Module", "FLOP", "% Total"), rows or [("Global", "0", "0%")])


def _aligned(head: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> str:
    """Columns under their names: the first to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in (head, *rows)) + 2 * (i < 0) for i in range(3)]
    widths = [max(w, len(h) + 2) for w, h in zip(widths, head, strict=True)]
    ruled = [head, tuple("-" * w for w in widths), *rows]
    lines = ["  ".join((a.ljust(widths[0]), b.rjust(widths[1]), c.rjust(widths[2]))) for a, b, c in ruled]
    return "\n".join(lines)
