"""``torch._dynamo.eval_frame``, where packages look for the class of compiled modules."""

from __future__ import annotations

from ..errors import Absent

__all__ = ["OptimizedModule"]


class OptimizedModule(Absent, within="torch._dynamo", instead="torch.compile returns the module itself"):
    """What `torch.compile` makes of a module in PyTorch: no module here is an instance, as compiling gives the module itself."""
