"""EMNIST: handwritten letters and digits, in MNIST's format, grouped in six ways."""

from __future__ import annotations

import os
import string
from pathlib import Path
from typing import Any, ClassVar

from .mnist import MNIST
from .utils import check_integrity, extract_archive, fetch

__all__ = ["EMNIST"]

_ALL = [*string.digits, *string.ascii_uppercase, *string.ascii_lowercase]
#: small letters that look like their capitals are one class with them
_MERGED = [name for name in _ALL if name not in set("cijklmopsuvwxyz")]


class EMNIST(MNIST):
    """Letters and digits: one of the `splits`, of which "letters" counts its classes from 1.

    Reads ``emnist-SPLIT-train-images-idx3-ubyte`` and so on from ``root/EMNIST/raw``, packed or not, or from the archive ``gzip.zip``
    there, which is checked by its MD5 checksum; with ``download=True`` fetches it.

    Raises:
        ValueError: there is no such split.
        RuntimeError: files are missing or damaged, or cannot be downloaded.
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5: str | None = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": _ALL,
        "bymerge": _MERGED,
        "balanced": _MERGED,
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": [*string.digits],
        "mnist": [*string.digits],
    }

    def __init__(self, root: str | os.PathLike[str], split: str, **kwargs: Any) -> None:
        if split not in self.splits:
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are {{{', '.join(map(repr, self.splits))}}}.")
        self.split = split
        self.training_file, self.test_file = f"training_{split}.pt", f"test_{split}.pt"
        self.classes = self.classes_split_dict[split]  # type: ignore[misc]
        super().__init__(root, **kwargs)

    def _names(self) -> list[str]:
        return [f"emnist-{self.split}-{half}-{kind}-ubyte.gz" for half in ("train", "test") for kind in ("images-idx3", "labels-idx1")]

    @property
    def resources(self) -> list[tuple[str, str | None]]:  # type: ignore[override]
        return [(name, None) for name in self._names()]

    def _resource(self, kind: str) -> tuple[str, str | None]:
        half = "train" if self.train else "test"
        return next((name, None) for name in self._names() if f"-{half}-{kind}" in name)

    def _found(self, name: str, md5: str | None) -> Path | None:
        raw = Path(self.raw_folder)
        places = raw / name.removesuffix(".gz"), raw / name, raw / "gzip" / name
        found = next((place for place in places if place.is_file()), None)
        if found is None and check_integrity(raw / "gzip.zip", self.md5):
            extract_archive(raw / "gzip.zip", raw)
            found = places[2] if places[2].is_file() else None
        return found

    def download(self) -> None:
        """Fetch the archive unless the files are there."""
        if any(self._found(name, None) is None for name in self._names()):
            fetch([self.url], self.raw_folder, "gzip.zip", self.md5, "EMNIST's archive")
