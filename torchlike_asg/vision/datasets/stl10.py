"""STL-10: colour images of 96 by 96 in ten classes, and many without one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .utils import check_integrity, extract_archive, fetch, missing
from .vision import SplitDataset

__all__ = ["STL10"]

_SIDE = 96


class STL10(SplitDataset):
    """Ten classes: "train" 5,000, "test" 8,000, "unlabeled" 100,000 images, whose class is -1, and "train+unlabeled".

    `folds` (0 to 9) takes one of the folds of a thousand training images that results are compared on. Reads the files, checked by
    their MD5 checksums, from ``root/stl10_binary``, unpacking ``root/stl10_binary.tar.gz`` if only that is there; with
    ``download=True`` fetches it. `data` is a uint8 array (N, 3, 96, 96), `labels` an array.

    Raises:
        ValueError: there is no such split or fold.
        RuntimeError: files are missing or damaged, or cannot be downloaded.
    """

    base_folder = "stl10_binary"
    url = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    filename = "stl10_binary.tar.gz"
    tgz_md5: str | None = "91f7769df0f17e558f3565bffb0c7dfb"
    class_names_file = "class_names.txt"
    folds_list_file = "fold_indices.txt"
    train_list: ClassVar[list[list[Any]]] = [
        ["train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"],
        ["train_y.bin", "5a34089d4802c674881badbb80307741"],
        ["unlabeled_X.bin", "5242ba1fed5e4be9e1e742405eb56ca4"],
    ]
    test_list: ClassVar[list[list[Any]]] = [
        ["test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"],
        ["test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"],
    ]
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        folds: int | None = None,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
        download: bool = False,
    ) -> None:
        if split not in self.splits:
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {{{', '.join(map(repr, self.splits))}}}.")
        if folds is not None and folds not in range(10):
            raise ValueError(f"Value for argument folds should be in the range [0, 10), but got {folds}.")
        self.split, self.folds = split, folds
        super().__init__(root, split != "test", transform, target_transform, download)

    @property
    def targets(self) -> Any:  # type: ignore[override]
        return self.labels

    def _open(self) -> None:
        if not self._check_integrity() and check_integrity(Path(self.root, self.filename), self.tgz_md5):
            extract_archive(Path(self.root, self.filename), self.root)
        if not self._check_integrity():
            raise missing(self, self._folder, [name for name, _ in (*self.train_list, *self.test_list)])
        parts = []
        if self.split == "test":
            parts.append((self._images("test_X.bin"), self._labels("test_y.bin")))
        if self.split.startswith("train"):
            images, labels = self._images("train_X.bin"), self._labels("train_y.bin")
            chosen = self._fold()
            parts.append((images, labels) if chosen is None else (images[chosen], labels[chosen]))
        if self.split.endswith("unlabeled"):
            images = self._images("unlabeled_X.bin")
            parts.append((images, np.full(len(images), -1)))
        self.data = np.concatenate([images for images, _ in parts])
        self.labels = np.concatenate([labels for _, labels in parts])
        names = self._folder / self.class_names_file
        if names.is_file():
            self.classes = names.read_text().split()

    @property
    def _folder(self) -> Path:
        return Path(self.root, self.base_folder)

    def _images(self, name: str) -> np.ndarray[Any, Any]:
        """(N, 3, 96, 96), of columns in the file."""
        return np.fromfile(self._folder / name, np.uint8).reshape(-1, 3, _SIDE, _SIDE).transpose(0, 1, 3, 2)

    def _labels(self, name: str) -> np.ndarray[Any, Any]:
        return np.fromfile(self._folder / name, np.uint8).astype(np.int64) - 1

    def _fold(self) -> np.ndarray[Any, Any] | None:
        if self.folds is None:
            return None
        lines = (self._folder / self.folds_list_file).read_text().splitlines()
        return np.array(lines[self.folds].split(), np.int64)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._sample(np.transpose(self.data[index], (1, 2, 0)), int(self.labels[index]))

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._folder / name, md5) for name, md5 in (*self.train_list, *self.test_list))

    def download(self) -> None:
        """Fetch and unpack the archive unless the files are there and whole."""
        if not self._check_integrity():
            extract_archive(fetch([self.url], self.root, self.filename, self.tgz_md5, "STL10"), self.root)

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
