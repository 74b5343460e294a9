"""Numbers that follow from known ones by a comparison: read without a plan, and without computing what is pending."""

from __future__ import annotations

import pytest

import torchlike_asg as torch
from torchlike_asg import asg
from torchlike_asg.facade.known_numbers import _PENDING


def _solve(rate: torch.Tensor, alphas: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
    """Steps with a history, of which every part asks for numbers that are known."""
    y, size = torch.ones(3) * rate, torch.tensor(0.5)
    for _ in range(4):
        assert torch.isfinite(size)
        assert torch.isfinite(y).all()
        assert size + limit > size
        for a in alphas:
            y = y + size * a * torch.tanh(y * rate) if a == 1.0 else y * a
        size = size * 0.5 if size > limit else size
        if float(y.detach().abs().max()) > 1e6:
            break
    return y.sum()


def test_comparisons_of_known_numbers_begin_no_plan() -> None:
    rate = torch.tensor([0.1, 0.2, 0.3], requires_grad=True)
    alphas, limit = torch.tensor([0.5, 1.0, 0.25, 1.0]), torch.tensor(0.1)
    before = asg.stats()["flushes"]
    loss = _solve(rate, alphas, limit)
    assert asg.stats()["flushes"] - before <= 4 * 3  # not one for each of its 36 reads
    loss.backward()
    real = pytest.importorskip("torch")
    other = real.tensor([0.1, 0.2, 0.3], requires_grad=True)
    y, size = real.ones(3) * other, real.tensor(0.5)
    for _ in range(4):
        for a in (0.5, 1.0, 0.25, 1.0):
            y = y + size * a * real.tanh(y * other) if a == 1.0 else y * a
        size = size * 0.5 if size > 0.1 else size
    y.sum().backward()
    assert torch.allclose(rate.grad, torch.tensor(other.grad.tolist()), rtol=1e-6)  # type: ignore[union-attr]
    assert loss.item() == pytest.approx(y.sum().item(), rel=1e-6)


@pytest.mark.parametrize("number", [0.0, -0.0, 1.5, -2.0, float("nan"), float("inf")])
def test_what_is_read_is_what_a_kernel_gives(number: float) -> None:
    def answers(x: torch.Tensor) -> list[torch.Tensor]:
        return [x > 1, x <= x, x != 0, torch.isfinite(x), torch.isnan(x), (x + 1 > x) & (x == x), torch.signbit(-x), abs(x) == x]

    at_once = [bool(a) for a in answers(torch.tensor(number, dtype=torch.float64))]
    together = torch.stack(answers(torch.tensor(number, dtype=torch.float64) * torch.ones(1000)[0])).tolist()
    assert at_once == together


def test_what_is_pending_does_not_grow_without_end() -> None:
    x, known, before = torch.ones(4), torch.tensor(2.0), asg.stats()["flushes"]
    for _ in range(_PENDING):
        x = x * 0.5
        assert known > 1
        x = x + 1
    assert asg.stats()["flushes"] > before
    assert x.tolist() == [2.0] * 4
