"""The character transformer: causal, weight-tied, and the same network as its source run under PyTorch."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.cli import model as module
from torchlike_asg.cli.model import CharacterTransformer

SIZE: dict[str, Any] = {"vocabulary": 11, "block": 8, "layers": 2, "width": 16, "heads": 4}


def make() -> CharacterTransformer:
    ours.manual_seed(0)
    return CharacterTransformer(**SIZE)


def test_shape_and_initial_loss() -> None:
    tokens, targets = ours.randint(0, 11, (2, 3, 8))
    logits = make()(tokens)
    assert logits.shape == (3, 8, 11)
    loss = ours.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(np.log(11), rel=0.05)


def test_a_character_does_not_see_the_future() -> None:
    model = make()
    tokens = ours.randint(0, 11, (1, 8))
    changed = tokens.clone()
    changed[0, 5] = (tokens[0, 5] + 1) % 11
    before, after = model(tokens).detach().numpy(), model(changed).detach().numpy()
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(axis=2).all()


def test_head_and_embedding_share_their_weight() -> None:
    model = make()
    assert model.head.weight is model.token.weight
    names = [name for name, _ in model.named_parameters()]
    assert "token.weight" in names
    assert "head.weight" not in names


def test_generate_is_repeatable_and_continues_any_prompt() -> None:
    model = make()

    def written(length: int, seed: int) -> list[int]:
        return model.generate(ours.arange(length), 12, 1.0, ours.Generator().manual_seed(seed))

    for length in (1, 3, 8):
        assert written(length, 0) == written(length, 0)
        assert len(written(length, 0)) == 12
        assert set(written(length, 0)) <= set(range(11))
    assert written(8, 0) != written(8, 1)


def test_low_temperature_takes_the_likeliest() -> None:
    model, prompt = make(), ours.arange(8)
    (first,) = model.generate(prompt, 1, 1e-4, ours.Generator().manual_seed(3))
    assert first == model(prompt.unsqueeze(0))[0, -1].argmax().item()


def test_equals_pytorch() -> None:
    """The same source with its imports changed back: same weights from the same seed, same losses while training."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    source = Path(module.__file__).read_text(encoding="utf-8")
    source = source.replace("import torchlike_asg as torch", "import torch").replace("from torchlike_asg", "from torch")
    original = types.ModuleType("original")
    exec(compile(source, "model.py", "exec"), vars(original))

    def losses(T: Any, cls: Any) -> tuple[list[Any], list[float]]:
        T.manual_seed(0)
        model = cls(**SIZE)
        initial = [p.detach().numpy().copy() for p in model.parameters()]
        optimizer = T.optim.AdamW(model.parameters(), lr=1e-2)
        seen = []
        for _ in range(10):
            tokens = T.randint(0, 11, (4, 9))
            loss = T.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            T.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            seen.append(loss.item())
        return initial, seen

    our_weights, our_losses = losses(ours, CharacterTransformer)
    their_weights, their_losses = losses(torch, original.CharacterTransformer)
    for a, b in zip(our_weights, their_weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(our_losses, their_losses, rtol=1e-5)
