"""Whether values are being replaced by proxies: they never are."""

from __future__ import annotations

__all__ = ["get_proxy_mode"]


def get_proxy_mode() -> None:
    """None: no function is being traced."""
