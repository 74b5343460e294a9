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


def maps():
    torch.manual_seed(1)
    shapes = {"a": (2, 4, 16, 16), "b": (2, 8, 8, 8), "c": (2, 6, 4, 4)}
    return {name: torch.randn(*shape) for name, shape in shapes.items()}


PYRAMIDS = {
    "plain": (lambda blocks: None, {"a": 1.15645, "b": 0.98395, "c": 0.65352}),
    "pool": (lambda blocks: blocks.LastLevelMaxPool(), {"a": 1.15645, "b": 0.98395, "c": 0.65352, "pool": 0.62454}),
    "p6 and p7": (lambda blocks: blocks.LastLevelP6P7(6, 5), {"a": 1.25773, "b": 0.93084, "c": 0.58755, "p6": 0.64715, "p7": 0.29234}),
}


@pytest.mark.parametrize("name", PYRAMIDS)
def test_pyramids_of_features(name):
    extra, wanted = PYRAMIDS[name]
    torch.manual_seed(0)
    found = ops.FeaturePyramidNetwork([4, 8, 6], 5, extra(ops.feature_pyramid_network))(maps())
    assert {k: v.abs().mean().item() for k, v in found.items()} == pytest.approx(wanted, abs=2e-5)
    assert [tuple(v.shape[1:]) for v in found.values()][:3] == [(5, 16, 16), (5, 8, 8), (5, 4, 4)]


def test_what_a_pyramid_refuses():
    with pytest.raises(ValueError, match="in_channels=0"):
        ops.FeaturePyramidNetwork([0, 8], 5)
    with pytest.raises(TypeError, match="ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([4, 8], 5, extra_blocks=3)


def test_regions_come_from_the_map_of_their_size():
    features = {name: value[:, :4] for name, value in maps().items()}
    small = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 63.0, 63.0]])
    boxes = [torch.tensor([[0.0, 0.0, 10.0, 12.0], [4.0, 4.0, 60.0, 62.0], [8.0, 2.0, 40.0, 30.0]]), small]
    align = ops.MultiScaleRoIAlign(["a", "b", "c"], 2, 2, canonical_scale=32, canonical_level=3)
    found = align(features, boxes, [(64, 64), (64, 60)])
    assert found.sum((1, 2, 3)).tolist() == pytest.approx([-1.74018, 1.31651, 1.70319, -10.27681, 0.91942], abs=2e-5)
    one = ops.MultiScaleRoIAlign(["b"], 2, 2)(features, boxes, [(64, 64), (64, 60)])
    assert one.sum((1, 2, 3)).tolist() == pytest.approx([1.83617, 1.31651, 0.07062, -7.97726, 0.91942], abs=2e-5)
    assert repr(align) == "MultiScaleRoIAlign(featmap_names=['a', 'b', 'c'], output_size=(2, 2), sampling_ratio=2)"


def test_bins_with_channels_of_their_own():
    torch.manual_seed(0)
    images = torch.randn(2, 12, 6, 8, requires_grad=True)
    boxes = torch.tensor([[0, 2.4, 1.0, 9.0, 8.8], [1, -4.0, -3.0, 3.0, 2.0], [1, 10.0, 6.0, 25.0, 13.0]])
    aligned, pooled = ops.PSRoIAlign((2, 3), 0.5, 2)(images, boxes), ops.PSRoIPool((2, 3), 0.5)(images, boxes)
    assert aligned.shape == pooled.shape == (3, 2, 2, 3)
    values = images.detach().numpy()
    for k, (i, *box) in enumerate(boxes.tolist()):
        left, top, right, bottom = np.asarray(box) * 0.5 - 0.5
        step = [(bottom - top) / 2, (right - left) / 3]
        a, b, c, d = (int(np.sign(v) * np.floor(abs(v) + 0.5)) for v in np.asarray(box) * 0.5)
        whole = [max(d - b, 1) / 2, max(c - a, 1) / 3]
        for p in range(2):
            for q in range(3):
                own = values[int(i), 6 + p * 3 + q]
                ys = [top + (p + (s + 0.5) / 2) * step[0] for s in range(2)]
                xs = [left + (q + (s + 0.5) / 2) * step[1] for s in range(2)]
                assert aligned[k, 1, p, q].item() == pytest.approx(np.mean([bilinear(own, y, x) for y in ys for x in xs]), abs=1e-5)
                rows = [min(max(int(f((p + e) * whole[0])) + b, 0), 6) for f, e in ((np.floor, 0), (np.ceil, 1))]
                columns = [min(max(int(f((q + e) * whole[1])) + a, 0), 8) for f, e in ((np.floor, 0), (np.ceil, 1))]
                part = own[slice(*rows), slice(*columns)]
                assert pooled[k, 1, p, q].item() == pytest.approx(part.mean() if part.size else 0.0, abs=1e-5)
    (aligned.sum() + pooled.sum()).backward()
    assert images.grad.abs().sum() > 0
    with pytest.raises(RuntimeError, match="multiple of pooling"):
        ops.ps_roi_align(images, boxes, 5)


def reads(image, y, x):
    """Interpolated between pixels, of which those beyond the edges are 0."""
    total = 0.0
    for i in (int(np.floor(y)), int(np.floor(y)) + 1):
        for j in (int(np.floor(x)), int(np.floor(x)) + 1):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                total += (1 - abs(y - i)) * (1 - abs(x - j)) * image[i, j]
    return total


def test_deformable_convolution():
    torch.manual_seed(0)
    layer = ops.DeformConv2d(4, 6, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), groups=2)
    x = torch.randn(2, 4, 7, 5, requires_grad=True)
    offset, mask = torch.randn(2, 24, 4, 5, requires_grad=True), torch.rand(2, 12, 4, 5)
    plain = layer(x, torch.zeros(2, 12, 4, 5))
    wanted = torch.nn.functional.conv2d(x, layer.weight, layer.bias, (2, 1), 1, (1, 2), 2)
    assert torch.allclose(plain, wanted, atol=1e-5)
    found = layer(x, offset, mask)
    images, o, m, w = (t.detach().numpy() for t in (x, offset, mask, layer.weight))
    for n, c, i, j in ((0, 0, 0, 0), (1, 4, 3, 4), (1, 2, 1, 2)):
        total = layer.bias[c].item()
        for inner in range(2):
            channel = c // 3 * 2 + inner
            for place in range(6):
                row, column, k = place // 2, place % 2, channel // 2 * 6 + place
                y, x_ = i * 2 - 1 + row + o[n, 2 * k, i, j], j - 1 + column * 2 + o[n, 2 * k + 1, i, j]
                total += w[c, inner, row, column] * m[n, k, i, j] * reads(images[n, channel], y, x_)
        assert found[n, c, i, j].item() == pytest.approx(total, abs=1e-5)
    found.sum().backward()
    assert offset.grad.abs().sum() > 0 and x.grad.abs().sum() > 0 and layer.weight.grad is not None
    assert repr(layer) == "DeformConv2d(4, 6, kernel_size=(3, 2), stride=(2, 1), padding=(1, 1), dilation=(1, 2), groups=2)"
    with pytest.raises(RuntimeError, match="offset tensor at dimension 1"):
        layer(x, offset[:, :5], mask)
