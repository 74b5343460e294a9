"""``torch.backends.opt_einsum``: einsum finds its own order of products, by no other package."""

from typing import Any

#: accepted and remembered
enabled = False
strategy: str | None = None


def is_available() -> bool:
    """False."""
    return False


def get_opt_einsum() -> Any:
    """None."""
    return None
