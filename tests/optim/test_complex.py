"""Complex parameters: every elementwise optimizer updates them as pairs of real numbers, as PyTorch does."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ..facade.compare import same_error  # noqa: E402
from ..parity.scripts import same, steady  # noqa: E402

Z = np.array([[1 + 2j, -0.5 + 0.3j, -1.5j], [2 + 0.1j, -1 - 1j, 0.7 - 0.2j]], np.complex64)
CASES = {
    "SGD": {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.05},
    "RMSprop": {"lr": 0.01, "centered": True, "momentum": 0.5},
    "Adagrad": {"lr": 0.1, "initial_accumulator_value": 0.1},
    "Adadelta": {},
    "Adamax": {"lr": 0.01},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.01},
    "ASGD": {"lr": 0.01},
    "Rprop": {"lr": 0.01},
}


def stepper(T, name):
    p, q = T.nn.Parameter(T.tensor(Z)), T.nn.Parameter(T.ones(3))
    optimizer = getattr(T.optim, name)([p, q], **CASES[name])

    def step():
        optimizer.zero_grad()
        loss = ((p * p - 1.5j).abs() ** 2).sum() + (p.real * q).sum()
        loss.backward()
        optimizer.step()
        return loss

    return p, q, optimizer, step


@pytest.mark.parametrize("name", CASES)
def test_steps(name):
    def run(T):
        p, q, optimizer, step = stepper(T, name)
        losses = [step().item() for _ in range(4)]
        return [losses, T.view_as_real(p.detach()), q, sorted(optimizer.state_dict()["state"][0])]

    same(run, rtol=1e-3, atol=1e-4)


def test_steps_are_found_again():
    steady(lambda T: stepper(T, "Adam")[3])


def test_refused_where_shapes_matter():
    def run(T):
        p = T.nn.Parameter(T.tensor(Z))
        p.grad = T.ones_like(p)
        T.optim.Adafactor([p]).step()

    same_error(run)
