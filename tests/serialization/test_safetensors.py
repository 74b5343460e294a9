"""Safetensors files against the reference implementation, in both directions."""

import json
import struct
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.errors import Unsupported
from torchlike_asg.serialization import CorruptFileError
from torchlike_asg.serialization.safetensors import load_file, safe_open, save_file

torch = pytest.importorskip("torch")
reference = pytest.importorskip("safetensors.torch")
reference_numpy = pytest.importorskip("safetensors.numpy")

SHAPES = [(), (0,), (1,), (5,), (2, 0, 3), (2, 3, 4)]


def pairs(tools):
    return {f"{name}{shape}": tools.example(name, shape) for name in tools.names if name != "complex128" for shape in SHAPES}


def test_the_reference_reads_what_we_write(tools, tmp_path):
    both = pairs(tools)
    save_file({k: mine for k, (mine, _) in both.items()}, tmp_path / "a.safetensors", metadata={"format": "pt", "\u00e9": "\u4e2d"})
    found = reference.load_file(tmp_path / "a.safetensors")
    assert set(found) == set(both) and all(tools.same(mine, found[k]) and tools.same(mine, theirs) for k, (mine, theirs) in both.items())
    import safetensors

    with safetensors.safe_open(tmp_path / "a.safetensors", framework="pt") as f:
        assert f.metadata() == {"format": "pt", "\u00e9": "\u4e2d"}


def test_we_read_what_the_reference_writes(tools, tmp_path):
    both = pairs(tools)
    reference.save_file({k: theirs for k, (_, theirs) in both.items()}, tmp_path / "a.safetensors", metadata={"k": "v"})
    for mmap in (None, True, False):
        found = load_file(tmp_path / "a.safetensors", mmap=mmap)
        assert set(found) == set(both) and all(tools.same(found[k], theirs) for k, (_, theirs) in both.items())
    with safe_open(tmp_path / "a.safetensors") as f:
        assert f.metadata() == {"k": "v"} and sorted(f.keys()) == sorted(both)
        assert all(tools.same(f.get_tensor(k), theirs) for k, (_, theirs) in both.items())


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.text(min_size=1, max_size=20).filter(lambda s: s != "__metadata__"), unique=True, max_size=5),
    metadata=st.none() | st.dictionaries(st.text(), st.text(), max_size=3),
    seed=st.integers(0, 99),
)
def test_names_and_metadata_of_any_text(names, metadata, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("st") / "t.safetensors"
    values = {name: np.full(seed % 7, seed + i, np.float32) for i, name in enumerate(names)}
    try:
        save_file({name: ours.from_numpy(v) for name, v in values.items()}, path, metadata)
    except UnicodeEncodeError:  # lone surrogates are no text
        return
    assert {k: v.tolist() for k, v in reference_numpy.load_file(path).items()} == {k: v.tolist() for k, v in values.items()}
    with safe_open(path) as f:
        assert f.metadata() == metadata
        assert {k: f.get_tensor(k).tolist() for k in f.keys()} == {k: v.tolist() for k, v in values.items()}


def test_any_layout_numpy_arrays_and_parameters(tmp_path):
    base = ours.arange(6.0).view(2, 3)
    state = {"t": base.t(), "wide": ours.ones(1).expand(4), "n": np.eye(2)[:, ::-1], "p": ours.nn.Parameter(base), "same": base}
    save_file(state, tmp_path / "l.safetensors")
    found = reference.load_file(tmp_path / "l.safetensors")
    assert found["t"].tolist() == [[0, 3], [1, 4], [2, 5]] and found["wide"].tolist() == [1, 1, 1, 1]
    assert found["n"].tolist() == [[0, 1], [1, 0]] and found["p"].tolist() == found["same"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_the_file_is_mapped_and_never_written_to(tmp_path):
    save_file({"w": ours.arange(100.0)}, tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    found = load_file(tmp_path / "m.safetensors", mmap=True)["w"]
    base = found._f.cell.buf
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    found.mul_(2)
    assert found.sum().item() == 9900.0 and (tmp_path / "m.safetensors").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps mapped files from being replaced")
def test_a_mapped_file_may_be_replaced(tmp_path):
    path = tmp_path / "m.safetensors"
    save_file({"w": ours.arange(5.0)}, path)
    old = load_file(path, mmap=True)
    save_file({"w": old["w"] + 1}, path)
    assert old["w"].tolist() == [0, 1, 2, 3, 4] and load_file(path)["w"].tolist() == [1, 2, 3, 4, 5]


def test_slices_and_numpy_framework(tools, tmp_path):
    values = ours.arange(24.0).view(4, 6)
    save_file({"w": values, "h": tools.example("bfloat16", (3, 2))[0]}, tmp_path / "s.safetensors")
    import safetensors

    with (
        safe_open(tmp_path / "s.safetensors", framework="pt", device="cpu") as f,
        safetensors.safe_open(tmp_path / "s.safetensors", framework="pt") as g,
    ):
        for index in (slice(1, 3), (slice(None), slice(2, 5)), (slice(0, 4, 1), 3), Ellipsis, (2, 3)):
            mine, theirs = f.get_slice("w")[index], g.get_slice("w")[index]
            assert tuple(mine.shape) == tuple(theirs.shape) and mine.tolist() == theirs.tolist()
        assert f.get_slice("h").get_dtype() == g.get_slice("h").get_dtype() == "BF16"
        assert f.get_slice("h").get_shape() == g.get_slice("h").get_shape() == [3, 2]
        assert tools.same(f.get_slice("h")[1:], g.get_slice("h")[1:]) and set(f.get_tensors()) == {"w", "h"}
        with pytest.raises(KeyError, match="nothing"):
            f.get_tensor("nothing")
    with pytest.raises(ValueError, match="closed"):
        f.get_tensor("w")
    with safe_open(tmp_path / "s.safetensors", framework="np") as f:
        assert type(f.get_tensor("w")) is np.ndarray and f.get_tensor("h").dtype == np.float32
        assert f.get_slice("w")[0].tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="framework"):
        safe_open(tmp_path / "s.safetensors", framework="jax")


def raw(path, header, data=b""):
    table = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(table)) + table + data)
    return path


def test_unaligned_tensors_and_booleans_that_are_neither(tmp_path):
    header = {"b": {"dtype": "BOOL", "shape": [3], "data_offsets": [0, 3]}, "x": {"dtype": "F32", "shape": [2], "data_offsets": [3, 11]}}
    path = raw(tmp_path / "u.safetensors", header, b"\x00\x01\x07" + np.array([1, 2], "<f4").tobytes())
    found = load_file(path)
    assert found["b"].tolist() == [False, True, True] and (found["x"] * 2).tolist() == [2.0, 4.0]


def test_element_types_we_lack_are_named_when_touched(tmp_path):
    header = {
        "ok": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        "f8": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [4, 6]},
    }
    path = raw(tmp_path / "f.safetensors", header, b"\0" * 6)
    with safe_open(path) as f:
        assert f.get_tensor("ok").tolist() == [0.0]
        with pytest.raises(Unsupported, match=r"f\.safetensors.*'f8'.*F8_E4M3"):
            f.get_tensor("f8")


def test_wrong_content_is_refused_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": ours.ones(1)}, path)
    before = path.read_bytes()
    for bad, error, match in [
        ({"a": 1}, TypeError, "'a'.*int"),
        ({1: ours.ones(1)}, TypeError, "names of tensors"),
        ({"__metadata__": ours.ones(1)}, ValueError, "__metadata__"),
        ({"c": ours.ones(1, dtype=ours.complex128)}, TypeError, "complex128"),
        ({"o": np.array([None])}, TypeError, "object"),
    ]:
        with pytest.raises(error, match=match):
            save_file(bad, path)
    with pytest.raises(TypeError, match="metadata"):
        save_file({}, path, metadata={"a": 1})
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ({"a": entry()}, b"1234"),
        ({"a": entry(shape=(3,))}, b"12345678"),
        ({"a": entry(offsets=(4, 12))}, b"0" * 12),
        ({"a": entry()}, b"0" * 9),
        ({"a": entry(dtype="F99")}, b"0" * 8),
        ({"a": entry(), "b": entry()}, b"0" * 8),
        ({"a": entry(shape=(-2,))}, b"0" * 8),
        ({"a": entry(shape=(2**62, 2**62))}, b"0" * 8),
        ({"a": {"dtype": "F32"}}, b""),
        (b'{"a":', b""),
        (b"[]", b""),
        (b"\xff\xff", b""),
    ],
)
def test_damaged_tables_are_refused(header, data, tmp_path):
    with pytest.raises(CorruptFileError, match=r"d\.safetensors"):
        load_file(raw(tmp_path / "d.safetensors", header, data))


def test_every_truncation_is_noticed_and_names_the_file(tmp_path):
    save_file({"a": ours.arange(5.0), "b": ours.ones(2)}, tmp_path / "t.safetensors")
    whole = (tmp_path / "t.safetensors").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=r"cut\.safetensors"):
            load_file(tmp_path / "cut.safetensors")
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "absent.safetensors")


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=5))
def test_fuzzed_files_fail_cleanly_or_load(changes, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    save_file({"a": ours.arange(5.0), "b": ours.ones(2)}, path, {"k": "v"})
    data = bytearray(path.read_bytes())
    for position, value in changes:
        data[position % len(data)] = value
    path.write_bytes(bytes(data))
    try:
        load_file(path)
    except (CorruptFileError, Unsupported) as error:
        assert "fuzz.safetensors" in str(error)
