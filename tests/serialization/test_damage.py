"""Damaged files: every failure names the file."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.errors import Unsupported
from torchlike_asg.serialization import CorruptFileError, UnsafeContentError, load, save
from torchlike_asg.serialization.legacy import MAGIC

EXPECTED = (CorruptFileError, UnsafeContentError, Unsupported)
#: what a file in the format before archives begins and ends with
LEGACY = b"".join(pickle.dumps(x, 2) for x in (MAGIC, 1001, {}, []))


def sample(zipped=True):
    buffer = io.BytesIO()
    state = {"w": ours.arange(50.0), "b": ours.ones(3), "n": [1, 2, "three"], "v": np.arange(4)}
    save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_truncation_is_noticed_and_names_the_file(zipped, tmp_path):
    whole = sample(zipped)
    for length in sorted({*range(0, len(whole), 7), *range(len(whole) - 40, len(whole)), *range(40)}):
        (tmp_path / "cut.pt").write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=r"cut\.pt"):
            load(tmp_path / "cut.pt")


def test_every_changed_byte_of_content_is_noticed_by_its_checksum():
    whole = sample()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = {e.filename: e for e in archive.infolist()}
    for name, entry in entries.items():
        start = whole.index(archive_content(whole, name), entry.header_offset)
        for position in range(start, start + entry.file_size, 11):
            damaged = bytearray(whole)
            damaged[position] ^= 0x10
            if name.endswith("version"):
                continue  # not read
            with pytest.raises(CorruptFileError):
                load(io.BytesIO(bytes(damaged)))


def archive_content(whole, name):
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return archive.read(name)


@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zipped=st.booleans(),
    mapped=st.booleans(),
    changes=st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.integers(0, 30),
)
@example(zipped=True, mapped=False, changes=[(4618, 7)], cut=0)  # a record that would begin before the file
def test_fuzzed_files_fail_cleanly_or_load(zipped, mapped, changes, cut, tmp_path):
    data = bytearray(sample(zipped))
    for position, value in changes:
        data[position % len(data)] = value
    (tmp_path / "fuzz.pt").write_bytes(bytes(data[: len(data) - cut]))
    try:
        load(tmp_path / "fuzz.pt", mmap=mapped and zipped)
    except (CorruptFileError, UnsafeContentError, Unsupported) as error:
        assert "fuzz.pt" in str(error)
    except RuntimeError as error:
        assert "is not one: load it without mmap" in str(error) or "not available here" in str(error)


def test_a_tensor_where_a_flag_should_be_is_damage():
    from torchlike_asg.serialization.writer import GlobalName, PersistentId, PickleWriter, Reduce

    storage = PersistentId(("storage", GlobalName("torch", "FloatStorage"), "0", "cpu", 4))
    inner = Reduce(GlobalName("torch._utils", "_rebuild_tensor"), (storage, 0, (4,), (1,)))
    outer = Reduce(GlobalName("torch._utils", "_rebuild_tensor_v2"), (storage, 0, (4,), (1,), inner, {}))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", PickleWriter(lambda x: None).dumps(outer))
        archive.writestr("a/data/0", b"\0" * 16)
    buffer.seek(0)
    with pytest.raises(CorruptFileError, match="ambiguous"):
        load(buffer)


PIECES = st.sampled_from(
    [bytes((op,)) for op in b"()]}tedsuabRQ012N.\x81\x85\x86\x87\x93"] + [b"\xff\xff\xff\x7f", b"\0\0\0\0", b"K\x05", b""]
)


@settings(max_examples=400, deadline=5000)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 6), PIECES | st.binary(max_size=3)), min_size=1, max_size=4), st.booleans())
def test_fuzzed_pickles_in_intact_archives_fail_cleanly_or_load(changes, weights_only):
    with zipfile.ZipFile(io.BytesIO(sample())) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    pickled = bytearray(parts["archive/data.pkl"])
    for position, length, piece in changes:
        position %= len(pickled) + 1
        pickled[position : position + length] = piece
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (parts | {"archive/data.pkl": bytes(pickled)}).items():
            archive.writestr(name, content)
    buffer.seek(0)
    try:
        load(buffer, weights_only=weights_only, map_location="cpu")
    except EXPECTED as error:
        assert "BytesIO" in str(error)


@settings(max_examples=300, deadline=5000)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", LEGACY, b"\x80\x02", b"PK\x05\x06"]))
def test_arbitrary_bytes_fail_cleanly(tail, head):
    with pytest.raises(EXPECTED):
        load(io.BytesIO(head + tail + b"\xff"))


def test_foreign_files_are_recognised(tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "old.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("sys_info"))
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "text.pt").write_text("<html>404</html>" * 50)
    ours.serialization.safetensors.save_file({"a": ours.ones(1)}, tmp_path / "m.safetensors")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hi")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(1))
        archive.writestr("m/constants.pkl", pickle.dumps(()))
    hints = {
        "old.tar": "tar format",
        "plain.pkl": "not one that torch.save has written",
        "empty.pt": "is empty",
        "text.pt": "not a file that torch.save has written",
        "m.safetensors": "load_file",
        "other.zip": "data.pkl",
        "script.pt": "TorchScript",
    }
    for name, hint in hints.items():
        with pytest.raises(CorruptFileError, match=hint) as caught:
            load(tmp_path / name)
        assert name in str(caught.value)
