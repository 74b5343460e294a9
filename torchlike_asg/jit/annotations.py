"""``torch.jit.annotations``: the names of `typing` that modules written for TorchScript import from there."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

__all__ = ["Any", "Dict", "List", "Optional", "Tuple", "Union"]
