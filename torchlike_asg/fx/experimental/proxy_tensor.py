"""Whether values are being replaced by proxies: they never are."""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported, refuses

__all__ = ["get_proxy_mode", "make_fx"]


@refuses
def make_fx(f: Any, *args: Any, **kwargs: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported("torch.fx.experimental.proxy_tensor.make_fx: torchlike_asg.asg.explain(f, input) shows the recorded graph")


def get_proxy_mode() -> None:
    """None: no function is being traced."""
