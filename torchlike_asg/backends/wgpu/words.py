"""Words of a dispatch by name."""

from __future__ import annotations

from collections.abc import Mapping

from .source import word


class Words:
    """Which word has which name: ``words["k"]`` is its expression in a shader, ``words.values({...})`` their order for a dispatch."""

    def __init__(self, names: tuple[str, ...]) -> None:
        assert len(set(names)) == len(names), names
        self.names = names
        self._place = {name: i for i, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, name: str) -> str:
        """The word as a u32."""
        return word(self._place[name])

    def indexed(self, name: str, index: str) -> str:
        """The word that lies `index` (a u32) words behind a named one, as a u32."""
        at = f"({self._place[name]}u + {index})"
        return f"words[{at} / 4u][{at} % 4u]"

    def typed(self, name: str, type_: str) -> str:
        """The word as an i32 or f32."""
        return word(self._place[name], type_)

    def values(self, given: Mapping[str, int | float]) -> tuple[int | float, ...]:
        """The words in order; all must be given."""
        return tuple([given[name] for name in self.names])
