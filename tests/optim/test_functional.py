"""The steps of optimizers as functions: what they write is what PyTorch's write."""

import importlib

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

BETAS = {"beta1": 0.9, "beta2": 0.99}
#: the initial states, 's' for a count of steps, and the options
CASES = {
    "adam": ([0.1, 0.2, None, "s"], {**BETAS, "amsgrad": False, "lr": 0.1, "weight_decay": 0.01, "eps": 1e-8, "maximize": False}),
    "adamw": ([0.1, 0.2, 0.3, "s"], {**BETAS, "amsgrad": True, "lr": 0.1, "weight_decay": 0.1, "eps": 1e-8, "maximize": True}),
    "sgd": ([[None]], {"weight_decay": 0.1, "momentum": 0.9, "lr": 0.1, "dampening": 0.0, "nesterov": True, "maximize": False}),
    "adagrad": ([0.1, "s"], {"lr": 0.1, "weight_decay": 0.0, "lr_decay": 0.1, "eps": 1e-8, "maximize": False}),
    "adadelta": ([0.1, 0.2, "s"], {"lr": 0.5, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.1, "maximize": False}),
    "adamax": ([0.1, 0.2, "s"], {**BETAS, "eps": 1e-8, "lr": 0.1, "weight_decay": 0.0}),
    "asgd": ([0.1, 1, 0.5, "s"], {"lambd": 1e-2, "lr": 0.5, "t0": 2.0, "alpha": 0.75, "weight_decay": 0.1}),
    "nadam": ([0.1, 0.2, 0.7, "s"], {**BETAS, "lr": 0.1, "weight_decay": 0.1, "momentum_decay": 4e-3, "eps": 1e-8}),
    "radam": ([0.1, 0.2, "s"], {**BETAS, "lr": 0.1, "weight_decay": 0.1, "eps": 1e-8}),
    "rmsprop": ([0.1, 0.2, 0.3, "s"], {"lr": 0.1, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.1, "momentum": 0.5, "centered": True}),
    "rprop": ([0.1, 0.2, "s"], {"step_size_min": 1e-3, "step_size_max": 5.0, "etaminus": 0.5, "etaplus": 1.2}),
}
NUMBERS = {"asgd": (1, 2), "nadam": (2,)}


@pytest.mark.parametrize("name", sorted(CASES))
def test_steps_write_what_pytorchs_write(name):
    states, options = CASES[name]

    def run(lib):
        step = getattr(importlib.import_module(f"{lib.__name__}.optim.{name}"), name)
        assert step is getattr(importlib.import_module(f"{lib.__name__}.optim._functional"), name)
        p = lib.arange(4.0).requires_grad_()
        lists = []
        for i, value in enumerate(states):
            if value is None:
                lists.append([])
            elif isinstance(value, list):
                lists.append([*value])
            else:
                count = value == "s" or i in NUMBERS.get(name, ())
                lists.append([lib.tensor(3.0 if value == "s" else float(value)) if count else lib.full((4,), value)])
        first = [entries[0] if entries else None for entries in lists]
        with lib.no_grad():
            for k in range(3):
                step([p], [lib.tensor([0.5, -1.0, 0.0, 2.0]) * (k - 0.5)], *lists, **options)
        assert p.grad is None and all(now[0] is then for now, then in zip(lists, first, strict=True) if then is not None)
        return [p.tolist()] + [entries[0].tolist() for entries in lists if entries]

    for mine, theirs in zip(run(ours), run(torch), strict=True):
        assert np.allclose(mine, theirs, rtol=2e-6, atol=1e-6)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="missing required argument: 'state_steps'"):
        ours.optim.adam.adam([], [], [], [], [])
    with pytest.raises(TypeError, match="multiple values"):
        ours.optim.sgd.sgd([], [], [], momentum_buffer_list=[])
    ours.optim.sgd.sgd([], [], [], lr=0.1, weight_decay=0.0, momentum=0.0, dampening=0.0, nesterov=False, maximize=False)
