"""Losses that PyTorch does not have. Like its own, they treat every sample alone and then reduce: 'mean' (default), 'sum' or 'none'.

RustyASG's eighteen loss functions, and what to use here:

================================  ==========================================================
mse_loss, mse_loss_mean           MSELoss(reduction='sum'), MSELoss()
l1_loss, l1_loss_mean             L1Loss(reduction='sum'), L1Loss()
smooth_l1_loss, huber_loss        SmoothL1Loss(beta=), HuberLoss(delta=)
cross_entropy_loss                CrossEntropyLoss(), from logits; targets are indices or probabilities
  ..._with_label_smoothing        CrossEntropyLoss(label_smoothing=)
binary_cross_entropy              BCELoss()
bce_with_logits                   BCEWithLogitsLoss()
kl_divergence                     KLDivLoss(reduction='batchmean')
nll_loss                          NLLLoss()
hinge_loss, squared_hinge_loss    HingeLoss(margin=), SquaredHingeLoss(margin=)
focal_loss                        FocalLoss(alpha=, gamma=)
cosine_embedding_loss             CosineEmbeddingLoss(margin=)
triplet_margin_loss               TripletMarginLoss(margin=)
margin_ranking_loss               MarginRankingLoss(margin=)
================================  ==========================================================
"""

from __future__ import annotations

from typing import Any

from ...facade.core import Tensor
from ...facade.functions.reduction import reduced, reduction_of
from .. import functional as F
from .module import Module

__all__ = ["DiceLoss", "FocalLoss", "HingeLoss", "SquaredHingeLoss"]


class _ReducedLoss(Module):
    def __init__(self, reduction: str) -> None:
        super().__init__()
        self.reduction = reduction_of(reduction)

    def _reduce(self, losses: Any) -> Any:
        return reduced(losses, self.reduction)


def _wrong_target(loss: Module, input: Any, target: Any) -> ValueError:
    return ValueError(
        f"{type(loss).__name__}: expected targets of the logits' shape {tuple(input.shape)} or class indices without dimension 1, "
        f"got {tuple(target.shape)}"
    )


class HingeLoss(_ReducedLoss):
    """max(0, margin - target * input) for scores and targets 1 or -1 of one shape (Cortes & Vapnik, 1995)."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input: Any, target: Any) -> Any:
        return self._reduce((self.margin - target * input).clamp(min=0))


class SquaredHingeLoss(HingeLoss):
    """max(0, margin - target * input)^2 for scores and targets 1 or -1 of one shape."""

    def forward(self, input: Any, target: Any) -> Any:
        return self._reduce((self.margin - target * input).clamp(min=0).square())


class FocalLoss(_ReducedLoss):
    """-alpha_t (1 - p_t)^gamma log(p_t): cross entropy that turns to the samples the model is unsure of (Lin et al., 2017).

    Binary, for logits and 0/1 targets of one shape: alpha_t is `alpha` for positives and ``1 - alpha`` for negatives.
    Of C classes, for logits (N, C, *) and int64 class indices (N, *): `alpha` is one number, or a tensor (C,) of class weights.
    ``alpha=None`` weighs nothing. The mean is over all losses, whatever their weights.
    """

    alpha: Any

    def __init__(self, alpha: Any = 0.25, gamma: float = 2.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if isinstance(alpha, Tensor):
            self.register_buffer("alpha", alpha)
        else:
            self.alpha = alpha
        self.gamma = gamma

    def forward(self, input: Any, target: Any) -> Any:
        if input.shape == target.shape:
            return self._reduce(self._binary(input, target))
        if input.dim() >= 1 and target.shape == input.shape[:1] + input.shape[2:]:
            return self._reduce(self._multiclass(input, target))
        raise _wrong_target(self, input, target)

    def _binary(self, input: Any, target: Any) -> Any:
        target = target.to(input.dtype)
        losses = F.binary_cross_entropy_with_logits(input, target, reduction="none")
        # 1 - p_t, as a sigmoid of its own: exact where the model is sure
        unsure = (input * (1 - 2 * target)).sigmoid()
        losses = losses * unsure**self.gamma
        return losses if self.alpha is None else losses * (self.alpha * target + (1 - self.alpha) * (1 - target))

    def _multiclass(self, input: Any, target: Any) -> Any:
        log_p = F.log_softmax(input, dim=1).gather(1, target.unsqueeze(1)).squeeze(1)
        losses = -((1 - log_p.exp()) ** self.gamma) * log_p
        if self.alpha is None:
            return losses
        return losses * (self.alpha[target] if isinstance(self.alpha, Tensor) else self.alpha)


class DiceLoss(_ReducedLoss):
    """1 - (2 sum(p t) + smooth) / (sum p + sum t + smooth), per sample and channel over all positions (Milletari et al., 2016).

    Logits (N, C, *) with 0/1 targets of that shape (p is their sigmoid), or with int64 class indices (N, *) (p is their softmax over C).
    ``reduction='none'`` gives (N, C).
    """

    def __init__(self, smooth: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.smooth = smooth

    def forward(self, input: Any, target: Any) -> Any:
        if input.dim() < 2:
            raise ValueError(f"DiceLoss: expected logits (N, C, *), got {input.dim()}D input")
        if input.shape == target.shape:
            probabilities, truth = input.sigmoid(), target.to(input.dtype)
        elif target.shape == input.shape[:1] + input.shape[2:]:
            probabilities = F.softmax(input, dim=1)
            truth = F.one_hot(target, input.shape[1]).movedim(-1, 1).to(input.dtype)
        else:
            raise _wrong_target(self, input, target)
        p, t = (x.reshape(input.shape[0], input.shape[1], -1) for x in (probabilities, truth))
        overlap, total = (p * t).sum(-1), p.sum(-1) + t.sum(-1)
        return self._reduce(1 - (2 * overlap + self.smooth) / (total + self.smooth))
