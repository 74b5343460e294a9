from __future__ import annotations

import itertools
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.utils import event_file, tensorboard
from torchlike_asg.utils.tensorboard import SummaryWriter


# ---------------------------------------------------------------- a reader of the format
def records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack_from("<Q", data)
        assert masked(data[:8]) == data[8:12] and masked(data[12 : 12 + length]) == data[12 + length : 16 + length]
        yield data[12 : 12 + length]
        data = data[16 + length :]


def masked(data: bytes) -> bytes:
    crc = event_file.crc32c(data)
    return (((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF).to_bytes(4, "little")


def fields(message: bytes) -> dict[int, list[Any]]:
    """Field numbers to raw values of a protocol-buffer message."""
    found: dict[int, list[Any]] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value: Any = varint()
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            value = message[position : position + size]
            position += size
            value = struct.unpack("<d", value)[0] if kind == 1 else struct.unpack("<f", value)[0] if kind == 5 else value
        found.setdefault(key >> 3, []).append(value)
    return found


def events(directory: Path) -> list[tuple[int | None, str, dict[int, list[Any]]]]:
    """Step, tag and value of everything in the one event file of a directory."""
    (path,) = directory.glob("events.out.tfevents.*")
    first, *rest = map(fields, records(path))
    assert first[3] == [b"brain.Event:2"]
    values = [(event.get(2, [None])[0], fields(value)) for event in rest for value in fields(event[5][0])[1]]
    return [(step, value[1][0].decode(), value) for step, value in values]


# ---------------------------------------------------------------- tests
def test_checksum_of_the_standard_vector() -> None:
    assert event_file.crc32c(b"123456789") == 0xE3069283


def test_scalars(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 0.5, 0)
        writer.add_scalar("loss", ours.tensor([0.25]), 300, walltime=12.0)
        writer.add_scalar("big", 1e300)
        with pytest.raises(ValueError, match="needs one number"):
            writer.add_scalar("loss", [1.0, 2.0])
    got = events(tmp_path)
    assert [(step, tag, value[2]) for step, tag, value in got] == [(0, "loss", [0.5]), (300, "loss", [0.25]), (None, "big", [float("inf")])]
    (path,) = tmp_path.iterdir()
    assert [fields(record)[1] for record in records(path)][2] == [12.0]


def test_several_curves_in_one_chart(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalars("run/loss", {"train": 1.0, "valid": 2.0}, 7)
    for name, value in (("train", 1.0), ("valid", 2.0)):
        assert [(s, t, v[2]) for s, t, v in events(tmp_path / f"run_loss_{name}")] == [(7, "run/loss", [value])]


def test_text(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("note", "*привет*", 1)
    ((step, tag, value),) = events(tmp_path)
    tensor = fields(value[8][0])
    assert (step, tag) == (1, "note/text_summary")
    assert tensor[1] == [7] and tensor[8] == ["*привет*".encode()]
    assert fields(fields(value[9][0])[1][0])[1] == [b"text"]


@pytest.mark.parametrize("bins", ["tensorflow", 5, [-10.0, 0.0, 10.0]])
def test_histogram(tmp_path: Path, bins: Any) -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("weights", ours.tensor(values), 2, bins=bins)
    ((_, _, value),) = events(tmp_path)
    figures = fields(value[5][0])
    want = [values.min(), values.max(), 1000, values.sum(), np.square(values).sum()]
    np.testing.assert_allclose([figures[field][0] for field in range(1, 6)], want)
    limits, counts = np.frombuffer(figures[6][0]), np.frombuffer(figures[7][0])
    assert counts.sum() == 1000 and len(limits) == len(counts) and (np.diff(limits) > 0).all()
    edges = np.concatenate(([-np.inf], limits[:-1], [np.inf]))  # the maximum may lie on the last limit
    assert values.max() <= limits[-1] and counts.tolist() == [((values >= a) & (values < b)).sum() for a, b in itertools.pairwise(edges)]


def test_histogram_options_and_errors(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_histogram("a", np.arange(100), bins=50, max_bins=10)
        for bad in ([], [float("nan")], [float("inf")]):
            with pytest.raises(ValueError, match="finite numbers"):
                writer.add_histogram("b", bad)
    ((_, _, value),) = events(tmp_path)
    assert len(np.frombuffer(fields(value[5][0])[7][0])) == 11


def unpacked(png: bytes) -> np.ndarray[Any, Any]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, position = {}, 8
    while position < len(png):
        (size,) = struct.unpack_from(">I", png, position)
        body = png[position + 4 : position + 8 + size]
        assert struct.unpack_from(">I", png, position + 8 + size) == (zlib.crc32(body),)
        chunks[body[:4]] = body[4:]
        position += 12 + size
    width, height, depth, color = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    channels = {0: 1, 2: 3, 6: 4}[color]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + width * channels)
    assert depth == 8 and not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, channels)


def test_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 3), np.uint8)
    with SummaryWriter(tmp_path) as writer:
        writer.add_image("chw", ours.tensor(pixels.transpose(2, 0, 1)), 1)
        writer.add_image("hwc", pixels, dataformats="HWC")
        writer.add_image("hw", pixels[..., 0] / 255, dataformats="HW")
        writer.add_images("batch", np.stack([np.full((1, 2, 3), i / 10, np.float32) for i in range(10)]))
        with pytest.raises(ValueError, match="cannot have shape"):
            writer.add_image("bad", pixels[0])
        with pytest.raises(ValueError, match="1, 3 or 4 channels, got 2"):
            writer.add_image("bad", pixels[:2].transpose(0, 2, 1)[..., :2], dataformats="HWC")
    images = {tag: fields(value[4][0]) for _, tag, value in events(tmp_path)}
    assert unpacked(images["chw"][4][0]).tolist() == unpacked(images["hwc"][4][0]).tolist() == pixels.tolist()
    assert unpacked(images["hw"][4][0])[..., 0].tolist() == (np.float32(pixels[..., 0] / 255) * 255).astype(np.uint8).tolist()
    grid = unpacked(images["batch"][4][0])
    assert grid.shape == (4, 24, 1) == (images["batch"][1][0], images["batch"][2][0], images["batch"][3][0])
    assert grid[0, ::3, 0].tolist() == [int(np.float32(i / 10) * 255) for i in range(8)] and grid[2, 3, 0] == int(np.float32(0.9) * 255)


def test_hyper_parameters(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.1}, {"accuracy": 0.5}, run_name="trial")
    text, accuracy = events(tmp_path / "trial")
    assert b"| lr | 0.1 |" in fields(text[2][8][0])[8][0] and accuracy[2][2] == [0.5]


def test_what_is_not_written_warns_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "_warned", set())
    with SummaryWriter(tmp_path) as writer:
        with pytest.warns(UserWarning, match=r"add_graph is not supported"):
            writer.add_graph(None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            writer.add_graph(None)
        with pytest.raises(AttributeError):
            writer.add_nonsense  # noqa: B018
        with pytest.warns(UserWarning, match="purge_step is ignored"):
            SummaryWriter(tmp_path / "other", purge_step=3).close()
    assert events(tmp_path) == []


def test_flushing_and_reopening(tmp_path: Path) -> None:
    writer = SummaryWriter(tmp_path, max_queue=2)
    (path,) = tmp_path.iterdir()
    sizes = []
    for step in range(4):
        writer.add_scalar("x", 1.0, step)
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3]
    writer.add_scalar("x", 1.0, 4)
    writer.flush()
    assert path.stat().st_size > sizes[3]
    writer.close()
    writer.add_scalar("x", 2.0, 5)  # a second file
    writer.close()
    assert len(list(tmp_path.iterdir())) == 2


def test_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter(comment="_trial")
    writer.close()
    assert writer.get_logdir().startswith("runs") and writer.log_dir.endswith("_trial")
    assert len(events(Path(writer.log_dir))) == 0
