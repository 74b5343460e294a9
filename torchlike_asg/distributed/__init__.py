"""``torch.distributed`` for a single process: importable, never initialised, and clear about it.

Scripts ask `is_available()` and `is_initialized()` before they use it; what needs a process group raises.
"""

from __future__ import annotations

from typing import Any

from ..errors import Absent, Unsupported
from . import device_mesh as device_mesh
from .device_mesh import _SINGLE
from .device_mesh import DeviceMesh as DeviceMesh
from .device_mesh import init_device_mesh as init_device_mesh

_UNINITIALIZED = "Default process group has not been initialized, please make sure to call init_process_group."


def is_available() -> bool:
    """False: processes cannot be joined into a group."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_nccl_available() -> bool:
    """False."""
    return False


def is_gloo_available() -> bool:
    """False."""
    return False


def is_mpi_available() -> bool:
    """False."""
    return False


def is_ucc_available() -> bool:
    """False."""
    return False


def is_xccl_available() -> bool:
    """False."""
    return False


def is_backend_available(backend: str) -> bool:
    """False, whichever it is."""
    return False


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """`fallback_rank`: nothing started this process as one of several. Raises RuntimeError without one."""
    if fallback_rank is None:
        raise RuntimeError(
            "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` to work, "
            "assuming you are not running in a multi-device context and want the code to run locally instead."
        )
    return int(fallback_rank)


def is_torchelastic_launched() -> bool:
    """Whether torchrun started this process: it cannot have."""
    return False


def init_process_group(*args: Any, **kwargs: Any) -> None:
    """Raises: see the error."""
    raise Unsupported(f"torch.distributed.init_process_group: {_SINGLE}")


def new_group(*args: Any, **kwargs: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.distributed.new_group: {_SINGLE}")


class _OpType(str):
    """One member of `ReduceOp`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<RedOpType.{self}>"


class ReduceOp:
    """How `all_reduce` combines: names only."""

    SUM, PRODUCT, MIN, MAX, AVG = _OpType("SUM"), _OpType("PRODUCT"), _OpType("MIN"), _OpType("MAX"), _OpType("AVG")
    BAND, BOR, BXOR, PREMUL_SUM = _OpType("BAND"), _OpType("BOR"), _OpType("BXOR"), _OpType("PREMUL_SUM")


class ProcessGroup(Absent, within="torch.distributed", instead=_SINGLE):
    """The type of process groups, for annotations; none can be made."""


class Backend(str):
    """Names of ways to communicate, none of which is here."""

    UNDEFINED, GLOO, NCCL, UCC, MPI, XCCL = "undefined", "gloo", "nccl", "ucc", "mpi", "xccl"


class GroupMember:
    """Which group a process belongs to: none."""

    WORLD = None
    NON_GROUP_MEMBER = -100


class group(GroupMember):
    """The group of all processes, which is not initialised."""


class Store(ProcessGroup):
    """The type of key-value stores, for annotations; none can be made."""


TCPStore = FileStore = HashStore = PrefixStore = Work = P2POp = Store


def _needs_group(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise ValueError(_UNINITIALIZED)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises ValueError: there is no process group."
    return refuse


for _name in (
    "get_rank",
    "get_world_size",
    "get_backend",
    "barrier",
    "monitored_barrier",
    "destroy_process_group",
    "all_reduce",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_to_all",
    "all_to_all_single",
    "broadcast",
    "broadcast_object_list",
    "gather",
    "gather_object",
    "reduce",
    "reduce_scatter",
    "reduce_scatter_tensor",
    "scatter",
    "scatter_object_list",
    "send",
    "recv",
    "isend",
    "irecv",
    "batch_isend_irecv",
    "get_group_rank",
    "get_global_rank",
    "get_process_group_ranks",
    "new_subgroups",
    "send_object_list",
    "recv_object_list",
):
    globals()[_name] = _needs_group(_name)
