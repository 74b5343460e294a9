"""Grids, files and boxes."""

import io
import zlib

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.vision import io as vio
from torchlike_asg.vision import ops, utils


def test_a_grid():
    images = torch.arange(1, 6, dtype=torch.float32).view(5, 1, 1, 1).expand(5, 1, 2, 3)
    grid = utils.make_grid(images, nrow=2, padding=1, pad_value=9.0)
    assert grid.shape == (3, 10, 9)
    wanted = np.full((10, 9), 9.0, np.float32)
    for k in range(5):
        y, x = 1 + k // 2 * 3, 1 + k % 2 * 4
        wanted[y : y + 2, x : x + 3] = k + 1
    wanted[7:9, 5:8] = 9.0
    assert np.array_equal(grid.numpy(), np.stack([wanted] * 3))


def test_a_grid_scales_values():
    images = [torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[4.0, 8.0]]])]
    together = utils.make_grid(images, padding=0, normalize=True)
    assert together[0].tolist() == [[0.0, 0.25, 0.5, 1.0]]
    apart = utils.make_grid(images, padding=0, normalize=True, scale_each=True)
    assert apart[0].tolist() == [[0.0, 1.0, 0.0, 1.0]]
    chosen = utils.make_grid(images, padding=0, normalize=True, value_range=(0, 4))
    assert chosen[0].tolist() == [[0.0, 0.5, 1.0, 1.0]]
    assert images[1].tolist() == [[[4.0, 8.0]]]
    with pytest.raises(TypeError, match="value_range"):
        utils.make_grid(images, normalize=True, value_range=[0, 1])
    with pytest.raises(TypeError, match="tensor or list of tensors"):
        utils.make_grid(3)


def test_a_grid_of_one_image_has_no_border():
    assert utils.make_grid(torch.zeros(1, 1, 4, 5)).shape == (3, 4, 5)
    assert utils.make_grid(torch.zeros(4, 5)).shape == (3, 4, 5)
    assert utils.make_grid(torch.zeros(3, 4, 5, requires_grad=True)).requires_grad is False


def decode(content):
    """The pixels of an uncompressed-filter RGB PNG file, by the specification."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, data = 8, b""
    while place < len(content):
        size, kind = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        body = content[place + 8 : place + 8 + size]
        assert int.from_bytes(content[place + 8 + size : place + 12 + size], "big") == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
        data += body if kind == b"IDAT" else b""
        place += 12 + size
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


IMAGE = torch.linspace(-0.2, 1.2, 3 * 4 * 5).view(3, 4, 5)
PIXELS = np.clip(IMAGE.numpy() * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8).transpose(1, 2, 0)


@pytest.mark.parametrize("pillow", [True, False])
def test_images_are_written(tmp_path, monkeypatch, pillow):
    import sys

    if pillow:
        image = pytest.importorskip("PIL.Image")
        utils.save_image(IMAGE, tmp_path / "x.png")
        assert np.array_equal(np.asarray(image.open(tmp_path / "x.png")), PIXELS)
        return
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    utils.save_image(IMAGE, str(tmp_path / "x.png"))
    assert np.array_equal(decode((tmp_path / "x.png").read_bytes()), PIXELS)
    buffer = io.BytesIO()
    utils.save_image([IMAGE, IMAGE], buffer, format="png", padding=0)
    assert np.array_equal(decode(buffer.getvalue()), np.concatenate([PIXELS, PIXELS], 1))
    with pytest.raises(ImportError, match="writing a jpg file needs Pillow"):
        utils.save_image(IMAGE, tmp_path / "x.jpg")


def test_files_there_and_back(tmp_path):
    pytest.importorskip("PIL")
    pixels = torch.randint(0, 256, (3, 4, 5), dtype=torch.uint8)
    vio.write_png(pixels, tmp_path / "x.png")
    assert torch.equal(vio.read_image(tmp_path / "x.png"), pixels)
    assert torch.equal(vio.decode_image(vio.read_file(tmp_path / "x.png")), pixels)
    assert vio.read_image(tmp_path / "x.png", vio.ImageReadMode.GRAY).shape == (1, 4, 5)
    with pytest.raises(RuntimeError, match="expected uint8"):
        vio.write_png(pixels.float(), tmp_path / "y.png")
    with pytest.raises(NotImplementedError, match="read_image"):
        _ = vio.read_video


def test_boxes_are_drawn():
    pytest.importorskip("PIL")
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    drawn = utils.draw_bounding_boxes(image, torch.tensor([[1, 1, 4, 5]]), colors="red").numpy()
    edge = np.zeros((8, 8), bool)
    edge[1:6, 1:5] = True
    edge[2:5, 2:4] = False
    assert np.array_equal(drawn[0] == 255, edge) and not drawn[1:].any() and not image.any()
    assert utils.draw_bounding_boxes(image / 255, torch.tensor([[1, 1, 4, 5]]), labels=["x"], fill=True).dtype is torch.float32
    with pytest.raises(ValueError, match="xmin, ymin"):
        utils.draw_bounding_boxes(image, torch.tensor([[4, 1, 1, 5]]))
    with pytest.raises(ValueError, match="labels"):
        utils.draw_bounding_boxes(image, torch.tensor([[1, 1, 4, 5]]), labels=[])


# ===== Boxes

BOXES = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 9, 9], [21, 20, 30, 31]])
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.95, 0.6])


def test_boxes_of_masks():
    masks = torch.zeros(3, 5, 6, dtype=torch.bool)
    masks[0, 1:3, 2:4] = True
    masks[1, 4, 5] = True
    found = ops.masks_to_boxes(masks)
    assert found.tolist() == [[2, 1, 3, 2], [5, 4, 5, 4], [0, 0, 0, 0]] and found.dtype is torch.float32
    assert ops.masks_to_boxes(torch.zeros(0, 5, 6)).shape == (0, 4)


def test_overlaps():
    found = ops.box_iou(BOXES[:2], BOXES[:3])
    assert torch.allclose(found, torch.tensor([[1.0, 81 / 119, 0.0], [81 / 119, 1.0, 0.0]]))
    apart = ops.generalized_box_iou(BOXES[:1], BOXES[2:3]).item()
    assert apart == pytest.approx(-(900 - 200) / 900)
    assert ops.box_area(torch.tensor([[0, 0, 200, 200]], dtype=torch.int16)).tolist() == [40000]


def test_non_maximum_suppression():
    assert ops.nms(BOXES, SCORES, 0.5).tolist() == [3, 2]
    assert ops.box_iou(BOXES[3:4], BOXES[:1]).item() == pytest.approx(0.81)
    assert ops.nms(BOXES, SCORES, 0.8).tolist() == [3, 1, 2]
    assert ops.nms(BOXES, SCORES, 0.82).tolist() == [3, 0, 1, 2]
    assert ops.nms(BOXES, SCORES, 0.99).tolist() == [3, 0, 1, 2, 4]
    assert ops.nms(BOXES[:0], SCORES[:0], 0.5).tolist() == []
    kinds = torch.tensor([0, 1, 0, 1, 1])
    assert ops.batched_nms(BOXES, SCORES, kinds, 0.5).tolist() == [3, 0, 2, 4]
    with pytest.raises(RuntimeError, match="same number of elements"):
        ops.nms(BOXES, SCORES[:2], 0.5)


@pytest.mark.parametrize("other", ["xywh", "cxcywh"])
def test_formats_there_and_back(other):
    there = ops.box_convert(BOXES, "xyxy", other)
    assert torch.equal(ops.box_convert(there, other, "xyxy"), BOXES)
    assert there[2].tolist() == ([20, 20, 10, 10] if other == "xywh" else [25, 25, 10, 10])
    with pytest.raises(ValueError, match="Unsupported"):
        ops.box_convert(BOXES, "xyxy", "xyz")


def test_boxes_and_the_image():
    assert ops.clip_boxes_to_image(BOXES[2:3], (25, 22)).tolist() == [[20, 20, 22, 25]]
    assert ops.remove_small_boxes(BOXES, 10).tolist() == [0, 1, 2]


def test_focal_loss_is_cross_entropy_of_hard_examples():
    logits, targets = torch.tensor([-8.0, 8.0, 0.0]), torch.tensor([0.0, 1.0, 1.0])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    assert torch.allclose(ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=0), plain)
    focused = ops.sigmoid_focal_loss(logits, targets, alpha=-1, gamma=2)
    doubt = 1 / (1 + np.exp(8.0))  # what is missing from a probability of sigmoid(8)
    assert focused.tolist() == pytest.approx((plain.numpy() * np.array([doubt, doubt, 0.5]) ** 2).tolist(), rel=1e-3)


def test_stochastic_depth():
    x = torch.ones(400, 2, 2)
    torch.manual_seed(0)
    rows = ops.stochastic_depth(x, 0.25, "row").numpy()
    kept = rows[:, 0, 0] != 0
    assert 0.68 < kept.mean() < 0.82 and np.allclose(rows[kept], 1 / 0.75)
    assert {float(v) for v in ops.stochastic_depth(x, 0.5, "batch").unique()} in ({0.0}, {2.0})
    assert ops.StochasticDepth(0.5, "row").eval()(x) is x


def test_masks_are_painted():
    image = torch.arange(60).reshape(3, 4, 5).to(torch.uint8)
    masks = torch.zeros(2, 4, 5, dtype=torch.bool)
    masks[0, :2], masks[1, 1:3, 2:] = True, True
    found = utils.draw_segmentation_masks(image, masks, 0.5, ["red", (0, 0, 200)])
    assert found.dtype is torch.uint8
    assert found[:, 0, 0].tolist() == [127, 10, 20]
    assert found[:, 2, 4].tolist() == [7, 17, 127]
    assert found[:, 1, 2].tolist() == [3, 13, 23]  # of two masks
    assert torch.equal(found[:, 3], image[:, 3])
    floating = utils.draw_segmentation_masks(image / 255, masks, 0.5, ["red", (0, 0, 200)])
    assert floating[:, 0, 0].tolist() == pytest.approx([0.5, 10 / 255, 20 / 255], abs=1e-6)
    with pytest.warns(UserWarning, match="any mask"):
        assert utils.draw_segmentation_masks(image, masks[:0]) is image


@pytest.mark.parametrize(
    ("image", "masks", "kind"),
    [
        (3, torch.ones(2, 2, dtype=torch.bool), TypeError),
        (torch.ones(3, 2, 2, dtype=torch.int32), torch.ones(2, 2, dtype=torch.bool), ValueError),
        (torch.ones(1, 2, 2), torch.ones(2, 2, dtype=torch.bool), ValueError),
        (torch.ones(3, 2, 2), torch.ones(2, 2), ValueError),
        (torch.ones(3, 2, 2), torch.ones(3, 2, dtype=torch.bool), ValueError),
    ],
)
def test_masks_that_do_not_fit_are_refused(image, masks, kind):
    with pytest.raises(kind):
        utils.draw_segmentation_masks(image, masks)
