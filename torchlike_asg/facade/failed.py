"""What a tensor holds whose computation raised."""

from __future__ import annotations


class Failed:
    """Stands for a value whose computation raised: reading it raises the same error again, and nothing else is lost."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def again(self) -> Exception:
        try:
            return type(self.error)(*self.error.args)
        except TypeError:
            return RuntimeError(str(self.error))
