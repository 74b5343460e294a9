"""EMNIST, SVHN and STL-10 read what is on disk, check it, and say clearly what is missing."""

import gzip
import hashlib
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from torchlike_asg.vision import datasets, transforms

RNG = np.random.default_rng(0)


def idx(values):
    return struct.pack(f">HBB{values.ndim}i", 0, 8, values.ndim, *values.shape) + values.tobytes()


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("how", ["plain", "packed", "archive"])
def test_emnist_reads_its_files(tmp_path, how, monkeypatch):
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    images = {half: RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8) for half in ("train", "test")}
    labels = np.array([1, 26, 3], np.uint8)
    files = {f"emnist-letters-{half}-images-idx3-ubyte": idx(images[half]) for half in images}
    files |= {f"emnist-letters-{half}-labels-idx1-ubyte": idx(labels) for half in images}
    if how == "archive":
        with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"gzip/{name}.gz", gzip.compress(content))
        monkeypatch.setattr(datasets.EMNIST, "md5", md5(raw / "gzip.zip"))
    else:
        for name, content in files.items():
            (raw / (name if how == "plain" else name + ".gz")).write_bytes(content if how == "plain" else gzip.compress(content))
    for train, half in ((True, "train"), (False, "test")):
        dataset = datasets.EMNIST(tmp_path, "letters", train=train, transform=transforms.ToTensor())
        image, label = dataset[1]
        assert label == 26 and dataset.classes[label] == "z"
        assert np.array_equal(image.numpy()[0], images[half][1].astype(np.float32) / np.float32(255))
    assert len(datasets.EMNIST.classes_split_dict["balanced"]) == 47 and len(datasets.EMNIST.classes_split_dict["byclass"]) == 62


def test_svhn_reads_its_files(tmp_path, monkeypatch):
    io = pytest.importorskip("scipy.io")
    images = RNG.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    io.savemat(tmp_path / "test_32x32.mat", {"X": images, "y": np.array([[10], [1], [9], [2]], np.uint8)})
    monkeypatch.setitem(datasets.SVHN.split_list, "test", ["", "test_32x32.mat", md5(tmp_path / "test_32x32.mat")])
    dataset = datasets.SVHN(str(tmp_path), split="test", transform=transforms.ToTensor())
    assert dataset.labels.tolist() == [0, 1, 9, 2] and dataset.data.shape == (4, 3, 32, 32) and "Split: test" in repr(dataset)
    image, label = dataset[2]
    assert label == 9 and np.array_equal(image.numpy(), images[..., 2].transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("packed", [False, True])
def test_stl10_reads_its_files(tmp_path, monkeypatch, packed):
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    images = {name: RNG.integers(0, 256, (n, 3, 96, 96), dtype=np.uint8) for name, n in (("train", 4), ("test", 2), ("unlabeled", 3))}
    for name, values in images.items():
        values.transpose(0, 1, 3, 2).tofile(folder / f"{name}_X.bin")
    np.array([1, 10, 3, 4], np.uint8).tofile(folder / "train_y.bin")
    np.array([5, 6], np.uint8).tofile(folder / "test_y.bin")
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    (folder / "fold_indices.txt").write_text("0 2 \n1 3 \n" + "0 \n" * 8)
    for which in ("train_list", "test_list"):
        monkeypatch.setattr(datasets.STL10, which, [[name, md5(folder / name)] for name, _ in getattr(datasets.STL10, which)])
    if packed:
        with tarfile.open(tmp_path / "stl10_binary.tar.gz", "w:gz") as archive:
            archive.add(folder, "stl10_binary")
        for file in folder.iterdir():
            file.unlink()
        monkeypatch.setattr(datasets.STL10, "tgz_md5", md5(tmp_path / "stl10_binary.tar.gz"))
    dataset = datasets.STL10(str(tmp_path), transform=transforms.ToTensor())
    image, label = dataset[1]
    assert label == 9 and np.array_equal(image.numpy(), images["train"][1].astype(np.float32) / np.float32(255))
    assert dataset.classes == ["airplane", "bird"]
    assert datasets.STL10(str(tmp_path), folds=1).labels.tolist() == [9, 3]
    assert datasets.STL10(str(tmp_path), "train+unlabeled").labels.tolist() == [0, 9, 2, 3, -1, -1, -1]
    assert datasets.STL10(str(tmp_path), "test").labels.tolist() == [4, 5]
    (folder / "test_y.bin").write_bytes(b"\1")
    if packed:  # unpacked again
        assert len(datasets.STL10(str(tmp_path), "test")) == 2
    else:
        with pytest.raises(RuntimeError, match=r"corrupted.*test_y\.bin"):
            datasets.STL10(str(tmp_path))


def test_splits_that_are_not_there(tmp_path):
    for make in (datasets.EMNIST, datasets.SVHN, datasets.STL10):
        with pytest.raises(ValueError, match="Unknown value 'half' for argument split"):
            make(str(tmp_path), "half")
        with pytest.raises(RuntimeError, match="download=True"):
            make(str(tmp_path), make.splits[1] if hasattr(make, "splits") else "train")
    with pytest.raises(ValueError, match="folds should be in the range"):
        datasets.STL10(str(tmp_path), folds=10)
