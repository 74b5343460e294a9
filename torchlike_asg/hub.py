"""``torch.hub``: downloading weights. Loading a repository's code is not supported."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from .errors import Unsupported

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

_CHUNK = 1 << 17
HASH_REGEX = re.compile(r"-([a-f0-9]{8,})\.")
_chosen: dict[str, str] = {}


def get_dir() -> str:
    """Where downloads are kept: what `set_dir` was given, else ``$TORCH_HOME/hub``, else ``hub`` in the user's cache folder for torch."""
    if "dir" in _chosen:
        return _chosen["dir"]
    home = os.environ.get("TORCH_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keep downloads in another folder."""
    _chosen["dir"] = os.path.expanduser(os.fspath(d))


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Download a file. The target appears only when it is complete and, with `hash_prefix`, its SHA-256 starts with that."""
    from tqdm import tqdm

    target = Path(dst).expanduser()
    digest = hashlib.sha256()
    with urlopen(Request(url, headers={"User-Agent": "torchlike_asg.hub"})) as response:
        total = int(response.headers.get("Content-Length") or 0) or None
        fd, partial = tempfile.mkstemp(prefix=target.name + ".", suffix=".partial", dir=target.parent)
        try:
            with os.fdopen(fd, "wb") as f, tqdm(total=total, disable=not progress, unit="B", unit_scale=True, unit_divisor=1024) as bar:
                while block := response.read(_CHUNK):
                    f.write(block)
                    digest.update(block)
                    bar.update(len(block))
            if hash_prefix is not None and not digest.hexdigest().startswith(hash_prefix):
                raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")')
            os.replace(partial, target)
        finally:
            if os.path.exists(partial):
                os.remove(partial)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> dict[str, Any]:
    """A state dict saved by `torch.save`, downloaded once and kept in ``get_dir()/checkpoints`` (or `model_dir`).

    With `check_hash` the file's name must hold the start of its SHA-256, as in ``resnet18-f37072fd.pth``.
    """
    from .serialization import load as load_file

    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, found.group(1) if found else None, progress)
    return load_file(path, map_location=map_location, weights_only=weights_only)  # type: ignore[no-any-return]


_CODE = (
    "torch.hub.{} runs code from a repository, which is not supported: install the package it is in, and load its weights with "
    "load_state_dict_from_url"
)


def load(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see the error."""
    raise Unsupported(_CODE.format("load"))


def list(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see the error."""
    raise Unsupported(_CODE.format("list"))


def help(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see the error."""
    raise Unsupported(_CODE.format("help"))
