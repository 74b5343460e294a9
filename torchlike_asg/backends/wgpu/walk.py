"""Sequences of calls of the native library, compiled: a microsecond for each call in Python is a tenth of it here.

``record``  a pass of dispatches: ``record(table, records, count, whole)`` gives the commands if `whole`, else the encoder, for copies
``submit``  ``submit(table, commands)`` submits and releases commands; gives the number of the submission
``wait``    ``wait(table, buffer, bytes, state, out)`` polls until a mapping is there, that is, until ``mapped`` has set the state; copies
            the bytes (a multiple of 4) and unmaps the buffer; gives the status
``mapped``  the callback of a mapping, which puts the status where the first of its data points to

The table holds the library's functions and what they are called with, in the order of `TABLE`.
"""

from __future__ import annotations

import os
import sys
import threading

import numpy as np

#: a dispatch as `record` reads it: its pipeline, its bind group, and its workgroups, two of them in one word
WORDS = 4
BYTES = 8 * WORDS
#: calls that Python has made for dispatches and passes when the sequences are compiled, which takes about as long as they took: 10 ms.
#: (A thread beside a program that polls for the device's results waits a second for its turns at the interpreter.)
PAYS = 5_000
#: of them for a pass as such
PASS = 5
TABLE = (
    "wgpuDeviceCreateCommandEncoder", "wgpuCommandEncoderBeginComputePass", "wgpuComputePassEncoderSetPipeline",
    "wgpuComputePassEncoderSetBindGroup", "wgpuComputePassEncoderDispatchWorkgroups", "wgpuComputePassEncoderEnd",
    "wgpuComputePassEncoderRelease", "wgpuCommandEncoderFinish", "wgpuCommandEncoderRelease", "wgpuQueueSubmitForIndex",
    "wgpuCommandBufferRelease", "wgpuDevicePoll", "wgpuBufferGetConstMappedRange", "wgpuBufferUnmap",
    "device", "queue", "encoder descriptor", "pass descriptor", "commands descriptor",
)  # fmt: skip
#: polls after which the host waits in the library
POLLS = 20_000
#: how a callback takes the message, a structure of two words
_MESSAGE = "ptr" if sys.platform == "win32" else "ptr, i64"


def _entry(name: str) -> str:
    """Instructions that load an entry of the table as a value of that name without blanks."""
    value, at = name.replace(" ", "_"), TABLE.index(name)
    return f"  %{value}_at = getelementptr ptr, ptr %table, i64 {at}\n  %{value} = load ptr, ptr %{value}_at\n"


_TEXT = f"""
define ptr @record(ptr %table, ptr %records, i64 %count, i32 %whole) {{
start:
{"".join(_entry(n) for n in (*TABLE[:9], "device", "encoder descriptor", "pass descriptor", "commands descriptor"))}
  %encoder = call ptr %wgpuDeviceCreateCommandEncoder(ptr %device, ptr %encoder_descriptor)
  %pass = call ptr %wgpuCommandEncoderBeginComputePass(ptr %encoder, ptr %pass_descriptor)
  %none = icmp eq i64 %count, 0
  br i1 %none, label %done, label %next
next:
  %i = phi i64 [0, %start], [%j, %run]
  %last = phi ptr [null, %start], [%pipeline, %run]
  %at = mul i64 %i, {BYTES}
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
  call void %wgpuComputePassEncoderSetPipeline(ptr %pass, ptr %pipeline)
  br label %run
run:
  call void %wgpuComputePassEncoderSetBindGroup(ptr %pass, i32 0, ptr %group, i64 0, ptr null)
  call void %wgpuComputePassEncoderDispatchWorkgroups(ptr %pass, i32 %x, i32 %y, i32 %z)
  %j = add i64 %i, 1
  %more = icmp ult i64 %j, %count
  br i1 %more, label %next, label %done
done:
  call void %wgpuComputePassEncoderEnd(ptr %pass)
  call void %wgpuComputePassEncoderRelease(ptr %pass)
  %all = icmp ne i32 %whole, 0
  br i1 %all, label %finish, label %give
give:
  ret ptr %encoder
finish:
  %commands = call ptr %wgpuCommandEncoderFinish(ptr %encoder, ptr %commands_descriptor)
  call void %wgpuCommandEncoderRelease(ptr %encoder)
  ret ptr %commands
}}

define i64 @submit(ptr %table, ptr %commands) {{
{"".join(_entry(n) for n in ("wgpuQueueSubmitForIndex", "wgpuCommandBufferRelease", "queue"))}
  %list = alloca ptr
  store ptr %commands, ptr %list
  %number = call i64 %wgpuQueueSubmitForIndex(ptr %queue, i64 1, ptr %list)
  call void %wgpuCommandBufferRelease(ptr %commands)
  ret i64 %number
}}

define void @mapped(i32 %status, {_MESSAGE}, ptr %state, ptr) {{
  store atomic i32 %status, ptr %state release, align 4
  ret void
}}

define i32 @wait(ptr %table, ptr %buffer, i64 %nbytes, ptr %state, ptr %out) {{
start:
{"".join(_entry(n) for n in ("wgpuDevicePoll", "wgpuBufferGetConstMappedRange", "wgpuBufferUnmap", "device"))}
  br label %look
look:
  %tries = phi i64 [0, %start], [%more, %poll]
  %status = load atomic i32, ptr %state acquire, align 4
  %unknown = icmp eq i32 %status, 0
  br i1 %unknown, label %poll, label %known
poll:
  %long = icmp ugt i64 %tries, {POLLS}
  %wait = zext i1 %long to i32
  %empty = call i32 %wgpuDevicePoll(ptr %device, i32 %wait, ptr null)
  %more = add i64 %tries, 1
  br label %look
known:
  %there = icmp eq i32 %status, 1
  br i1 %there, label %read, label %done
read:
  %memory = call ptr %wgpuBufferGetConstMappedRange(ptr %buffer, i64 0, i64 %nbytes)
  br label %copy
copy:
  %at = phi i64 [0, %read], [%next, %copy]
  %from = getelementptr i8, ptr %memory, i64 %at
  %to = getelementptr i8, ptr %out, i64 %at
  %word = load i32, ptr %from
  store i32 %word, ptr %to
  %next = add i64 %at, 4
  %left = icmp ult i64 %next, %nbytes
  br i1 %left, label %copy, label %unmap
unmap:
  call void %wgpuBufferUnmap(ptr %buffer)
  br label %done
done:
  ret i32 %status
}}
"""
_compiled: dict[str, int] | None = None
_building = threading.RLock()
if hasattr(os, "register_at_fork"):  # LLVM has locks of its own: no fork while another thread compiles
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def addresses() -> dict[str, int]:
    """Where the functions are, by their names. ImportError without llvmlite."""
    global _compiled
    with _building:
        if _compiled is None:
            from ..cpu.jit import compile_object, load_objects

            _compiled = load_objects([compile_object(_TEXT)], ["record", "submit", "mapped", "wait"])
        return _compiled


def packed(pipeline: int, group: int, x: int, y: int, z: int) -> tuple[int, int, int, int]:
    """A dispatch as `WORDS` words of 64 bits (x before y in memory, whatever the byte order)."""
    xy = np.array([x, y], np.uint32).view(np.uint64)[0]
    return pipeline, group, int(xy), int(np.array([z, 0], np.uint32).view(np.uint64)[0])
