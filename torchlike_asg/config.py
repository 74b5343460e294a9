"""Switches of the whole package. Set them as attributes: ``torchlike_asg.config.eager = True``."""

from __future__ import annotations

import os

from .processors import default_threads

#: Compute operations one at a time through the NumPy references, where values are asked for: is a wrong number the compiler's?
eager = False
#: Draw masks of dropout, uniform and normal numbers from the counter-based generator, as GPUs do, not from PyTorch's Mersenne Twister.
fused_random = False
#: Plans kept per thread before the least recently used one is dropped.
max_plans = 512
#: Graph nodes kept before unused ones are compacted away.
max_nodes = 400_000
#: Check the graph after every compiler pass (slow; the test suite turns it on).
lint = False
#: Check every computed value for NaN and report the operation that made the first one (see autograd.detect_anomaly).
detect_anomaly = False
#: What computes tensors on the CPU: "cpu" (compiled kernels) or "reference" (NumPy, one operation at a time).
backend = os.environ.get("TORCHLIKE_ASG_BACKEND", "cpu")
#: Interpret programs of ever new sizes by the references, where compiling each for one use takes longer (`compiler.interpretation`). A sum
#: may then be rounded otherwise than by the kernels that compute it when it comes again; never so under `use_deterministic_algorithms`.
interpret = True
#: Compute convolutions directly, never by Winograd's algorithm, which is faster and rounds a little more.
exact_conv = False
#: Have a GPU add up what goes to one place in a fixed order, not as it comes (set by `use_deterministic_algorithms`).
deterministic = False
#: While `deterministic` is set, fill memory that PyTorch leaves uninitialised as it does then: with NaN, or the largest integer.
fill_uninitialized = True
#: Where compiled code is kept: a folder, "off", or None for ``TORCHLIKE_ASG_CACHE`` and, without that, the platform's place for caches.
cache: str | None = None
#: Threads one operation may use on the CPU (`set_num_threads`).
threads = default_threads()
