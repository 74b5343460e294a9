"""What a backend must bring to rest while the process forks: a child inherits locks, but not the threads that hold or release them.

A thread that compiles holds the compiler's lock and then takes a backend's. A fork has to take them in that order too, or each waits for
the other for ever. The interpreter runs what was registered before a fork in reverse order of registration, and a backend is loaded
after the compiler; so backends do not register their own, but add them here, and this module is loaded before the compiler.
"""

from __future__ import annotations

import os
from collections.abc import Callable

_guards: list[tuple[Callable[[], object], Callable[[], object]]] = []
_held: list[Callable[[], object]] = []


def guard(hold: Callable[[], object], release: Callable[[], object]) -> None:
    """Call `hold` before the process forks, after what was added earlier, and `release` afterwards, in parent and child."""
    _guards.append((hold, release))


def _before() -> None:
    for hold, release in list(_guards):
        hold()
        _held.append(release)


def _after() -> None:
    while _held:
        _held.pop()()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
