"""Data sets read what is on disk, check it, and say clearly what is missing."""

import gzip
import hashlib
import http.server
import pickle
import struct
import tarfile
import threading

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.vision import datasets, transforms
from torchlike_asg.vision.datasets import utils
from torchlike_asg.vision.datasets.mnist import read_idx


def idx(values):
    codes = {"uint8": 8, "int32": 12, "float32": 13}
    head = struct.pack(">HBB", 0, codes[values.dtype.name], values.ndim) + struct.pack(f">{values.ndim}i", *values.shape)
    return head + values.astype(values.dtype.newbyteorder(">")).tobytes()


RNG = np.random.default_rng(0)
IMAGES = {half: RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8) for half, n in (("train", 6), ("t10k", 4))}
LABELS = {half: RNG.integers(0, 10, len(images), dtype=np.uint8) for half, images in IMAGES.items()}
FILES = {f"{half}-images-idx3-ubyte.gz": gzip.compress(idx(IMAGES[half]), mtime=0) for half in IMAGES} | {
    f"{half}-labels-idx1-ubyte.gz": gzip.compress(idx(LABELS[half]), mtime=0) for half in LABELS
}


@pytest.fixture
def small(monkeypatch):
    """MNIST with our own four files, and their checksums."""
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items()]
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [])
    return datasets.MNIST


def put(folder, packed=True):
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / (name if packed else name[:-3])).write_bytes(content if packed else gzip.decompress(content))


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_reads_its_files(small, tmp_path, packed):
    put(tmp_path / "MNIST" / "raw", packed)
    for train, half in ((True, "train"), (False, "t10k")):
        dataset = small(tmp_path, train=train, transform=transforms.ToTensor())
        assert len(dataset) == len(IMAGES[half])
        image, label = dataset[1]
        assert label == LABELS[half][1] and type(label) is int
        assert np.array_equal(image.numpy()[0], IMAGES[half][1].astype(np.float32) / np.float32(255))
        assert dataset.data.shape == (len(IMAGES[half]), 28, 28) and dataset.targets.dtype is torch.int64
    assert dataset.classes[3] == "3 - three" and dataset.class_to_idx["3 - three"] == 3


def test_mnist_describes_itself(small, tmp_path):
    put(tmp_path / "MNIST" / "raw")
    dataset = small(str(tmp_path), transform=transforms.Compose([transforms.ToTensor()]), target_transform=str)
    assert dataset[0][1] == str(LABELS["train"][0])
    assert repr(dataset).splitlines() == [
        "Dataset MNIST",
        "    Number of datapoints: 6",
        f"    Root location: {tmp_path}",
        "    Split: Train",
        "    StandardTransform",
        "    Transform: Compose(",
        "                   ToTensor()",
        "               )",
        f"    Target transform: {str!r}",
    ]


def test_samples_are_pictures_or_bytes(small, tmp_path, monkeypatch):
    import sys

    put(tmp_path / "MNIST" / "raw")
    image = pytest.importorskip("PIL.Image")
    assert isinstance(small(tmp_path)[0][0], image.Image)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    picture = small(tmp_path)[0][0]
    assert isinstance(picture, np.ndarray) and np.array_equal(picture, IMAGES["train"][0])


def test_missing_and_damaged_files(small, tmp_path):
    with pytest.raises(RuntimeError, match=r"download=True.*MNIST looks in .*raw for train-images-idx3-ubyte"):
        small(tmp_path)
    put(tmp_path / "MNIST" / "raw")
    damaged = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        small(tmp_path)
    (damaged.parent / damaged.stem).write_bytes(idx(IMAGES["train"])[:-5])
    with pytest.raises(RuntimeError, match="damaged"):
        small(tmp_path)


def test_idx_files(tmp_path):
    for values in (np.arange(12, dtype=np.int32).reshape(3, 4), np.linspace(0, 1, 5, dtype=np.float32)):
        (tmp_path / "f").write_bytes(idx(values))
        assert np.array_equal(read_idx(tmp_path / "f"), values) and read_idx(tmp_path / "f").dtype == values.dtype
    (tmp_path / "f").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="no IDX file"):
        read_idx(tmp_path / "f")


@pytest.fixture
def server():
    """A server of FILES on this machine; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = FILES.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}/"
        running.shutdown()
        thread.join()


def test_download_takes_the_next_mirror(small, tmp_path, server, monkeypatch, capfd):
    monkeypatch.setattr(small, "mirrors", [f"{server}nowhere/", server])
    dataset = small(tmp_path, download=True)
    assert np.array_equal(dataset.data.numpy(), IMAGES["train"])
    assert "100%" in capfd.readouterr().err
    monkeypatch.setattr(small, "mirrors", [])
    assert len(small(tmp_path, train=False, download=True)) == 4  # nothing is missing: nothing is fetched


def test_download_without_a_network_says_what_to_do(small, tmp_path, server, monkeypatch):
    monkeypatch.setattr(small, "mirrors", [f"{server}nowhere/"])
    with pytest.raises(RuntimeError, match=r"could not download MNIST's file train-images(.|\n)*404(.|\n)*put it into the folder"):
        small(tmp_path, download=True)
    assert not list((tmp_path / "MNIST" / "raw").iterdir())


def test_a_wrong_checksum_is_refused(tmp_path, server):
    name = next(iter(FILES))
    with pytest.raises(RuntimeError, match="MD5 checksum"):
        utils.fetch([server + name], tmp_path, name, "0" * 32)
    assert not list(tmp_path.iterdir())
    utils.download_url(server + name, tmp_path, md5=hashlib.md5(FILES[name]).hexdigest())
    assert (tmp_path / name).read_bytes() == FILES[name]


def cifar(folder, labels_key, batches, meta, key):
    folder.mkdir(parents=True)
    for name, n in batches.items():
        labels = RNG.integers(0, 3, n).tolist()
        (folder / name).write_bytes(pickle.dumps({"data": RNG.integers(0, 256, (n, 3072), dtype=np.uint8), labels_key: labels}))
    (folder / meta).write_bytes(pickle.dumps({key: ["cat", "dog", "ship"]}))
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture(params=["CIFAR10", "CIFAR100"])
def small_cifar(request, tmp_path, monkeypatch):
    kind = getattr(datasets, request.param)
    train, test = [name for name, _ in kind.train_list], [name for name, _ in kind.test_list]
    sums = cifar(
        tmp_path / kind.base_folder,
        "labels" if kind is datasets.CIFAR10 else "fine_labels",
        {name: 3 for name in train} | {name: 2 for name in test},
        kind.meta["filename"],
        kind.meta["key"],
    )
    monkeypatch.setattr(kind, "train_list", [[name, sums[name]] for name in train])
    monkeypatch.setattr(kind, "test_list", [[name, sums[name]] for name in test])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
    return kind


def test_cifar_reads_its_files(small_cifar, tmp_path):
    dataset = small_cifar(tmp_path, transform=transforms.ToTensor())
    assert len(dataset) == 3 * len(small_cifar.train_list) and dataset.classes == ["cat", "dog", "ship"]
    with open(tmp_path / small_cifar.base_folder / small_cifar.train_list[0][0], "rb") as f:
        batch = pickle.load(f)
    image, label = dataset[2]
    assert label == batch["labels" if "labels" in batch else "fine_labels"][2]
    assert np.array_equal(image.numpy(), batch["data"][2].reshape(3, 32, 32).astype(np.float32) / np.float32(255))
    assert len(small_cifar(tmp_path, train=False)) == 2


def test_cifar_unpacks_its_archive(small_cifar, tmp_path, monkeypatch):
    folder = tmp_path / small_cifar.base_folder
    with tarfile.open(tmp_path / small_cifar.filename, "w:gz") as archive:
        archive.add(folder, small_cifar.base_folder)
    monkeypatch.setattr(small_cifar, "tgz_md5", utils.calculate_md5(tmp_path / small_cifar.filename))
    for path in folder.iterdir():
        path.unlink()
    assert len(small_cifar(tmp_path, train=False)) == 2


def test_cifar_refuses_other_files(small_cifar, tmp_path, monkeypatch):
    path = tmp_path / small_cifar.base_folder / small_cifar.test_list[0][0]

    class Bad:
        def __reduce__(self):
            return print, ("ran",)

    path.write_bytes(pickle.dumps(Bad()))
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        small_cifar(tmp_path, train=False)
    monkeypatch.setattr(small_cifar, "test_list", [[path.name, None]])
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"):
        small_cifar(tmp_path, train=False)


def test_archives_cannot_leave_their_folder(tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(outside, "../escaped.txt")
    (tmp_path / "in").mkdir()
    with pytest.raises(tarfile.OutsideDestinationError):
        utils.extract_archive(tmp_path / "a.tar", tmp_path / "in")
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"hello"))
    assert utils.extract_archive(tmp_path / "text.gz", tmp_path / "in").read_bytes() == b"hello"
    with pytest.raises(RuntimeError, match="no tar, zip or gz"):
        utils.extract_archive(outside)


# ===== Folders


@pytest.fixture
def tree(tmp_path):
    for name in ("b/2.txt", "b/1.txt", "a/deep/3.txt", "a/4.dat"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_folders_are_classes(tree):
    dataset = datasets.DatasetFolder(tree, lambda path: open(path).read(), (".txt",), target_transform=lambda t: -t)
    assert dataset.classes == ["a", "b"] and dataset.class_to_idx == {"a": 0, "b": 1} and dataset.targets == [0, 1, 1]
    assert [path.removeprefix(str(tree)) for path, _ in dataset.samples] == ["/a/deep/3.txt", "/b/1.txt", "/b/2.txt"]


def test_folders_that_hold_nothing(tree, tmp_path):
    (tree / "c").mkdir()
    with pytest.raises(FileNotFoundError, match=r"Found no valid file for the classes c\. Supported extensions are: \.txt"):
        datasets.DatasetFolder(tree, open, (".txt",))
    assert len(datasets.DatasetFolder(tree, open, (".txt",), allow_empty=True)) == 3
    with pytest.raises(ValueError, match="Both extensions and is_valid_file"):
        datasets.DatasetFolder(tree, open)
    with pytest.raises(FileNotFoundError, match="any class folder"):
        datasets.ImageFolder(tree / "c")


def test_image_folder_reads_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        image.fromarray(np.full((4, 5), 100 * i, np.uint8)).save(tmp_path / name / "x.png")
        (tmp_path / name / "notes.txt").write_text("not an image")
    dataset = datasets.ImageFolder(tmp_path, transforms.ToTensor())
    assert len(dataset) == 2 and dataset.imgs is dataset.samples
    picture, label = dataset[1]
    assert label == 1 and picture.shape == (3, 4, 5) and picture[0, 0, 0].item() == np.float32(100) / np.float32(255)


def test_fake_data_leaves_the_generator_alone():
    pytest.importorskip("PIL")
    dataset = datasets.FakeData(5, (3, 8, 8), 10, transforms.PILToTensor())
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    image, label = dataset[2]
    assert torch.equal(torch.rand(1), first) and torch.equal(dataset[2][0], image) and 0 <= label < 10
    assert not torch.equal(dataset[3][0], image) and len(dataset) == 5
    with pytest.raises(IndexError):
        dataset[5]


def test_a_loader_of_prepared_samples(small, tmp_path):
    put(tmp_path / "MNIST" / "raw")
    prepare = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    loader = torch.utils.data.DataLoader(small(tmp_path, transform=prepare), batch_size=4)
    batches = list(loader)
    assert [tuple(images.shape) for images, _ in batches] == [(4, 1, 28, 28), (2, 1, 28, 28)]
    wanted = (IMAGES["train"][0].astype(np.float32) / np.float32(255) - np.float32(0.1307)) / np.float32(0.3081)
    assert np.array_equal(batches[0][0][0, 0].numpy(), wanted)


def test_data_sets_that_are_not_here_say_so():
    with pytest.raises(NotImplementedError, match="ImageFolder"):
        _ = datasets.CelebA
    with pytest.raises(ValueError, match="Only transforms or"):
        datasets.VisionDataset("x", transforms=str, transform=str)
