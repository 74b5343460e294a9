"""MNIST and the sets in its format: 70,000 grey images of 28 by 28 in ten classes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import torchlike_asg as torch

from .utils import check_integrity, fetch, missing
from .vision import SplitDataset

__all__ = ["KMNIST", "MNIST", "FashionMNIST", "read_idx"]

#: element types of IDX files, by the third byte
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array in a file of the IDX format (two zero bytes, type, number of dimensions, sizes, elements, big-endian), packed or not.

    Raises:
        ValueError: not such a file, or not as long as it says.
    """
    opened = gzip.open(path, "rb") if os.fspath(path).endswith(".gz") else open(path, "rb")
    with opened as f:
        content = f.read()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError(f"{path} is no IDX file")
    dtype, rank = np.dtype(_IDX_TYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    shape = tuple(int(n) for n in np.frombuffer(content, ">i4", rank, 4)) if len(content) >= start else ()
    if len(content) != start + int(np.prod(shape)) * dtype.itemsize or len(shape) != rank:
        raise ValueError(f"{path} is damaged: it says it holds an array of shape {shape}, and has {len(content)} bytes")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


class MNIST(SplitDataset):
    """Handwritten digits: 60,000 training and 10,000 test images.

    Reads the four files ``train-images-idx3-ubyte`` and so on, packed (``.gz``, checked by their MD5 checksums) or unpacked, from
    ``root/MNIST/raw``; with ``download=True`` fetches those that are missing. `data` is uint8 (N, 28, 28), `targets` int64 (N,).

    Raises:
        RuntimeError: files are missing or damaged, or cannot be downloaded.
    """

    mirrors: ClassVar[list[str]] = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources: ClassVar[list[tuple[str, str | None]]] = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    classes: ClassVar[list[str]] = [
        f"{digit} - {name}" for digit, name in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"))
    ]

    def _open(self) -> None:
        images, labels = self._read(self._resource("images")), self._read(self._resource("labels"))
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise RuntimeError(f"the files in {self.raw_folder} do not belong together: images {images.shape}, labels {labels.shape}")
        self.data = torch.from_numpy(images)
        self.targets = torch.from_numpy(labels.astype(np.int64))

    @property
    def raw_folder(self) -> str:
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def _resource(self, kind: str) -> tuple[str, str | None]:
        """(file, checksum) of this half's images or labels."""
        half = "train" if self.train else "t10k"
        return next(resource for resource in self.resources if resource[0].startswith(f"{half}-{kind}"))

    def _found(self, name: str, md5: str | None) -> Path | None:
        """The unpacked file, or the packed one if it is whole."""
        plain = Path(self.raw_folder) / name.removesuffix(".gz")
        if plain.is_file():
            return plain
        packed = Path(self.raw_folder) / name
        return packed if check_integrity(packed, md5) else None

    def _read(self, resource: tuple[str, str | None]) -> np.ndarray[Any, Any]:
        path = self._found(*resource)
        if path is None:
            raise missing(self, Path(self.raw_folder), [name.removesuffix(".gz") for name, _ in self.resources])
        try:
            return read_idx(path)
        except ValueError as error:
            raise RuntimeError(str(error)) from error

    def download(self) -> None:
        """Fetch the files that are not there."""
        for name, md5 in self.resources:
            if self._found(name, md5) is None:
                fetch([mirror + name for mirror in self.mirrors], self.raw_folder, name, md5, f"{type(self).__name__}'s file {name}")


class FashionMNIST(MNIST):
    """Articles of clothing, in MNIST's format."""

    mirrors: ClassVar[list[str]] = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources: ClassVar[list[tuple[str, str | None]]] = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes: ClassVar[list[str]] = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split() + ["Ankle boot"]


class KMNIST(MNIST):
    """Handwritten Japanese characters, in MNIST's format."""

    mirrors: ClassVar[list[str]] = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources: ClassVar[list[tuple[str, str | None]]] = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes: ClassVar[list[str]] = "o ki su tsu na ha ma ya re wo".split()
