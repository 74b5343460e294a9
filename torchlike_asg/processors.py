"""How many processors this process may use, and how much memory there is."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_threads() -> int:
    """Threads to use unless told otherwise: ``OMP_NUM_THREADS``, or the cores (not hardware threads) that the process is allowed to run
    on, or fewer if its control group (a container's limit) gives it less time than that."""
    wished = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wished.isdecimal() and int(wished) > 0:
        return int(wished)
    count = _cores()
    limit = _time_limit(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")) if sys.platform == "linux" else None
    return max(1, count if limit is None else min(count, -int(-limit // 1)))


def _cores() -> int:
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    cores = set()
    for cpu in allowed:
        try:
            cores.add(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text())
        except OSError:
            return len(allowed)
    return len(cores)


def _time_limit(membership: Path, mount: Path) -> float | None:
    """The processors' worth of time that the process's control group and those around it may use; None without a limit."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers == "":  # version 2
            read, base = _quota_v2, mount
        elif "cpu" in controllers.split(","):
            read, base = _quota_v1, mount / "cpu"
        else:
            continue
        folder = base / group.strip("/")
        # inside a container the path may be the host's, and the container's own group is the root
        limits += [read(f) for f in (folder, *folder.parents) if f == base or base in f.parents]
    return min((x for x in limits if x is not None), default=None)


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None


def memory() -> int:
    """Bytes of the machine's memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0
