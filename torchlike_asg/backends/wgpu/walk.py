"""The loop over a pass's dispatches, compiled: three calls of the native library each, a microsecond in Python and a tenth of it here."""

from __future__ import annotations

import os
import threading

import numpy as np

#: a dispatch as the loop reads it: its pipeline, its bind group, and its workgroups, two of them in one word
WORDS = 4
BYTES = 8 * WORDS
#: dispatches that Python has recorded when the loop is compiled, which takes about as long as they took: 10 ms. (A thread beside a program
#: that polls for the device's results waits a second for its turns at the interpreter.)
PAYS = 5_000

_TEXT = """
define void @walk(ptr %pass, ptr %records, i64 %count, ptr %set_pipeline, ptr %set_group, ptr %dispatch) {
start:
  %none = icmp eq i64 %count, 0
  br i1 %none, label %done, label %next
next:
  %i = phi i64 [0, %start], [%j, %run]
  %last = phi ptr [null, %start], [%pipeline, %run]
  %at = shl i64 %i, 5
  %record = getelementptr i8, ptr %records, i64 %at
  %pipeline = load ptr, ptr %record
  %group_at = getelementptr i8, ptr %record, i64 8
  %group = load ptr, ptr %group_at
  %x_at = getelementptr i8, ptr %record, i64 16
  %x = load i32, ptr %x_at
  %y_at = getelementptr i8, ptr %record, i64 20
  %y = load i32, ptr %y_at
  %z_at = getelementptr i8, ptr %record, i64 24
  %z = load i32, ptr %z_at
  %same = icmp eq ptr %pipeline, %last
  br i1 %same, label %run, label %change
change:
  call void %set_pipeline(ptr %pass, ptr %pipeline)
  br label %run
run:
  call void %set_group(ptr %pass, i32 0, ptr %group, i64 0, ptr null)
  call void %dispatch(ptr %pass, i32 %x, i32 %y, i32 %z)
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %count
  br i1 %more, label %next, label %done
done:
  ret void
}
"""
_compiled: int | None = None
_building = threading.RLock()
if hasattr(os, "register_at_fork"):  # LLVM has locks of its own: no fork while another thread compiles
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def address() -> int:
    """Where the compiled loop is: ``walk(pass, records, count, set pipeline, set bind group, dispatch)``. ImportError without llvmlite."""
    global _compiled
    with _building:
        if _compiled is None:
            from ..cpu.jit import compile_object, load_objects

            _compiled = load_objects([compile_object(_TEXT)], ["walk"])["walk"]
        return _compiled


def packed(pipeline: int, group: int, x: int, y: int, z: int) -> tuple[int, int, int, int]:
    """A dispatch as `WORDS` words of 64 bits (x before y in memory, whatever the byte order)."""
    xy = np.array([x, y], np.uint32).view(np.uint64)[0]
    return pipeline, group, int(xy), int(np.array([z, 0], np.uint32).view(np.uint64)[0])
