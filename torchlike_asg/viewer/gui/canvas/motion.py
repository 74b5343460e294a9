"""How the view gets from one place to another: the camera glides, and boxes glide to where a new layout has them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..layout import Box
from .geometry import Camera, Floats

DURATION = 0.15  # seconds
#: scenes with more boxes than this do not glide: every frame would lay out their curves anew
MOST_BOXES = 400

Identity = tuple[str, int]


def identity(box: Box) -> Identity:
    """What a box shows, whatever the layout: ("node" or "group", its number)."""
    return ("node" if box.kind == "node" else "group", box.item)


@dataclass
class Glide:
    """A way from camera `start` to camera `target`, begun at the time `begun`; ``old`` says where boxes were, by their identity."""

    begun: float
    start: Camera
    target: Camera
    old: dict[Identity, tuple[float, float]] = field(default_factory=dict)
    done: float = 0.0

    def at(self, now: float) -> Camera:
        """The camera at a time; remembers how far it is."""
        t = min(1.0, (now - self.begun) / DURATION)
        self.done = t * t * (3 - 2 * t)
        return self.target if t >= 1.0 else self.start.towards(self.target, self.done)

    @property
    def over(self) -> bool:
        return self.done >= 1.0

    def shift(self, boxes: list[Box]) -> Floats:
        """[boxes, 2] how far each box still is from its new place."""
        found = np.zeros((len(boxes), 2))
        for i, b in enumerate(boxes):
            was = self.old.get(identity(b))
            if was is not None:
                found[i] = (was[0] - b.x) * (1 - self.done), (was[1] - b.y) * (1 - self.done)
        return found
