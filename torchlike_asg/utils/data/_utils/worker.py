"""What a worker process knows of itself, under the name PyTorch keeps it."""

from ..worker import WorkerInfo, get_worker_info

__all__ = ["WorkerInfo", "get_worker_info"]
