"""``torch.autograd.profiler.profile``: the profiler with the arguments and the shortcuts that it had before ``torch.profiler``."""

from __future__ import annotations

from typing import Any

from . import EventList, FunctionEventAvg
from . import profile as _profile


class profile(_profile):
    """`torchlike_asg.profiler.profile`, which does nothing unless `enabled`.

    ``use_cuda`` and `use_device` name other devices than those here: GPUs are measured if `use_cpu` is not the only one asked for.
    The other options are accepted: what is known is always recorded.
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        experimental_config: Any = None,
        acc_events: bool = False,
        custom_trace_id_callback: Any = None,
        post_processing_timeout_s: float | None = None,
        activity_filters: Any = None,
    ) -> None:
        super().__init__(activities=[*(["CPU"] if use_cpu else []), *([use_device or "CUDA"] if use_cuda or use_device else [])])
        self.enabled = enabled
        if not enabled:
            self._events = []

    def start(self) -> None:
        if self.enabled:
            super().start()

    def stop(self) -> None:
        if self.enabled:
            super().stop()

    @property
    def function_events(self) -> EventList:
        """All events."""
        return EventList(self.events())

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of processor time in kernels."""
        return self.key_averages().self_cpu_time_total

    def table(self, *args: Any, **options: Any) -> str:
        """`EventList.table` of the events by name."""
        return self.key_averages().table(*args, **options)

    def total_average(self) -> FunctionEventAvg:
        """All events together."""
        total = FunctionEventAvg("Total")
        for e in self.events():
            total.add(e)
        return total
