"""Anomaly detection in backward passes: what each step returns is computed at once, and looked at for NaN."""

from __future__ import annotations

import numpy as np

from .. import config
from ..asg.gradients import After, Hook, history
from ..asg.node import Node
from .flush import evaluate
from .history_names import title

__all__ = ["looked_at"]


def looked_at(roots: tuple[Node, ...], hooks: dict[Node, Hook], after: dict[Node, After]) -> tuple[dict[Node, Hook], dict[Node, After]]:
    """`hooks` and `after` of a sweep from `roots` that is refused at the first step that returns a NaN."""

    def look(n: Node, g: Node, parts: list[Node | None]) -> list[Node | None]:
        if n in after:
            parts = after[n](n, g, parts)
        if getattr(n.op, "output", -1) >= 0:  # of a custom Function: what follows on it says only that there is a gradient
            return parts
        for i, p in enumerate(parts):
            if p is not None and (p.dtype.is_floating_point or p.dtype.is_complex) and _has_nan(p):
                raise RuntimeError(f"Function '{title(n)}' returned nan values in its {i}th output.")
        return parts

    return hooks or {roots[0]: lambda n, g: g}, dict.fromkeys(history(roots), look)


def _has_nan(n: Node) -> bool:
    """Whether a gradient has a NaN. What it is computed from may have some."""
    eager, config.eager, config.detect_anomaly = config.eager, True, False
    try:
        return bool(np.isnan(evaluate(n)).any())
    finally:
        config.eager, config.detect_anomaly = eager, True
