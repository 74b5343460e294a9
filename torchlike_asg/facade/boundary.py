"""Where iterations end in loops that never say so.

A closing flush anywhere is safe (histories that live on are kept aside and replayed if used); the places are chosen so that each
iteration of a loop records the same nodes, and so that loops that read nothing stay bounded.
"""

from __future__ import annotations

from typing import Any

from ..asg.trace import current
from .flush import flush

#: results recorded in one trace before the next outermost module call cuts it
MAX_PENDING = 50_000


def enter(module: Any) -> None:
    """An outermost module is called. A second call of the same one starts a new trace if something was read since the first (an
    evaluation or acting loop), or if nothing is recorded for differentiation (a loop that collects predictions).
    """
    tr = current()
    key = id(module)
    if (key in tr.entered and (tr.flushes or not tr.grad)) or len(tr.claims) > MAX_PENDING:
        flush(closing=True)
    tr.entered[key] = 1
