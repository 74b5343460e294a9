"""The pool of a device's buffers."""

import gc

from .harness import device


def test_a_buffer_outlives_the_cycle_that_its_block_dies_in():
    d = device()
    block = d.pool.take(77_777, "a test")
    size = block.nbytes
    cycle = [block]
    cycle.append(cycle)
    del block, cycle
    gc.collect()
    again = d.pool.take(77_777, "a test")
    assert again.nbytes == size
    d.queue.write_buffer(again.buffer, 0, bytes(range(16)))
    assert d.read(again.buffer, 16).tolist() == list(range(16))
