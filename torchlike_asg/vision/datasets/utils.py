"""Files of data sets: checksums, downloads, archives (``torchvision.datasets.utils``)."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

from ...hub import download_url_to_file

__all__ = ["calculate_md5", "check_integrity", "check_md5", "download_and_extract_archive", "download_url", "extract_archive", "fetch"]

_Path = str | os.PathLike[str]


def calculate_md5(fpath: _Path, chunk_size: int = 1 << 20) -> str:
    """The MD5 checksum of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as f:
        while chunk := f.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def check_md5(fpath: _Path, md5: str) -> bool:
    """Whether a file has that checksum."""
    return md5 == calculate_md5(fpath)


def check_integrity(fpath: _Path, md5: str | None = None) -> bool:
    """Whether a file is there and, if a checksum is given, has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def fetch(urls: Sequence[str], root: _Path, filename: str, md5: str | None = None, purpose: str = "the file") -> Path:
    """The file `filename` in the folder `root`, downloaded from the first of `urls` that answers unless it is there and whole.

    A progress bar runs on stderr. The file appears only when it is complete and has its checksum.

    Raises:
        RuntimeError: no address gave the file; says why for each, and where to put the file by hand.
    """
    folder = Path(root).expanduser()
    path = folder / filename
    if check_integrity(path, md5):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{filename}.unchecked"
    failures = []
    for url in urls:
        try:
            download_url_to_file(url, str(partial))
            if md5 is not None and not check_md5(partial, md5):
                raise RuntimeError(f"the file has MD5 checksum {calculate_md5(partial)}, not {md5}")
            os.replace(partial, path)
            return path
        except (URLError, OSError, RuntimeError) as error:
            failures.append(f"{url}: {error}")
        finally:
            partial.unlink(missing_ok=True)
    tried = "".join(f"\n  {failure}" for failure in failures)
    raise RuntimeError(f"could not download {purpose}:{tried}\nIf you have the file {filename}, put it into the folder {folder}")


def download_url(url: str, root: _Path, filename: _Path | None = None, md5: str | None = None, max_redirect_hops: int = 3) -> None:
    """Download a file into a folder, unless it is there and whole. `max_redirect_hops` is for the signature: the system's limit holds."""
    name = os.fspath(filename) if filename else os.path.basename(url)
    fetch([url], root, name, md5)


def extract_archive(from_path: _Path, to_path: _Path | None = None, remove_finished: bool = False) -> _Path:
    """Unpack a tar archive (compressed or not), a zip archive, or a single compressed file beside it or into `to_path`.

    Members of a tar archive cannot leave the folder: absolute names and ``..`` are refused.

    Raises:
        RuntimeError: a file of another kind.
    """
    source = Path(from_path)
    target = source.parent if to_path is None else Path(to_path)
    if tarfile.is_tarfile(source):
        with tarfile.open(source) as archive:
            archive.extractall(target, filter="data")
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(target)
    elif source.suffix == ".gz":
        target = target / source.stem if target.is_dir() else target
        with gzip.open(source, "rb") as packed, open(target, "wb") as plain:
            shutil.copyfileobj(packed, plain)
    else:
        raise RuntimeError(f"Unknown file type: {source} is no tar, zip or gz archive")
    if remove_finished:
        source.unlink()
    return target


def download_and_extract_archive(
    url: str,
    download_root: _Path,
    extract_root: _Path | None = None,
    filename: _Path | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive` into `extract_root` (default: the same folder)."""
    root = Path(download_root).expanduser()
    name = os.fspath(filename) if filename else os.path.basename(url)
    download_url(url, root, name, md5)
    extract_archive(root / name, root if extract_root is None else extract_root, remove_finished)


def missing(dataset: Any, folder: Path, names: Sequence[str]) -> RuntimeError:
    """The error for files that are not there."""
    return RuntimeError(
        f"Dataset not found or corrupted. You can use download=True to download it: {type(dataset).__name__} looks in {folder} for "
        f"{', '.join(names)}"
    )
