"""The working memory of plans: one page for all of them.

What a plan computes for itself alone is dead when its run ends, and runs follow one another (the compiler holds a lock meanwhile), so the
plans of a process need no more memory than the largest. A plan asks for the page when it runs; the page has moved if a larger plan came.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from .blocks import aligned


class User(Protocol):
    """A plan: how many bytes it works in."""

    page_bytes: int


class Workspace:
    """A page that is as large as its largest living user needs.

    ``address``  where it begins, a multiple of 64; users compare it with the address they were last placed at
    """

    def __init__(self) -> None:
        self._page: np.ndarray[Any, Any] = aligned(64)
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        self._largest: Callable[[], Any] = lambda: None
        self.address: int = self._page.ctypes.data

    @property
    def nbytes(self) -> int:
        return self._page.nbytes

    def enter(self, user: User) -> None:
        """Make room for a plan about to run. A page more than twice as large as the living plans need is given back.

        A plan for which there is no memory is forgotten, and MemoryError raised if it is this one: others need what they needed before.
        """
        self._users.add(user)
        while True:
            largest = self._largest()
            if largest is None or largest.page_bytes < user.page_bytes:  # only when it has gone are there hundreds to look at
                largest = user if largest is not None else max(self._users, key=lambda u: u.page_bytes)
                self._largest = weakref.ref(largest)
            needed = max(64, largest.page_bytes)
            if needed <= self.nbytes <= 2 * needed:
                return
            self._take(64)  # before the new one is taken: never both
            try:
                self._take(needed)
                return
            except MemoryError:
                self._users.discard(largest)
                self._largest = lambda: None
                if largest is user:
                    raise

    def _take(self, nbytes: int) -> None:
        self._page = aligned(nbytes)
        self.address = self._page.ctypes.data


workspace = Workspace()
