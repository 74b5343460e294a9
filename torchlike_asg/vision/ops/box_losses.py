"""Losses of pairs of boxes (N, 4) of (left, top, right, bottom), and the overlaps that they are made of."""

from __future__ import annotations

import math
from typing import Any

import torchlike_asg as torch

from .boxes import _overlaps, _wide

__all__ = ["complete_box_iou", "complete_box_iou_loss", "distance_box_iou", "distance_box_iou_loss", "generalized_box_iou_loss"]

Tensor = torch.Tensor


def _apart(a: Tensor, b: Tensor, eps: float) -> Tensor:
    """The squared distance of the middles of boxes, by the squared diagonal of what encloses both."""
    low, high = torch.min(a[..., :2], b[..., :2]), torch.max(a[..., 2:], b[..., 2:])
    diagonal = _wide(high - low).clamp(min=0).square().sum(-1) + eps
    middles = (a[..., :2] + a[..., 2:]) / 2 - (b[..., :2] + b[..., 2:]) / 2
    return middles.square().sum(-1) / diagonal


def _proportions(a: Tensor, b: Tensor) -> Tensor:
    """How far the proportions of boxes differ, from 0 to 1."""
    angles = [torch.atan((box[..., 2] - box[..., 0]) / (box[..., 3] - box[..., 1])) for box in (a, b)]
    return (4 / math.pi**2) * (angles[1] - angles[0]).square()


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """(N, M) intersection over union less the distance of the middles (Zheng et al., 2020)."""
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    common, union = _overlaps(boxes1, boxes2)
    return common / union - _apart(boxes1[:, None], boxes2[None], eps)


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """(N, M) `distance_box_iou` less what the proportions differ."""
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    common, union = _overlaps(boxes1, boxes2)
    iou, v = common / union, _proportions(boxes1[:, None], boxes2[None])
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return iou - _apart(boxes1[:, None], boxes2[None], eps) - alpha * v


def _pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each pair's boxes in a wide type, intersection and union. A pair that does not meet has no intersection, and no gradient of it."""
    a, b = (box if box.dtype in (torch.float32, torch.float64) else box.float() for box in (a, b))
    edges = torch.min(a[..., 2:], b[..., 2:]) - torch.max(a[..., :2], b[..., :2])
    product = edges[..., 0] * edges[..., 1]
    common = torch.where((edges > 0).all(-1), product, torch.zeros_like(product))
    areas = [(box[..., 2] - box[..., 0]) * (box[..., 3] - box[..., 1]) for box in (a, b)]
    return a, b, common, areas[0] + areas[1] - common


def _reduced(loss: Tensor, reduction: str) -> Any:
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'")
    if reduction == "mean" and loss.numel() == 0:
        return 0.0 * loss.sum()
    return loss if reduction == "none" else getattr(loss, reduction)()


def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 less the generalized intersection over union of each pair (Rezatofighi et al., 2019)."""
    a, b, common, union = _pairs(boxes1, boxes2)
    edges = torch.max(a[..., 2:], b[..., 2:]) - torch.min(a[..., :2], b[..., :2])
    hull = edges[..., 0] * edges[..., 1]
    return _reduced(1 - (common / (union + eps) - (hull - union) / (hull + eps)), reduction)


def distance_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 less the intersection over union of each pair, and the distance of the middles (Zheng et al., 2020)."""
    a, b, common, union = _pairs(boxes1, boxes2)
    return _reduced(1 - common / (union + eps) + _apart(a, b, eps), reduction)


def complete_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """`distance_box_iou_loss` and what the proportions differ."""
    a, b, common, union = _pairs(boxes1, boxes2)
    iou, v = common / (union + eps), _proportions(a, b)
    with torch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return _reduced(1 - iou + _apart(a, b, eps) + alpha * v, reduction)
