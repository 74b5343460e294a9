"""Where PyTorch keeps the inner parts of its loader."""

from . import collate, fetch, pin_memory, worker

__all__ = ["HAS_NUMPY", "MP_STATUS_CHECK_INTERVAL", "collate", "fetch", "pin_memory", "worker"]

#: seconds between looks at whether the workers live
MP_STATUS_CHECK_INTERVAL = 5.0
HAS_NUMPY = True
python_exit_status = False
