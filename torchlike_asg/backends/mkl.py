"""``torch.backends.mkl``: Intel's MKL, which this package does not use."""

from ..absent import asked


def is_available() -> bool:
    """False."""
    return False


__getattr__ = asked(__name__)
