"""Random numbers: PyTorch's CPU generator bit for bit (`Engine`, `draws`), a counter-based one (`philox`), seeds of worker processes.

Works on NumPy arrays; imports nothing of the package but the element types.
"""

from __future__ import annotations

from . import draws, philox, worker
from .engine import Engine

__all__ = ["Engine", "draws", "philox", "worker"]
