"""Time for a word of a text that grows, with PyTorch and with this package, in turns; the table of docs/PERFORMANCE.md.

    python docs/measure_growing.py [--width 128] [--layers 4] [--words 200] [--rounds 3]

A GPT without a cache of keys draws each word from the whole text before it, so that its sizes are new in every turn. Printed is the
least of all rounds, in milliseconds of processor time with one thread, for each quarter of the words, after 25 words that are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

WARM = 25


def model(torch: Any, width: int, layers: int) -> Any:
    """Words -> logits of the next one."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
            self.heads, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            rows, words, _ = x.shape
            q, k, v = [y.view(rows, words, 4, width // 4).transpose(1, 2) for y in self.heads(self.before(x)).split(width, 2)]
            scores = (q @ k.transpose(-2, -1)) * (width // 4) ** -0.5
            scores = scores.masked_fill(torch.tril(torch.ones(words, words)) == 0, float("-inf"))
            x = x + self.out((functional.softmax(scores, -1) @ v).transpose(1, 2).contiguous().view(rows, words, width))
            return x + self.down(functional.gelu(self.up(self.after(x))))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(65, width), nn.Embedding(1024, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 65)

        def forward(self, text: Any) -> Any:
            return self.head(self.norm(self.blocks(self.words(text) + self.places(torch.arange(text.shape[1])))))

    return Network().eval()


def generate(package: str, width: int, layers: int, words: int) -> tuple[list[float], list[int]]:
    """(seconds for each word, the words)"""
    if package != "torch":
        import torchlike_asg

        torchlike_asg.install_as_torch()
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    network, text, seconds = model(torch, width, layers), torch.zeros(1, 1, dtype=torch.long), []
    with torch.no_grad():
        for _ in range(WARM + words):
            start = time.process_time()
            word = torch.multinomial(network(text)[:, -1].softmax(-1), 1)
            text = torch.cat((text, word), 1)
            word.item()
            seconds.append(time.process_time() - start)
    return seconds[WARM:], text[0].tolist()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("width", 128), ("layers", 4), ("words", 200), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--package", help=argparse.SUPPRESS)
    given = parser.parse_args()
    size = given.width, given.layers, given.words
    if given.package:
        print(json.dumps(generate(given.package, *size)))
        return
    least: dict[str, list[float]] = {}
    texts = {}
    for _ in range(given.rounds):
        for package in ("torch", "torchlike_asg"):
            command = [sys.executable, __file__, "--package", package, *[f"--{n}={v}" for n, v in vars(given).items() if v is not None]]
            done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True)
            seconds, texts[package] = json.loads(done.stdout.splitlines()[-1])
            quarter = len(seconds) // 4
            quarters = [sum(seconds[i * quarter : (i + 1) * quarter]) / quarter * 1e3 for i in range(4)]
            least[package] = [min(pair) for pair in zip(quarters, least.get(package, quarters), strict=True)]
    for package, quarters in least.items():
        print(f"{package:14}", " ".join(f"{q:6.1f}" for q in quarters), "ms a word")
    print("the same words" if len({tuple(t) for t in texts.values()}) == 1 else "other words")


if __name__ == "__main__":
    main()
