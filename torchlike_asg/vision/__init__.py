"""Images for tutorials and small research scripts, under torchvision's names: data sets, transforms, models, boxes, grids.

``torchlike_asg.install_as_torch()`` makes ``import torchvision`` mean this package. Pillow is used where images are read, written or
given as PIL images, and only asked for there (``pip install pillow``); tensors need nothing beside NumPy.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import Unsupported
from ..version import VISION_API_VERSION
from ..version import __version__ as _own

__all__ = ["datasets", "get_image_backend", "io", "models", "ops", "set_image_backend", "transforms", "utils"]

#: that of the torchvision release whose API this is, our own as its local part: DETR and others choose their code by comparing it
__version__ = f"{VISION_API_VERSION}+asg.{_own}"

_SUBMODULES = frozenset(("datasets", "io", "models", "ops", "transforms", "tv_tensors", "utils"))


def _is_tracing() -> bool:
    """Whether ``torch.jit.trace`` records at the moment: never, since it returns the module itself. DETR asks."""
    return False


def get_image_backend() -> str:
    """The package that reads images: "PIL"."""
    return "PIL"


def set_image_backend(backend: str) -> None:
    """Choose the package that reads images; "PIL" is the only one.

    Raises:
        ValueError: another one.
    """
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. The one backend here is 'PIL'")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise Unsupported(f"torchvision.{name} is not implemented: torchlike_asg.vision has {', '.join(sorted(_SUBMODULES))}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
