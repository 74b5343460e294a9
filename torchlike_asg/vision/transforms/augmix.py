"""AugMix (Hendrycks et al., 2020): an image mixed with random chains of changes of itself."""

from __future__ import annotations

from typing import Any

import numpy as np

import torchlike_asg as torch

from ..pictures import is_picture
from . import functional as F
from .autoaugment import _COLOURS, _Augment
from .base import integer
from .conversion import pil_to_tensor, to_pil_image
from .interpolation import InterpolationMode

__all__ = ["AugMix"]

#: strengths of a change, of which `severity` are drawn from
_MOST = 10


class AugMix(_Augment):
    """`mixture_width` chains of up to three random changes (`chain_depth`, if positive) of a byte image, mixed with it and each other.

    The shares are Dirichlet distributed with concentration `alpha`; `severity`, from 1 to 10, limits how strong a change may be; `all_ops`
    adds brightness, colour, contrast and sharpness to the changes.
    """

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= _MOST:
            raise ValueError(f"The severity must be between [1, {_MOST}]. Got {severity} instead.")
        self.severity, self.mixture_width, self.chain_depth, self.alpha, self.all_ops = severity, mixture_width, chain_depth, alpha, all_ops

    def forward(self, img: Any) -> Any:
        image = pil_to_tensor(img) if is_picture(img) else img
        if not isinstance(image, torch.Tensor) or image.dtype != torch.uint8:
            raise TypeError("AugMix takes PIL images and tensors of bytes")
        batch = image.reshape((1,) * (4 - image.ndim) + tuple(image.shape)) if image.ndim < 4 else image
        shares = _dirichlet([self.alpha, self.alpha], len(batch))
        chains = _dirichlet([self.alpha] * self.mixture_width, len(batch)) * shares[:, 1:]
        mixed = shares[:, 0].reshape(-1, 1, 1, 1) * batch.numpy()
        strengths = self._strengths(batch)
        for i in range(self.mixture_width):
            changed = batch
            for _ in range(self.chain_depth if self.chain_depth > 0 else integer(1, 4)):
                name = list(strengths)[integer(0, len(strengths))]
                found = strengths[name]
                strength = 0.0 if found is None else float(found[integer(0, self.severity)])
                changed = self._changed(changed, name, self._signed(name, strength))
            mixed = mixed + chains[:, i].reshape(-1, 1, 1, 1) * changed.numpy()
        result = torch.from_numpy(mixed.astype(np.uint8).reshape(tuple(image.shape)))
        return to_pil_image(result, mode=img.mode) if is_picture(img) else result

    def _strengths(self, batch: torch.Tensor) -> dict[str, Any]:
        """Change -> its strengths; posterising leaves four bits at first and fewer from there."""
        _, height, width = F.get_dimensions(batch)
        steps = np.linspace(0.0, 1.0, _MOST)
        lost = np.round(np.arange(_MOST) / ((_MOST - 1) / 4))
        return {
            "ShearX": 0.3 * steps,
            "ShearY": 0.3 * steps,
            "TranslateX": width / 3.0 * steps,
            "TranslateY": height / 3.0 * steps,
            "Rotate": 30.0 * steps,
            "Posterize": 4 - lost,
            "Solarize": 255.0 * steps[::-1],
            "AutoContrast": None,
            "Equalize": None,
            **({name: 0.9 * steps for name in _COLOURS} if self.all_ops else {}),
        }

    def __repr__(self) -> str:
        return self._shown("severity", "mixture_width", "chain_depth", "alpha", "all_ops")


def _dirichlet(concentration: list[float], count: int) -> np.ndarray[Any, Any]:
    """`count` rows of shares that add up to one, drawn past the graph (see base.py)."""
    with torch.no_grad():
        alphas = torch.tensor([concentration] * count)
        return np.asarray(torch.distributions.Dirichlet(alphas).sample().numpy())
