"""Training the character transformer: its settings, one step, the loss on held-out text, a sample."""

from __future__ import annotations

import math
from argparse import Namespace
from dataclasses import asdict, dataclass, fields
from typing import Any

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F

from .data import Corpus
from .model import CharacterTransformer

FLOOR = 0.1  # the share of the peak learning rate that remains after the decay
CLIP = 1.0  # largest norm of the whole gradient
WEIGHT_DECAY = 0.1  # on matrices; biases and norms are left alone
VALIDATION_WINDOWS = 1024  # at most, spread evenly over the held-out text


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a run unfolds, apart from its length. Stored in checkpoints, so that resuming cannot disagree."""

    seed: int
    layers: int
    width: int
    heads: int
    block: int
    batch: int
    lr: float
    warmup: int
    decay_steps: int

    @staticmethod
    def of(args: Namespace) -> Settings:
        return Settings(**{field.name: getattr(args, field.name) for field in fields(Settings)})

    def changed_from(self, default: Settings) -> dict[str, Any]:
        """The settings that differ from `default`."""
        return {name: value for name, value in asdict(self).items() if value != getattr(default, name)}

    def rate(self, step: int) -> float:
        """The share of the peak learning rate used by step `step` (from 0): linear warm-up, then a cosine down to `FLOOR`.

        It does not depend on how many steps a run is asked for, so a run of 100 steps resumed to 200 equals a run of 200.
        """
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / max(1, self.decay_steps - self.warmup))
        return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * done)) / 2


class Training:
    """A model on its way: `step` counts the optimizer steps it has had."""

    def __init__(self, settings: Settings, corpus: Corpus, device: str = "cpu") -> None:
        torch.manual_seed(settings.seed)
        self.device = device
        self.settings = settings
        self.corpus = corpus
        self.step = 0
        self.tokens = torch.from_numpy(corpus.train)
        self.offsets = torch.arange(settings.block + 1)
        model = CharacterTransformer(len(corpus.vocabulary), settings.block, settings.layers, settings.width, settings.heads)
        self.model = model.to(device)
        matrices = [p for p in self.model.parameters() if p.dim() > 1]
        vectors = [p for p in self.model.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.95))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, settings.rate)

    @property
    def tokens_per_step(self) -> int:
        return self.settings.batch * self.settings.block

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def advance(self) -> float:
        """One optimizer step on random windows of the training text; returns their loss in nats per character."""
        starts = torch.randint(0, len(self.tokens) - self.settings.block, (self.settings.batch, 1))
        windows = self.tokens[starts + self.offsets]
        loss = self._loss(windows)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return loss.item()

    def _loss(self, windows: torch.Tensor) -> torch.Tensor:
        windows = windows.to(self.device)
        logits = self.model(windows[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Mean loss in nats per character over fixed, evenly spread windows of the held-out text."""
        held_out, block, batch = torch.from_numpy(self.corpus.held_out), self.settings.block, self.settings.batch
        last = len(held_out) - block - 1
        count = min(VALIDATION_WINDOWS, last // block + 1)
        starts = torch.tensor([[last * i // max(1, count - 1)] for i in range(count)])
        total = 0.0
        for chosen in starts.split(batch):
            total += self._loss(held_out[chosen + self.offsets]).item() * len(chosen)
        return total / count

    def sample(self, length: int, temperature: float) -> str:
        """`length` characters written by the model as a continuation of the beginning of the held-out text."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        prompt = torch.from_numpy(self.corpus.held_out[: self.settings.block]).to(self.device)
        return self.corpus.decode(self.model.generate(prompt, length, temperature, generator))
