"""``skip_data``: files of PyTorch's size and structure without numbers."""

import io

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")
from torchlike_asg.serialization import skip_data  # noqa: E402


def test_saving_without_numbers():
    content = {"w": ours.arange(6.0).reshape(2, 3), "n": 3}
    whole, blank = io.BytesIO(), io.BytesIO()
    ours.save(content, whole)
    with skip_data():
        ours.save(content, blank)
    assert len(whole.getvalue()) == len(blank.getvalue())
    for lib in (ours, torch):
        blank.seek(0)
        found = lib.load(blank)
        assert found["n"] == 3 and found["w"].tolist() == [[0.0] * 3] * 2


def test_loading_without_numbers():
    file = io.BytesIO()
    torch.save({"w": torch.ones(2, 3), "i": torch.arange(4)}, file)
    file.seek(0)
    with skip_data(), skip_data(materialize_fake_tensors=True):
        found = ours.load(file)
    assert found["w"].shape == (2, 3) and found["i"].dtype is ours.int64 and not found["w"].any()
    file.seek(0)
    assert ours.load(file)["w"].numpy().sum() == np.float32(6)


def test_the_old_format_is_refused():
    with skip_data(), pytest.raises(RuntimeError, match="Cannot use skip_data"):
        ours.save({}, io.BytesIO(), _use_new_zipfile_serialization=False)
