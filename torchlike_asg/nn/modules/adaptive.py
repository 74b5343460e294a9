"""Softmax over very many classes: frequent ones in a head, rare ones in clusters with smaller projections (Grave et al., 2017)."""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from ...facade.held import value_of
from .. import functional as F
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Module

__all__ = ["AdaptiveLogSoftmaxWithLoss"]

_ASMoutput: Any = namedtuple("_ASMoutput", ["output", "loss"])


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of classes numbered by falling frequency, and their mean negative for targets.

    Classes below ``cutoffs[0]`` are in the head, beside one entry for each cluster; cluster i has the classes from ``cutoffs[i]`` to
    ``cutoffs[i + 1]`` (at last `n_classes`) and works on ``in_features // div_value ** (i + 1)`` features. Input (N, in_features) or
    (in_features), targets (N) or (). Called with both it gives a named tuple: output, the targets' log-probabilities, and loss.

    Every cluster is computed for every row, with shapes that do not depend on the targets, where PyTorch picks the rows out.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        cutoffs = list(cutoffs)
        if len(cutoffs) == 0:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        increasing = all(a < b for a, b in itertools.pairwise(cutoffs))
        if not increasing or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1 or any(int(c) != c for c in cutoffs):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is between "
                "1 and n_classes-1"
            )
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(self.cutoffs) - 1
        self.head_size = self.shortlist_size + self.n_clusters
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **factory)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner, classes = int(in_features // div_value ** (i + 1)), self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(Linear(in_features, inner, bias=False, **factory), Linear(inner, classes, bias=False, **factory)))

    def reset_parameters(self) -> None:
        """Draw the weights of the head and of all clusters anew."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Any, target_: Any) -> Any:
        if target_.dim() not in (0, 1):
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if target_.dim() == 1 and input_.size(0) != target_.size(0):
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        if input_.dim() != target_.dim() + 1:
            raise RuntimeError(
                f"{target_.dim()}D target tensor expects {target_.dim() + 1}D input tensors, but found inputs with size {input_.size()}"
            )
        input, target = (input_, target_) if target_.dim() else (input_.unsqueeze(0), target_.unsqueeze(0))
        self._check_range(target)
        head = F.log_softmax(self.head(input), 1)
        place = torch.minimum(target, torch.full_like(target, self.shortlist_size - 1))
        output = head.gather(1, place.unsqueeze(1)).squeeze(1)
        for i, tail in enumerate(self.tail):
            low, high = self.cutoffs[i], self.cutoffs[i + 1]
            inside = (target >= low) & (target < high)
            local = F.log_softmax(tail(input), 1).gather(1, (target - low).clamp(0, high - low - 1).unsqueeze(1)).squeeze(1)
            output = torch.where(inside, head[:, self.shortlist_size + i] + local, output)
        loss = (-output).mean()
        return _ASMoutput(output if target_.dim() else output.squeeze(0), loss)

    def _check_range(self, target: Any) -> None:
        values = value_of(target)
        if values.size and (values.min() < 0 or values.max() >= self.n_classes):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{values.min()}, {values.max()}] were found. "
            )

    def log_prob(self, input: Any) -> Any:
        """Log-probabilities of all classes: (N, n_classes)."""
        head = F.log_softmax(self.head(input), 1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            parts.append(F.log_softmax(tail(input), 1) + head[:, self.shortlist_size + i].unsqueeze(1))
        return torch.cat(parts, 1)

    def predict(self, input: Any) -> Any:
        """The class of the largest entry of the head, or where that is a cluster the most likely class of all: (N)."""
        first = self.head(input).argmax(1)
        return torch.where(first < self.shortlist_size, first, self.log_prob(input).argmax(1))
