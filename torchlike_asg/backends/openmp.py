"""``torch.backends.openmp``: OpenMP, which this package does not use."""


def is_available() -> bool:
    """False."""
    return False
