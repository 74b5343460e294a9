"""A character-level language model of names, after Bengio et al. (2003): three letters of context, one hidden layer.

The names are the functions and methods of Python's own standard library (``def NAME``), which every machine has: more
than three thousand distinct lower-case identifiers. Four fifths of them are for training, the rest only for the test, so no
test name was ever seen. The baseline counts pairs of neighbouring letters in the training names (add-one smoothed).

Expected: the test loss, in nats per character, is at least 0.4 below that of the letter pairs.
Run: python examples/names_mlp.py
"""

import argparse
import re

from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.cli.data import standard_library_text

LETTERS = "._0123456789abcdefghijklmnopqrstuvwxyz"  # "." begins and ends every name
CONTEXT = 3


def read_names():
    """Every distinct name of 3 to 20 characters that the library's top-level modules define as a function."""
    found = re.findall(r"^\s*def ([a-z_][a-z0-9_]{2,19})\(", standard_library_text(limit=20_000_000), re.MULTILINE)
    return sorted({name.strip("_") for name in found} - {""})


def examples(names):
    """Contexts [N, 3] and the letter that follows each [N], as numbers of letters."""
    contexts, targets = [], []
    for name in names:
        letters = [0] * CONTEXT + [LETTERS.index(letter) for letter in name] + [0]
        for end in range(CONTEXT, len(letters)):
            contexts.append(letters[end - CONTEXT : end])
            targets.append(letters[end])
    return torch.tensor(contexts), torch.tensor(targets)


def pair_loss(x, y, x_test, y_test):
    """The test loss of the add-one smoothed frequencies of letter pairs: what a model without learning can do."""
    counts = torch.ones(len(LETTERS), len(LETTERS))
    counts.index_put_((x[:, -1], y), torch.ones(len(y)), accumulate=True)
    probabilities = counts / counts.sum(dim=1, keepdim=True)
    return -probabilities[x_test[:, -1], y_test].log().mean().item()


def invent(model, count, generator):
    names = []
    for _ in range(count):
        letters = [0] * CONTEXT
        while len(letters) < 24:
            probabilities = nn.functional.softmax(model(torch.tensor([letters[-CONTEXT:]])), dim=-1)
            letters.append(torch.multinomial(probabilities, 1, generator=generator).item())
            if letters[-1] == 0:
                break
        names.append("".join(LETTERS[letter] for letter in letters).strip("."))
    return names


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    torch.manual_seed(args.seed)
    names = read_names()
    order = torch.randperm(len(names)).tolist()
    split = len(names) * 4 // 5
    x, y = examples([names[i] for i in order[:split]])
    x_test, y_test = examples([names[i] for i in order[split:]])

    model = nn.Sequential(
        nn.Embedding(len(LETTERS), 16), nn.Flatten(), nn.Linear(CONTEXT * 16, 128), nn.Tanh(), nn.Linear(128, len(LETTERS))
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for step in (progress := tqdm(range(args.steps), desc="steps")):
        batch = torch.randint(0, len(x), (128,))
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)

    with torch.no_grad():
        test_loss = nn.functional.cross_entropy(model(x_test), y_test).item()
        invented = invent(model, 10, torch.Generator().manual_seed(args.seed))
    baseline = pair_loss(x, y, x_test, y_test)
    print(f"{len(names)} names; test loss {test_loss:.3f}, letter pairs {baseline:.3f}; invented: {', '.join(invented)}")
    return {"names": len(names), "test_loss": test_loss, "baseline": baseline, "invented": invented}


if __name__ == "__main__":
    main()
