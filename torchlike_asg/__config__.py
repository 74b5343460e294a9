"""``torch.__config__``: how this package is made, as text."""

from __future__ import annotations

import os

from . import config
from .version import API_VERSION, __version__

__all__ = ["parallel_info", "show"]


def show() -> str:
    """One paragraph: the version, whose API it follows, and the libraries that compute."""
    import numpy

    try:
        import llvmlite
    except ImportError:
        native = "without llvmlite, by NumPy alone"
    else:
        native = f"kernels compiled by llvmlite {llvmlite.__version__}"
    return f"torchlike_asg {__version__}, the API of PyTorch {API_VERSION}\n  - NumPy {numpy.__version__}\n  - {native}\n"


def parallel_info() -> str:
    """How many threads compute, of how many processors."""
    return f"torchlike_asg threads: {config.threads}\nprocessors: {os.cpu_count()}\n"
