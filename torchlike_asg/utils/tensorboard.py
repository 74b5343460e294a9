"""SummaryWriter: scalars, texts, histograms and images for TensorBoard, written without TensorBoard or any other package."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..facade.core import Tensor
from ..facade.held import value_of
from .event_file import EventFile, exponential_bins, histogram_value, image_value, scalar_value, text_value

__all__ = ["SummaryWriter"]

#: a package for importing: places.py has its parts
__path__: list[str] = []

Array = np.ndarray[Any, Any]

# Not written: each call is accepted, so that scripts run, and the first of each kind says so.
_NOT_WRITTEN = frozenset(
    ("add_audio", "add_custom_scalars", "add_custom_scalars_marginchart", "add_custom_scalars_multilinechart", "add_embedding",
    "add_figure",
     "add_graph", "add_mesh", "add_onnx_graph", "add_pr_curve", "add_pr_curve_raw", "add_tensor", "add_video")
)  # fmt: skip


class SummaryWriter:
    """Writes event files into `log_dir` (default ``runs/<date>_<host><comment>``) for ``tensorboard --logdir``.

    Written are scalars, texts, histograms, images and (as a text table and scalars) hyper-parameters. Other ``add_*`` methods of
    PyTorch's are accepted and ignored with one warning each.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            log_dir = os.path.join("runs", time.strftime("%b%d_%H-%M-%S") + f"_{socket.gethostname()}{comment}")
        if purge_step is not None:
            warnings.warn("SummaryWriter: purge_step is ignored; steps written before a restart stay visible", stacklevel=2)
        self.log_dir = str(log_dir)
        self._options = max_queue, flush_secs, filename_suffix
        self._files: dict[str, EventFile] = {}
        self._file()

    def _file(self, run: str = "") -> EventFile:
        """The event file of this run, or of a run beside it in a subdirectory; made again after `close`."""
        if run not in self._files:
            self._files[run] = EventFile(Path(self.log_dir) / run, *self._options)
        return self._files[run]

    def get_logdir(self) -> str:
        """The directory of the event files."""
        return self.log_dir

    # ------------------------------------------------------------ what is written
    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number or one-element tensor, as float32."""
        self._file().add([_scalar(tag, scalar_value)], global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Curves for one chart: each goes into a run of its own, ``<log_dir>/<main_tag>_<tag>``."""
        for tag, value in tag_scalar_dict.items():
            run = f"{main_tag.replace('/', '_')}_{tag}"
            self._file(run).add([_scalar(main_tag, value)], global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None) -> None:
        """Markdown."""
        self._file().add([text_value(f"{tag}/text_summary", str(text_string))], global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """The distribution of all elements; ValueError if there is none, or one is not finite.

        `bins`: "tensorflow", or what `numpy.histogram` takes, then joined until there are at most `max_bins`.
        """
        array = _array(values)
        if not array.size or not np.isfinite(array).all():
            raise ValueError(f"add_histogram({tag!r}) needs finite numbers and at least one, got shape {array.shape}")
        if isinstance(bins, str) and bins == "tensorflow":
            bins = exponential_bins()
        elif max_bins is not None:
            edges = np.histogram_bin_edges(array.astype(np.float64), bins)
            bins = edges[:: -(-(len(edges) - 1) // max_bins)] if len(edges) - 1 > max_bins else edges
        self._file().add([histogram_value(tag, array, bins)], global_step, walltime)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None, dataformats: str = "CHW"
    ) -> None:
        """One image; floating-point pixels in [0, 1], or uint8. `dataformats`: the order of the axes, "CHW", "HWC" or "HW"."""
        self._file().add([image_value(tag, _pixels(img_tensor, dataformats))], global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: int | None = None, walltime: float | None = None, dataformats: str = "NCHW"
    ) -> None:
        """A batch as one image, eight to a row."""
        batch = _array(img_tensor)
        if batch.ndim != len(dataformats) or "N" not in dataformats:
            raise ValueError(f"add_images needs {len(dataformats)} axes {dataformats!r} with N among them, got shape {batch.shape}")
        rest = dataformats.replace("N", "")
        images = [_pixels(image, rest) for image in np.moveaxis(batch, dataformats.index("N"), 0)]
        self._file().add([image_value(tag, _grid(images))], global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """A table of the hyper-parameters and the metrics as scalars, in a run of their own."""
        rows = "".join(f"| {name} | {value} |\n" for name, value in hparam_dict.items())
        values = [text_value("hparams/text_summary", "| hyper-parameter | value |\n| --- | --- |\n" + rows)]
        values += [_scalar(name, value) for name, value in metric_dict.items()]
        self._file(run_name or str(time.time())).add(values, global_step)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in _NOT_WRITTEN:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def ignored(*args: Any, **kwargs: Any) -> None:
            if name not in _warned:
                _warned.add(name)
                warnings.warn(f"SummaryWriter.{name} is not supported: nothing is written", stacklevel=2)

        return ignored

    # ------------------------------------------------------------ life
    def flush(self) -> None:
        """Write out what is buffered."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Close the files. Adding afterwards begins new ones."""
        for file in self._files.values():
            file.close()
        self._files = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


_warned: set[str] = set()


def _array(values: Any) -> Array:
    return value_of(values) if isinstance(values, Tensor) else np.asarray(values)


def _scalar(tag: str, value: Any) -> bytes:
    number = _array(value)
    if number.size != 1:
        raise ValueError(f"{tag!r} needs one number, got shape {number.shape}")
    return scalar_value(tag, float(number.reshape(())))


def _pixels(image: Any, axes: str) -> Array:
    """uint8 (H, W, C) from an image with the given axes."""
    array = _array(image)
    if array.ndim != len(axes) or sorted(axes) not in (["H", "W"], ["C", "H", "W"]):
        raise ValueError(f"an image with axes {axes!r} cannot have shape {array.shape}")
    if "C" not in axes:
        array, axes = array[..., None], axes + "C"
    array = array.transpose([axes.index(axis) for axis in "HWC"])
    if array.shape[-1] not in (1, 3, 4):
        raise ValueError(f"an image has 1, 3 or 4 channels, got {array.shape[-1]}")
    if array.dtype == np.uint8:
        return array
    return (np.nan_to_num(array.astype(np.float32)).clip(0, 1) * 255).astype(np.uint8)


def _grid(images: list[Array], columns: int = 8) -> Array:
    height, width, channels = images[0].shape
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    grid = np.zeros((rows * height, columns * width, channels), np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * height, number % columns * width
        grid[top : top + height, left : left + width] = image
    return grid
