"""Automatic mixed precision: `GradScaler` works as PyTorch's does; `autocast` keeps float32 and says so once."""

from .autocast_mode import autocast, custom_bwd, custom_fwd, is_autocast_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
