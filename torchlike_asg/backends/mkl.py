"""``torch.backends.mkl``: Intel's MKL, which this package does not use."""


def is_available() -> bool:
    """False."""
    return False
