"""Which optimizers train the model, and when a round of them is over.

A program may train several models side by side: a window is about its own. And the optimizers of one model may take turns, as those of a
GAN do: what each of them does is a part of the model's training, and the graph is that of all of them.
"""

from __future__ import annotations

import weakref
from typing import Any

from ..asg.declare import VAR

#: steps after which an optimizer counts that trains none of the model's parameters, if no other does
ALONE = 8
#: steps of a round after which it ends in any case: the optimizer that ended the others is not used any more
LONGEST = 48


class Rounds:
    """``several`` whether more than one optimizer trains the model."""

    def __init__(self, model: Any = None) -> None:
        self._model = weakref.ref(model) if hasattr(model, "parameters") else None
        self._trains: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
        self._numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self._some = False  # whether one was seen that trains it
        self._last, self._length = 0, 0  # the optimizer that ends rounds; steps in this one
        self.several = False

    def number(self, optimizer: Any, steps: int) -> int:
        """Of an optimizer, by the order of their first steps; -1 for one that trains something else. `steps`: how many were done."""
        trains = self._trains.get(optimizer)
        if trains is None:
            trains = self._trains[optimizer] = self._is_ours(optimizer)
        if not trains and (self._some or steps <= ALONE):
            return -1
        if trains and not self._some:
            self._some = True
            self._numbers.clear()
        number = self._numbers.setdefault(optimizer, len(self._numbers))
        self.several = len(self._numbers) > 1
        return number

    def ends(self, number: int) -> bool:
        """Whether a step of that optimizer is the last of a round."""
        self._length += 1
        if number < self._last and self._length < LONGEST:
            return False
        self._last, self._length = number, 0
        return True

    @property
    def known(self) -> bool:
        """Whether an optimizer was seen that trains the model; else what all of them do may be of interest."""
        return self._some

    def reads(self, plan: Any) -> bool:
        """Whether a plan reads parameters of the model."""
        model = self._model() if self._model is not None else None
        if model is None:
            return True
        ours = {p._f.leaf for p in model.parameters() if p._f is not None}
        return any(n.op is VAR and n in ours for n in plan.leaves)

    def _is_ours(self, optimizer: Any) -> bool:
        model = self._model() if self._model is not None else None
        ours = {id(p) for p in model.parameters()} if model is not None else set()
        return not ours or any(id(p) in ours for group in optimizer.param_groups for p in group["params"])


def storages(optimizer: Any) -> set[int]:
    """The identities of the storages of all parameters that an optimizer changes."""
    return {id(p._f) for group in optimizer.param_groups for p in group["params"]}
