"""Where save writes to and load reads from: paths, streams, mapped memory, foreign byte orders, devices."""

import io
import pickle
import zipfile

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import devices
from torchlike_asg.errors import Unsupported
from torchlike_asg.serialization import CorruptFileError, Storage, load, save
from torchlike_asg.serialization.legacy import MAGIC
from torchlike_asg.serialization.writer import GlobalName, PersistentId, PickleWriter, Reduce

torch = pytest.importorskip("torch")


def via_buffer(obj, **keywords):
    buffer = io.BytesIO()
    save(obj, buffer, **keywords)
    buffer.seek(0)
    return buffer


# -- files and streams ------------------------------------------------------------------------------------------------


def test_paths_and_streams(tmp_path):
    for target in (tmp_path / "a.pt", str(tmp_path / "b.pt")):
        save([1, ours.ones(2)], target)
        assert load(target)[1].tolist() == [1.0, 1.0]
    with open(tmp_path / "c.pt", "wb") as stream:
        save(ours.ones(2), stream)
    with open(tmp_path / "c.pt", "rb") as stream:
        assert torch.load(stream).tolist() == [1.0, 1.0]
        stream.seek(0)
        assert load(stream).tolist() == [1.0, 1.0]


def test_streams_that_only_write_and_only_read():
    class Writer:
        def __init__(self):
            self.pieces = []

        def write(self, piece):
            self.pieces.append(bytes(piece))

    class Reader:
        def __init__(self, content):
            self.read = io.BytesIO(content).read

    for zipped in (True, False):
        writer = Writer()
        save({"w": ours.arange(3.0)}, writer, _use_new_zipfile_serialization=zipped)
        content = b"".join(writer.pieces)
        assert torch.load(io.BytesIO(content))["w"].tolist() == [0.0, 1.0, 2.0]
        assert load(Reader(content))["w"].tolist() == [0.0, 1.0, 2.0]


def test_stream_in_the_middle_of_other_content():
    for zipped in (True, False):
        buffer = io.BytesIO(b"header!")
        buffer.seek(7)
        save(ours.arange(3.0), buffer, _use_new_zipfile_serialization=zipped)
        buffer.seek(7)
        assert load(buffer).tolist() == [0.0, 1.0, 2.0]


def test_legacy_objects_one_after_the_other():
    buffer = io.BytesIO()
    for number in range(3):
        save({"n": number, "t": ours.full((2,), float(number))}, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    for number in range(3):
        found = load(buffer)
        assert found["n"] == number and found["t"].tolist() == [number, number]


def test_text_streams_and_wrong_arguments_are_refused(tmp_path):
    with open(tmp_path / "x", "w") as stream, pytest.raises(TypeError, match="binary"):
        save(1, stream)
    with open(tmp_path / "x") as stream, pytest.raises(TypeError, match="binary"):
        load(stream)
    for call in (lambda: save(1, 5), lambda: load(5)):
        with pytest.raises(AttributeError, match="expected 'f'"):
            call()
    with pytest.raises(Unsupported, match="pickle_module"):
        save(1, tmp_path / "x", pickle_module=io)
    with pytest.raises(Unsupported, match="pickle_module"):
        load(tmp_path / "x", pickle_module=io)
    with pytest.raises(ValueError, match="protocol"):
        save(1, tmp_path / "x", pickle_protocol=99)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.pt")
    with pytest.raises(RuntimeError, match=r"Parent directory .*absent does not exist"):
        save(1, tmp_path / "absent" / "x.pt")


def test_what_cannot_be_saved_leaves_the_old_file(tmp_path):
    save([1], tmp_path / "a.pt")
    for zipped in (True, False):
        for bad in (lambda x: x, (n for n in "a"), io.BufferedReader(io.BytesIO())):
            with pytest.raises(pickle.PicklingError):
                save([ours.ones(2), bad], tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    assert load(tmp_path / "a.pt") == [1] and [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_storages_are_aligned_and_64_bit_sizes_work(tmp_path, monkeypatch):
    state = {f"w{n}": ours.arange(float(n)) for n in range(1, 40)}
    for limit in (zipfile.ZIP64_LIMIT, 10):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        save(state, tmp_path / "w.pt")
        with zipfile.ZipFile(tmp_path / "w.pt") as archive, open(tmp_path / "w.pt", "rb") as stream:
            assert archive.testzip() is None
            for entry in archive.infolist():
                stream.seek(entry.header_offset + 26)
                lengths = np.frombuffer(stream.read(4), "<u2")
                if "/data/" in entry.filename:
                    assert (entry.header_offset + 30 + int(lengths.sum())) % 64 == 0
        for found in (torch.load(tmp_path / "w.pt"), load(tmp_path / "w.pt"), load(tmp_path / "w.pt", mmap=True)):
            assert all(found[name].tolist() == state[name].tolist() for name in state)


def test_mmap_reads_lazily_and_keeps_the_file(tmp_path):
    torch.save({"w": torch.arange(1000.0), "b": torch.tensor([True, False])}, tmp_path / "m.pt")
    before = (tmp_path / "m.pt").read_bytes()
    found = load(tmp_path / "m.pt", mmap=True)
    base = found["w"]._f.cell.buf
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    found["w"].add_(1)
    assert found["w"].sum().item() == 500_500.0 and found["b"].tolist() == [True, False]
    assert (tmp_path / "m.pt").read_bytes() == before
    with pytest.raises(ValueError, match="file path"):
        load(io.BytesIO(before), mmap=True)
    save(1, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match="mmap can only be used with zip files"):
        load(tmp_path / "old.pt", mmap=True)


def test_files_without_checksums_are_read(tmp_path):
    from torch.serialization import set_crc32_options

    set_crc32_options(False)
    try:
        torch.save({"w": torch.arange(100.0)}, tmp_path / "n.pt")
    finally:
        set_crc32_options(True)
    assert load(tmp_path / "n.pt")["w"].sum().item() == 4950.0


def test_repacked_compressed_archives_are_read(tmp_path):
    torch.save({"w": torch.arange(100.0)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for mmap in (False, True):
        assert load(tmp_path / "b.pt", mmap=mmap)["w"].sum().item() == 4950.0


def test_big_endian_files_are_read(tmp_path):
    values = {"f": np.arange(5, dtype=np.float64), "i": np.arange(5, dtype=np.int16), "c": np.arange(3) + 1j, "b": np.array([True, False])}
    torch.save({k: torch.from_numpy(v) for k, v in values.items()}, tmp_path / "l.pt")
    with zipfile.ZipFile(tmp_path / "l.pt") as old, zipfile.ZipFile(tmp_path / "b.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            if "/data/" in name:
                value = list(values.values())[int(name.rpartition("/")[2])]
                content = np.frombuffer(content, value.dtype).byteswap().tobytes()
            new.writestr(name, content)
    found = load(tmp_path / "b.pt")
    assert all(np.array_equal(found[k].numpy(), v) for k, v in values.items())


def test_text_of_python_2(tmp_path):
    header = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."
    (tmp_path / "py2.pt").write_bytes(header + b"\x80\x02}U\x03ke\xe9K\x01s." + b"\x80\x02].")
    with pytest.raises(CorruptFileError, match=r"py2\.pt"):
        load(tmp_path / "py2.pt")
    assert load(tmp_path / "py2.pt", encoding="latin1") == {"ke\xe9": 1}
    assert load(tmp_path / "py2.pt", encoding="bytes") == {b"ke\xe9": 1}


def test_tensors_of_the_first_versions(tmp_path):
    """Rebuilt without requires_grad, over storages that are parts of others."""
    storage = ("storage", GlobalName("torch", "FloatStorage"), "77", "cpu", 6)
    whole = Reduce(GlobalName("torch._utils", "_rebuild_tensor"), (PersistentId((*storage, None)), 0, (2, 3), (3, 1)))
    part = Reduce(GlobalName("torch._utils", "_rebuild_tensor"), (PersistentId((*storage, ("88", 2, 4))), 1, (3,), (1,)))
    pickles = [PickleWriter(lambda x: None).dumps(x) for x in (MAGIC, 1001, {}, [whole, part], ["77"])]
    (tmp_path / "old.pt").write_bytes(b"".join(pickles) + np.array([6]).tobytes() + np.arange(6, dtype="<f4").tobytes())
    for whole, part in (torch.load(tmp_path / "old.pt", weights_only=False), load(tmp_path / "old.pt")):
        assert whole.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] and part.tolist() == [3.0, 4.0, 5.0]
        whole.zero_()
        assert part.tolist() == [0.0, 0.0, 0.0]


# -- map_location -----------------------------------------------------------------------------------------------------


def on_cuda(tmp_path):
    """A file whose storages are on cuda:0, as torch writes it on a machine that has one."""
    torch.save({"w": torch.arange(3.0)}, tmp_path / "cpu.pt")
    with zipfile.ZipFile(tmp_path / "cpu.pt") as old, zipfile.ZipFile(tmp_path / "cuda.pt", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"))
    return tmp_path / "cuda.pt"


def test_map_location_in_all_its_forms(tmp_path):
    path = on_cuda(tmp_path)
    seen = []

    def keep(storage, location):
        seen.append((type(storage), location, storage.nbytes(), len(storage)))
        return storage

    cpu = devices.device("cpu")
    for where in ("cpu", cpu, {"cuda:0": "cpu"}, keep, lambda storage, location: storage.cpu()):
        found = load(path, map_location=where)["w"]
        assert found.tolist() == [0.0, 1.0, 2.0] and found.device == cpu
    assert seen == [(Storage, "cuda:0", 12, 12)]
    assert load(tmp_path / "cpu.pt", map_location=lambda storage, location: None)["w"].tolist() == [0.0, 1.0, 2.0]


def test_devices_that_are_not_there(tmp_path):
    path = on_cuda(tmp_path)
    for where in (None, {"cpu": "cuda:0"}, lambda storage, location: None):
        with pytest.raises(RuntimeError, match=r"cuda\.pt.*'cuda:0'.*map_location='cpu'"):
            load(path, map_location=where)
    with pytest.raises(RuntimeError, match="CUDA"):
        load(path, map_location="cuda")
    with pytest.raises(RuntimeError, match="CUDA"):
        load(path, map_location=lambda storage, location: storage.cuda())
    with pytest.raises(TypeError, match="map_location"):
        load(path, map_location=3.5)
    with pytest.raises(TypeError, match="map_location returned"):
        load(path, map_location=lambda storage, location: 5)
