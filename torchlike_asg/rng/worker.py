"""Seeds of data loading processes."""

from __future__ import annotations

import numpy as np

__all__ = ["numpy_seed_words"]


def numpy_seed_words(base_seed: int, worker_id: int) -> list[int]:
    """The four 32-bit words worker `worker_id` passes to ``numpy.random.seed``; `base_seed` is non-negative and below 2^64.

    The worker's torch generator and Python's `random` take ``base_seed + worker_id``; were NumPy's Mersenne Twister seeded with that
    number too, it would give the same words as `random`. PyTorch hashes both numbers as NumPy's SeedSequence does (O'Neill's seed_seq_fe).
    """
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return np.random.SeedSequence(entropy).generate_state(4).tolist()
