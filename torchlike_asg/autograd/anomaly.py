"""Anomaly detection: find the operation whose gradient is the first to be NaN (see facade/anomaly_checks.py)."""

from __future__ import annotations

from typing import Any

from .. import config


class set_detect_anomaly:
    """Check what every step of a backward pass returns, at the call: RuntimeError names the first that returns a NaN. What is read is run
    eagerly and checked, too, and reported at the line that made it. Also a context manager."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_anomaly_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}")
        self.previous = config.detect_anomaly
        config.detect_anomaly = mode and bool(check_nan)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: Any) -> None:
        config.detect_anomaly = self.previous


class detect_anomaly(set_detect_anomaly):
    """`set_detect_anomaly(True)` for a ``with`` block."""

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(True, check_nan)
