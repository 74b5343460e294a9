"""``torch.backends.mps``: Apple's GPU backend, which this package does not have (its GPU device is "wgpu")."""

from ..absent import asked


def is_built() -> bool:
    """False."""
    return False


def is_available() -> bool:
    """False."""
    return False


def is_macos13_or_newer(minor: int = 0) -> bool:
    """False: the backend it is asked for is not there."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """False: the backend it is asked for is not there."""
    return False


__getattr__ = asked(__name__)
