"""A decoder-only transformer over characters: pre-norm blocks of causal self-attention and a feed-forward network.

Plain PyTorch; the only line that differs is the import.
"""

from __future__ import annotations

import math

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for part in self.qkv(x).split(width, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class CharacterTransformer(nn.Module):
    """Logits of the next character, [batch, length, vocabulary], from character numbers [batch, length]; length <= block."""

    def __init__(self, vocabulary: int, block: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.block = block
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(block, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.token.weight
        self.apply(self._initialise)
        # Each block adds to the residual stream twice; GPT-2 scales those outputs so that depth does not blow it up.
        for block_ in self.blocks:
            for layer in (block_.attention.out, block_.feed_forward[2]):
                nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * layers))

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.token(tokens) + self.position(torch.arange(tokens.size(1), device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def generate(self, prompt: torch.Tensor, count: int, temperature: float, generator: torch.Generator) -> list[int]:
        """`count` character numbers that continue `prompt` [length <= block], each drawn from the model's distribution over the next one.

        The context is the last `block` characters and is computed anew for each: no cache of keys and values.
        """
        window, written = prompt.unsqueeze(0), []
        for _ in range(count):
            logits = self(window)[:, -1]
            chosen = torch.multinomial(F.softmax(logits / temperature, dim=-1), 1, generator=generator)
            window = torch.cat([window, chosen], dim=1)[:, -self.block :]
            written.append(chosen.item())
        return written
