"""CIFAR-10 and CIFAR-100: 60,000 colour images of 32 by 32."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .utils import check_integrity, extract_archive, fetch, missing
from .vision import SplitDataset

__all__ = ["CIFAR10", "CIFAR100"]

#: what the batches' pickles are made of; anything else in one is refused
_PERMITTED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PERMITTED:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no CIFAR batch holds")
        if name == "_reconstruct":
            module = "numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray"
        return super().find_class(module, name)


class CIFAR10(SplitDataset):
    """Ten classes of animals and vehicles: 50,000 training and 10,000 test images.

    Reads the batches, checked by their MD5 checksums, from ``root/cifar-10-batches-py``, unpacking ``root/cifar-10-python.tar.gz`` if
    only that is there; with ``download=True`` fetches it. `data` is a uint8 array (N, 32, 32, 3), `targets` a list.

    Raises:
        RuntimeError: files are missing or damaged, or cannot be downloaded.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    filename = "cifar-10-python.tar.gz"
    tgz_md5: str | None = "c58f30108f718f92721af3b95e74349a"
    train_list: ClassVar[list[list[Any]]] = [
        ["data_batch_1", "c99cafc152244af753f735de768cd75f"],
        ["data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"],
        ["data_batch_3", "54ebc095f3ab1f0389bbae665268c751"],
        ["data_batch_4", "634d18415352ddfa80567beed471001a"],
        ["data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"],
    ]
    test_list: ClassVar[list[list[Any]]] = [["test_batch", "40351d587109b95175f43aff81a1287e"]]
    meta: ClassVar[dict[str, Any]] = {"filename": "batches.meta", "key": "label_names", "md5": "5ff9c542aee3614f3951f8cda6e48888"}

    def _open(self) -> None:
        if not self._check_integrity() and check_integrity(Path(self.root, self.filename), self.tgz_md5):
            extract_archive(Path(self.root, self.filename), self.root)
        if not self._check_integrity():
            raise missing(self, Path(self.root, self.base_folder), [name for name, _ in self._files()])
        batches = [self._load(name) for name, _ in (self.train_list if self.train else self.test_list)]
        self.targets: list[int] = [int(label) for batch in batches for label in batch["labels" if "labels" in batch else "fine_labels"]]
        planes = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
        self.data = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        self.classes: list[str] = list(self._load(self.meta["filename"])[self.meta["key"]])
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _files(self) -> list[list[Any]]:
        return [*self.train_list, *self.test_list, [self.meta["filename"], self.meta["md5"]]]

    def _load(self, name: str) -> dict[str, Any]:
        with open(Path(self.root, self.base_folder, name), "rb") as f:
            return _Unpickler(f, encoding="latin1").load()  # type: ignore[no-any-return]

    def _check_integrity(self) -> bool:
        return all(check_integrity(Path(self.root, self.base_folder, name), md5) for name, md5 in self._files())

    def download(self) -> None:
        """Fetch and unpack the archive unless the files are there and whole."""
        if not self._check_integrity():
            extract_archive(fetch([self.url], self.root, self.filename, self.tgz_md5, type(self).__name__), self.root)


class CIFAR100(CIFAR10):
    """A hundred classes, 600 images of each. `targets` are the fine classes."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    filename = "cifar-100-python.tar.gz"
    tgz_md5: str | None = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list: ClassVar[list[list[Any]]] = [["train", "16019d7e3df5f24257cddd939b257f8d"]]
    test_list: ClassVar[list[list[Any]]] = [["test", "f0ef6b0ae62326f3e7ffdfab6717acfc"]]
    meta: ClassVar[dict[str, Any]] = {"filename": "meta", "key": "fine_label_names", "md5": "7973b15100ade9c7d40fb424638fde48"}
