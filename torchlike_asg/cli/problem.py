"""The one exception of the command line: something the user has to change. It carries a catalogue key, not a sentence."""

from __future__ import annotations

from typing import Any


class Problem(Exception):
    """Ends the program with exit status 2 and the text ``ui.cli.KEY`` in the user's language."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.key = key
        self.fields = fields
