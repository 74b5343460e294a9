"""A character GPT built from the library's own transformer layers, trained on the source code of Python's standard library.

The main job (``python -m torchlike_asg``) writes its attention out; here ``nn.TransformerEncoder`` with a causal mask does the
work. The last tenth of the text is held out. Two baselines count the training text: single characters, and pairs of characters.

Expected: after 300 steps the loss on the held-out text, in nats per character, is at least 0.2 below that of the character
pairs (about 2.4), so the model uses more context than one character.
Run: python examples/char_gpt.py
"""

import argparse

import numpy as np
from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.cli.data import Corpus, standard_library_text
from torchlike_asg.nn import functional as F

BLOCK = 64
WINDOWS, WRITTEN = 384, 200  # of the held-out text that are looked at, at most; characters that the model writes


class CharGPT(nn.Module):
    def __init__(self, vocabulary, width=96, heads=4, layers=2):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.token.weight, std=0.1)
        self.position = nn.Parameter(torch.randn(BLOCK, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, vocabulary)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(BLOCK), persistent=False)

    def forward(self, tokens):
        length = tokens.size(1)
        x = self.token(tokens) + self.position[:length]
        return self.head(self.blocks(x, mask=self.mask[:length, :length], is_causal=True))


def loss_of(model, windows):
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def counted_losses(corpus):
    """The held-out loss of add-one smoothed character frequencies: (single characters, pairs of characters)."""
    size, train, test = len(corpus.vocabulary), corpus.train, corpus.held_out
    pairs = np.bincount(train[:-1] * size + train[1:], minlength=size * size).reshape(size, size) + 1.0
    single = pairs.sum(axis=0) / pairs.sum()
    following = pairs / pairs.sum(axis=1, keepdims=True)
    return float(-np.log(single[test]).mean()), float(-np.log(following[test[:-1], test[1:]]).mean())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    torch.manual_seed(args.seed)
    corpus = Corpus.of(standard_library_text(), BLOCK)
    train, held_out = torch.tensor(corpus.train), torch.tensor(corpus.held_out)
    window = torch.arange(BLOCK + 1)

    model = CharGPT(len(corpus.vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=args.steps, pct_start=0.1)
    for _ in (progress := tqdm(range(args.steps), desc="steps")):
        loss = loss_of(model, train[torch.randint(0, len(train) - BLOCK, (16, 1)) + window])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)

    model.eval()
    with torch.no_grad():
        starts = torch.arange(0, len(held_out) - BLOCK, 4 * BLOCK).view(-1, 1)[:WINDOWS]
        held_out_loss = sum(loss_of(model, held_out[part + window]).item() for part in starts.split(16)) / (len(starts) // 16)
        text = held_out[:BLOCK].tolist()
        generator = torch.Generator().manual_seed(args.seed)
        for _ in range(WRITTEN):
            logits = model(torch.tensor([text[-BLOCK:]]))[0, -1]
            text.append(torch.multinomial(F.softmax(logits / 0.8, dim=-1), 1, generator=generator).item())
    single, pairs = counted_losses(corpus)
    print(corpus.decode(text[BLOCK:]))
    print(f"held-out loss {held_out_loss:.3f} (single characters {single:.3f}, pairs {pairs:.3f})")
    return {"held_out_loss": held_out_loss, "single": single, "pairs": pairs}


if __name__ == "__main__":
    main()
