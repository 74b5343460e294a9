"""Boxes (N, 4) of (left, top, right, bottom): areas, overlaps, non-maximum suppression."""

from __future__ import annotations

import numpy as np

import torchlike_asg as torch

from ...facade.held import value_of
from ...facade.hosted import indices

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "generalized_box_iou",
    "masks_to_boxes",
    "nms",
    "remove_small_boxes",
]

Tensor = torch.Tensor


def _wide(values: Tensor) -> Tensor:
    """In a type in which products of coordinates do not overflow."""
    if values.dtype.is_floating_point:
        return values if values.dtype in (torch.float32, torch.float64) else values.float()
    return values if values.dtype in (torch.int32, torch.int64) else values.int()


def box_area(boxes: Tensor) -> Tensor:
    """(N,) areas."""
    boxes = _wide(boxes)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    low, high = torch.max(a[:, None, :2], b[:, :2]), torch.min(a[:, None, 2:], b[:, 2:])
    edges = _wide(high - low).clamp(min=0)
    common = edges[:, :, 0] * edges[:, :, 1]
    return common, box_area(a)[:, None] + box_area(b) - common


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """(N, M) intersection over union of every box of the one set with every box of the other."""
    common, union = _overlaps(boxes1, boxes2)
    return common / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """(N, M) generalized intersection over union (Rezatofighi et al., 2019): also says how far boxes that do not meet are apart."""
    common, union = _overlaps(boxes1, boxes2)
    low, high = torch.min(boxes1[:, None, :2], boxes2[:, :2]), torch.max(boxes1[:, None, 2:], boxes2[:, 2:])
    edges = _wide(high - low).clamp(min=0)
    hull = edges[:, :, 0] * edges[:, :, 1]
    return common / union - (hull - union) / hull


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) between "xyxy" (corners), "xywh" (corner and edges) and "cxcywh" (middle and edges).

    Raises:
        ValueError: another format.
    """
    if in_fmt not in ("xyxy", "xywh", "cxcywh") or out_fmt not in ("xyxy", "xywh", "cxcywh"):
        raise ValueError(f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return torch.stack((a, b, c, d), -1)


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut to an image of (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(min=0, max=width), boxes[..., 1::2].clamp(min=0, max=height)
    return torch.stack((x, y), -1).reshape(boxes.shape)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices of the boxes whose edges are both at least `min_size`."""
    return torch.where((boxes[:, 2] - boxes[:, 0] >= min_size) & (boxes[:, 3] - boxes[:, 1] >= min_size))[0]


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices of the boxes to keep, by falling score: a box is dropped if it overlaps a kept one by more than `iou_threshold`.

    It is computed on the host: how many are kept depends on the values.

    Raises:
        RuntimeError: `boxes` is not (N, 4) or `scores` not (N,).
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"boxes should be a 2d tensor of shape (N, 4), got {list(boxes.shape)}")
    if scores.ndim != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            f"boxes and scores should have same number of elements in dimension 0, got {boxes.shape[0]} and {list(scores.shape)}"
        )
    corners, marks = value_of(boxes.detach()), value_of(scores.detach())
    left, top, right, bottom = corners.T
    areas = (right - left) * (bottom - top)
    order = np.argsort(-marks, kind="stable")
    kept = []
    while len(order):
        first, rest = order[0], order[1:]
        kept.append(first)
        across = np.clip(np.minimum(right[first], right[rest]) - np.maximum(left[first], left[rest]), 0, None)
        down = np.clip(np.minimum(bottom[first], bottom[rest]) - np.maximum(top[first], top[rest]), 0, None)
        common = across * down
        with np.errstate(invalid="ignore", divide="ignore"):
            order = rest[~(common / (areas[first] + areas[rest] - common) > iou_threshold)]
    return indices(np.array(kept, np.int64))


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` of each class (`idxs`, (N,)) for itself; the indices kept, by falling score."""
    if boxes.numel() == 0:
        return torch.empty((0,), dtype=torch.int64)
    keep = [
        np.flatnonzero(chosen)[value_of(nms(boxes[torch.from_numpy(chosen)], scores[torch.from_numpy(chosen)], iou_threshold))]
        for chosen in (value_of(idxs) == k for k in np.unique(value_of(idxs)))
    ]
    found = np.concatenate(keep)
    return indices(found[np.argsort(-value_of(scores.detach())[found], kind="stable")])


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The corners (x1, y1, x2, y2), as float32 (N, 4), of the pixels that are not zero in each of the masks (N, height, width).

    The corners are pixels of the mask: one pixel alone has a box of no extent, and an empty mask the box of zeros. Computed on the host.
    """
    corners = np.zeros((len(masks), 4), np.float32)
    for corner, mask in zip(corners, value_of(masks.detach()), strict=True):
        y, x = np.nonzero(mask)
        if len(x):
            corner[:] = x.min(), y.min(), x.max(), y.max()
    return torch.from_numpy(corners)
