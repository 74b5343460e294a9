"""Seeds of data loading processes against torch's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg.rng.worker import numpy_seed_words


@given(st.integers(0, 2**63 - 1), st.integers(0, 4000))
def test_seed_words_are_torchs(base_seed: int, worker_id: int) -> None:
    worker = pytest.importorskip("torch.utils.data._utils.worker")
    assert numpy_seed_words(base_seed, worker_id) == worker._generate_state(base_seed, worker_id)


def test_recorded_words() -> None:
    assert numpy_seed_words(0, 0) == GOLDEN[0, 0]
    assert numpy_seed_words(2**63 - 1, 3) == GOLDEN[2**63 - 1, 3]
    assert numpy_seed_words(123456789, 1) == GOLDEN[123456789, 1]


GOLDEN = {
    (0, 0): [2968811710, 3677149159, 745650761, 2884920346],
    (9223372036854775807, 3): [1885505632, 4179896284, 1438801625, 814051130],
    (123456789, 1): [1936433729, 2041946705, 3328282604, 4176281814],
}
