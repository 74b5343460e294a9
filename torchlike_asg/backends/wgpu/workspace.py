"""Where values lie that live only inside a plan: pages that all plans of a device share, since one runs after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...compiler.memory import Planner
from .calls import ALIGNMENT

if TYPE_CHECKING:
    from .device import Device

#: bytes of a page, unless one value needs more; drivers refuse allocations of more than a few GiB
PAGE = 1 << 30


class Places:
    """Offsets in pages for values with known lifetimes."""

    def __init__(self) -> None:
        self._planners: list[Planner] = []

    def allocate(self, nbytes: int) -> tuple[int, int]:
        """(page, offset)"""
        for number, planner in enumerate(self._planners):
            try:
                return number, planner.allocate(nbytes)
            except MemoryError:
                continue
        self._planners.append(Planner(ALIGNMENT, max(PAGE, nbytes + ALIGNMENT)))
        return len(self._planners) - 1, self._planners[-1].allocate(nbytes)

    def free(self, place: tuple[int, int]) -> None:
        self._planners[place[0]].free(place[1])

    @property
    def sizes(self) -> list[int]:
        """Bytes of each page."""
        return [p.size for p in self._planners]


def assign(steps: Sequence[set[int]], sizes: dict[int, int]) -> tuple[dict[int, tuple[int, int]], list[int]]:
    """Places for slots of the given sizes, from the first to the last step that touches them: (slot -> (page, offset), bytes of the
    pages)."""
    last: dict[int, int] = {}
    for i, slots in enumerate(steps):
        for slot in slots:
            if slot in sizes:
                last[slot] = i
    places: dict[int, tuple[int, int]] = {}
    room = Places()
    for i, slots in enumerate(steps):
        mine = sorted(slots & sizes.keys())
        for slot in mine:
            if slot not in places:
                places[slot] = room.allocate(sizes[slot])
        for slot in mine:
            if last[slot] == i:
                room.free(places[slot])
    return places, room.sizes


class Workspace:
    """The pages. They grow when a plan needs more; `generation` tells plans that they are other buffers now."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._blocks: list[Any] = []
        self.generation = 0

    def reserve(self, sizes: Sequence[int]) -> None:
        """Have pages of at least these sizes."""
        for number, size in enumerate(sizes):
            if number == len(self._blocks):
                self._blocks.append(None)
            block = self._blocks[number]
            if block is None or block.nbytes < size:
                self._blocks[number] = None
                self._blocks[number] = self._device.pool.take(size, "intermediate results")
                self.generation += 1

    def buffer(self, page: int) -> Any:
        return self._blocks[page].buffer
