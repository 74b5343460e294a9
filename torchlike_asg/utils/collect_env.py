"""What a report of a problem should say of the machine: ``python -m torchlike_asg.utils.collect_env``."""

from __future__ import annotations

import platform
import sys

from .. import __config__, accelerator

__all__ = ["get_pretty_env_info", "main"]


def get_pretty_env_info() -> str:
    """Versions, the processor and the GPUs, as text."""
    lines = [
        __config__.show().rstrip(),
        f"Python {sys.version.split()[0]} on {platform.platform()}",
        f"Processor: {platform.processor() or platform.machine()}",
        f"GPUs that wgpu can use: {accelerator.device_count()}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print it."""
    print(get_pretty_env_info())


if __name__ == "__main__":
    main()
