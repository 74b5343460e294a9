"""SVHN: house numbers seen from the street, 32 by 32, in ten classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .utils import check_integrity, fetch, missing
from .vision import SplitDataset

__all__ = ["SVHN"]


class SVHN(SplitDataset):
    """Digits in colour: "train" 73,257, "test" 26,032 and "extra" 531,131 images.

    Reads ``root/train_32x32.mat`` and so on, checked by their MD5 checksums, with SciPy; with ``download=True`` fetches what is missing.
    `data` is a uint8 array (N, 3, 32, 32), `labels` an array of classes, in which the digit 0 is class 0.

    Raises:
        ValueError: there is no such split.
        RuntimeError: files are missing or damaged, or cannot be downloaded.
    """

    split_list: ClassVar[dict[str, list[str | None]]] = {
        "train": ["http://ufldl.stanford.edu/housenumbers/train_32x32.mat", "train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"],
        "test": ["http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"],
        "extra": ["http://ufldl.stanford.edu/housenumbers/extra_32x32.mat", "extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"],
    }

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
        download: bool = False,
    ) -> None:
        if split not in self.split_list:
            names = ", ".join(map(repr, self.split_list))
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {{{names}}}.")
        self.split = split
        url, self.filename, self.file_md5 = self.split_list[split]
        self.url = str(url)
        super().__init__(root, split == "train", transform, target_transform, download)

    @property
    def targets(self) -> Any:  # type: ignore[override]
        return self.labels

    def _open(self) -> None:
        if not self._check_integrity():
            raise missing(self, Path(self.root), [str(self.filename)])
        try:
            from scipy.io import loadmat
        except ImportError as error:
            raise ImportError("SVHN's files are read with SciPy: pip install scipy") from error
        found = loadmat(Path(self.root, str(self.filename)))
        self.labels = found["y"].astype(np.int64).reshape(-1) % 10  # the files call the digit 0 class 10
        self.data = np.transpose(found["X"], (3, 2, 0, 1))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._sample(np.transpose(self.data[index], (1, 2, 0)), int(self.labels[index]))

    def _check_integrity(self) -> bool:
        return check_integrity(Path(self.root, str(self.filename)), self.file_md5)

    def download(self) -> None:
        """Fetch the file unless it is there and whole."""
        if not self._check_integrity():
            fetch([self.url], self.root, str(self.filename), self.file_md5, f"SVHN's file {self.filename}")

    def extra_repr(self) -> str:
        return f"Split: {self.split}"
