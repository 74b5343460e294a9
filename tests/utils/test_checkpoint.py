from __future__ import annotations

import contextlib
from typing import Any

import pytest

import torchlike_asg as ours
from torchlike_asg.utils.checkpoint import checkpoint, checkpoint_sequential


def gradients(package: Any, use_checkpoint: bool, use_reentrant: bool) -> Any:
    """Loss and gradients of a net with dropout, in part checkpointed."""
    package.manual_seed(0)
    first, second = package.nn.Linear(3, 4), package.nn.Linear(4, 2)
    x = package.ones(5, 3, requires_grad=True)

    def part(value: Any) -> Any:
        return package.nn.functional.dropout(first(value).tanh(), 0.5)

    hidden = package.utils.checkpoint.checkpoint(part, x, use_reentrant=use_reentrant) if use_checkpoint else part(x)
    loss = (second(hidden) ** 2).sum()
    loss.backward()
    return [value.tolist() for value in (loss, x.grad, first.weight.grad, second.bias.grad)]


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_values_and_gradients_are_those_without(torch: Any, use_reentrant: bool) -> None:
    pytest.importorskip("torch.utils.checkpoint")
    got = gradients(ours, True, use_reentrant)
    assert got == gradients(ours, False, use_reentrant)
    want = gradients(torch, True, use_reentrant)
    for mine, theirs in zip(got, want, strict=True):
        assert ours.allclose(ours.tensor(mine), ours.tensor(theirs), rtol=1e-5, atol=1e-6)


def test_inputs_without_gradient() -> None:
    layer, x = ours.nn.Linear(2, 2), ours.ones(1, 2)
    assert checkpoint(layer, x, use_reentrant=False).requires_grad
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        assert not checkpoint(layer, x, use_reentrant=True).requires_grad
    with pytest.warns(UserWarning, match="should be passed explicitly"):
        assert checkpoint(layer, ours.ones(1, 2, requires_grad=True)).requires_grad


def test_arguments() -> None:
    assert checkpoint(lambda x, scale: x * scale, ours.ones(2), scale=3, use_reentrant=False, preserve_rng_state=False).tolist() == [3, 3]
    with pytest.raises(ValueError, match="Unexpected keyword arguments: scale"):
        checkpoint(lambda x, scale: x, ours.ones(2), scale=3, use_reentrant=True)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(lambda x: x, ours.ones(2), use_reentrant=True, debug=True)
    entered = []

    @contextlib.contextmanager
    def note() -> Any:
        entered.append(1)
        yield

    checkpoint(lambda x: x, ours.ones(2), use_reentrant=False, context_fn=lambda: (note(), note()))
    assert entered == [1]


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
def test_sequential(segments: int) -> None:
    ours.manual_seed(0)
    model, x = ours.nn.Sequential(*[ours.nn.Linear(2, 2) for _ in range(5)]), ours.ones(1, 2, requires_grad=True)
    assert checkpoint_sequential(model, segments, x, use_reentrant=False).tolist() == model(x).tolist()
    assert checkpoint_sequential(list(model), segments, x, use_reentrant=True).tolist() == model(x).tolist()


def test_sequential_errors() -> None:
    model = ours.nn.Sequential(ours.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="segments must lie between 1 and the number of functions"):
        checkpoint_sequential(model, 2, ours.ones(1, 2), use_reentrant=False)
    with pytest.raises(ValueError, match="Unexpected keyword arguments: other"):
        checkpoint_sequential(model, 1, ours.ones(1, 2), use_reentrant=False, other=1)


def test_modules_are_reached_from_the_package() -> None:
    assert ours.utils.checkpoint.checkpoint is checkpoint
    assert ours.utils.tensorboard.SummaryWriter.__name__ == "SummaryWriter"
    with pytest.raises(NotImplementedError, match=r"utils\.bottleneck is not supported"):
        ours.utils.bottleneck  # noqa: B018
    assert not hasattr(ours.utils, "nothing_of_this_name")
