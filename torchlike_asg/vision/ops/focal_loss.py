"""The focal loss of dense detection."""

from __future__ import annotations

import torchlike_asg as torch

__all__ = ["sigmoid_focal_loss"]

F = torch.nn.functional


def sigmoid_focal_loss(
    inputs: torch.Tensor, targets: torch.Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> torch.Tensor:
    """Cross-entropy of logits with weights (1 - p)^gamma, so that easy examples count less (Lin et al., 2017).

    `alpha` weighs positives against negatives; negative: not at all. `targets` are 0 or 1, of the shape of `inputs`.

    Raises:
        ValueError: `reduction` is not "none", "mean" or "sum".
    """
    p = torch.sigmoid(inputs)
    entropy = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    right = p * targets + (1 - p) * (1 - targets)
    loss = entropy * ((1 - right) ** gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'")
    return loss if reduction == "none" else getattr(loss, reduction)()
