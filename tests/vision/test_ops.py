"""Regions of interest and losses of boxes: numbers are those of torchvision 0.28, or follow from the definition."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.vision import ops

A, B = torch.tensor([[0.0, 0.0, 4.0, 2.0], [1.0, 1.0, 3.0, 5.0]]), torch.tensor([[1.0, 0.0, 5.0, 3.0], [6.0, 6.0, 8.0, 7.0]])


def bilinear(image, y, x):
    if not (-1 <= y <= image.shape[0] and -1 <= x <= image.shape[1]):
        return 0.0
    y, x = min(max(y, 0), image.shape[0] - 1), min(max(x, 0), image.shape[1] - 1)
    rows, columns = (1 - np.abs(np.arange(n) - at) for n, at in zip(image.shape, (y, x), strict=True))
    return float(rows.clip(0) @ image @ columns.clip(0))


@pytest.mark.parametrize(("ratio", "aligned"), [(2, False), (-1, True), (3, True)])
def test_roi_align_is_the_mean_of_samples(ratio, aligned):
    torch.manual_seed(0)
    images = torch.randn(2, 2, 6, 8, requires_grad=True)
    boxes = [torch.tensor([[2.4, 1.0, 9.0, 8.8], [-4.0, -3.0, 3.0, 2.0]]), torch.tensor([[10.0, 6.0, 17.0, 13.0]])]
    found = ops.RoIAlign((2, 3), 0.5, ratio, aligned)(images, boxes)
    for k, (i, box) in enumerate([(0, boxes[0][0]), (0, boxes[0][1]), (1, boxes[1][0])]):
        left, top, right, bottom = np.asarray(box) * 0.5 - 0.5 * aligned
        size = [bottom - top, right - left] if aligned else [max(bottom - top, 1), max(right - left, 1)]
        step = [size[0] / 2, size[1] / 3]
        counts = [ratio] * 2 if ratio > 0 else [int(np.ceil(s)) for s in step]
        for p in range(2):
            for q in range(3):
                ys = [top + p * step[0] + (s + 0.5) * step[0] / counts[0] for s in range(counts[0])]
                xs = [left + q * step[1] + (s + 0.5) * step[1] / counts[1] for s in range(counts[1])]
                wanted = np.mean([bilinear(images[i, 1].detach().numpy(), y, x) for y in ys for x in xs])
                assert found[k, 1, p, q].item() == pytest.approx(wanted, abs=1e-5)
    found.sum().backward()
    assert images.grad.abs().sum() > 0


def test_roi_pool_is_the_largest_value_of_a_bin():
    image = torch.arange(48.0).view(1, 1, 6, 8)
    found = ops.RoIPool(2, 0.5)(image, torch.tensor([[0, 2.0, 2.0, 9.0, 8.0], [0, 14.0, 10.0, 30.0, 30.0]]))
    assert found[0, 0].tolist() == [[19.0, 21.0], [35.0, 37.0]]
    assert found[1, 0].tolist() == [[47.0, 0.0], [0.0, 0.0]]


def test_losses_of_boxes():
    a = A.clone().requires_grad_()
    for loss in (ops.generalized_box_iou_loss, ops.distance_box_iou_loss, ops.complete_box_iou_loss):
        each = loss(a, B)
        assert each.shape == (2,) and (each[1] > 1).item() and each.mean().item() == pytest.approx(loss(a, B, reduction="mean").item())
        each.sum().backward()
        assert loss(A, A).abs().max() < 1e-5
    assert torch.allclose(1 - ops.generalized_box_iou(A, B).diagonal(), ops.generalized_box_iou_loss(A, B), atol=1e-5)
    assert torch.allclose(1 - ops.distance_box_iou(A, B).diagonal(), ops.distance_box_iou_loss(A, B), atol=1e-5)
    assert torch.allclose(1 - ops.complete_box_iou(A, B).diagonal(), ops.complete_box_iou_loss(A, B), atol=1e-5)
    with pytest.raises(ValueError, match="reduction"):
        ops.generalized_box_iou_loss(A, B, reduction="max")
