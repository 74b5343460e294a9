"""Every optimizer takes torch's steps: parameters, states and groups after ten and more steps from equal starts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

CASES: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"lr": 0.03, "momentum": 0.9},
        {"lr": 0.03, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
        {"lr": 0.02, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.002, "maximize": True, "momentum": 0.5},
    ],
    "Adam": [
        {},
        {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3},
        {"lr": 0.05, "amsgrad": True, "weight_decay": 0.2},
        {"lr": 0.05, "weight_decay": 0.2, "decoupled_weight_decay": True},
        {"lr": 0.01, "maximize": True, "amsgrad": True},
        {"betas": (0.0, 0.9)},
    ],
    "AdamW": [{}, {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}, {"lr": 0.02, "weight_decay": 0.0, "maximize": True}],
    "RMSprop": [
        {},
        {"alpha": 0.8, "centered": True},
        {"momentum": 0.7, "weight_decay": 0.1},
        {"momentum": 0.7, "centered": True, "maximize": True, "eps": 1e-4},
    ],
    "Adagrad": [{}, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5}, {"weight_decay": 0.3, "maximize": True, "eps": 1e-3}],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True, "rho": 0.0}],
    "Adamax": [{}, {"lr": 0.1, "betas": (0.5, 0.8), "weight_decay": 0.1}, {"maximize": True, "eps": 1e-2}],
    "NAdam": [
        {},
        {"lr": 0.1, "momentum_decay": 0.2, "weight_decay": 0.1},
        {"weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True},
    ],
    "RAdam": [
        {},
        {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1},
        {"lr": 0.05, "weight_decay": 0.2, "decoupled_weight_decay": True, "maximize": True},
    ],
    "ASGD": [{}, {"lr": 0.05, "lambd": 0.1, "alpha": 0.3, "t0": 3}, {"t0": 0, "weight_decay": 0.1, "maximize": True}],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (0.01, 0.2)}, {"maximize": True}],
    "Adafactor": [{}, {"lr": 0.3, "beta2_decay": -0.3, "d": 2.0, "weight_decay": 0.1}, {"eps": (1e-4, 1e-2), "maximize": True}],
}
#: coefficients that torch keeps as float32 tensors, and we as numbers, show in float64
ROUNDED = {"NAdam": 1e-6, "ASGD": 1e-6}


@pytest.mark.parametrize(("name", "options"), [(name, options) for name, cases in CASES.items() for options in cases])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_takes_the_same_steps(twins: Any, name: str, options: dict[str, Any], dtype: str) -> None:
    tolerance = 1e-5 if dtype == "float32" else ROUNDED.get(name, 1e-12)
    theirs, mine = twins((name, options), dtype=dtype)
    for _ in range(2):
        theirs.step(6)
        mine.step(6)
        twins.same(theirs, mine, tolerance)
        twins.same_state(theirs, mine, max(tolerance, ROUNDED.get(name, 0.0)))


@pytest.mark.parametrize(
    "options",
    [{}, {"lr": 0.1, "nesterov": False}, {"weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}, {"ns_steps": 2, "momentum": 0.5}],
)
def test_muon_takes_the_same_steps(twins: Any, options: dict[str, Any]) -> None:
    theirs, mine = twins(("Muon", options), shapes=((4, 3), (6, 3), (2, 5)))
    theirs.step(10)
    mine.step(10)
    twins.same(theirs, mine, 20 * options.get("lr", 1e-3) * 2**-8)  # directions are rounded to bfloat16
    twins.same_state(theirs, mine, 1e-2)


probability = st.floats(0.0, 0.99)
most = st.floats(0.5, 0.999)  # shorter memories of the square divide by single gradients, which multiplies rounding errors
rate = st.floats(1e-4, 0.1)
decay = st.sampled_from([0.0, 1e-3, 0.1])
flag = st.booleans()
OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": rate, "momentum": st.sampled_from([0.0, 0.5, 0.95]), "dampening": probability, "weight_decay": decay, "maximize": flag},
    "AdamW": {"lr": rate, "betas": st.tuples(probability, most), "weight_decay": decay, "amsgrad": flag, "maximize": flag},
    "Adam": {"lr": rate, "betas": st.tuples(probability, most), "weight_decay": decay, "amsgrad": flag},
    "RMSprop": {"lr": rate, "alpha": most, "momentum": st.sampled_from([0.0, 0.9]), "weight_decay": decay},
    "Adagrad": {"lr": rate, "lr_decay": probability, "initial_accumulator_value": probability, "weight_decay": decay},
    "Adadelta": {"lr": rate, "rho": most, "weight_decay": decay},
    "Adamax": {"lr": rate, "betas": st.tuples(probability, most), "weight_decay": decay},
    "NAdam": {"lr": rate, "betas": st.tuples(probability, most), "momentum_decay": probability, "weight_decay": decay},
    "RAdam": {"lr": rate, "betas": st.tuples(probability, most), "decoupled_weight_decay": flag, "weight_decay": decay},
    "ASGD": {"lr": rate, "lambd": probability, "alpha": probability, "t0": st.integers(0, 6), "weight_decay": decay},
    "Rprop": {"lr": rate, "etas": st.tuples(st.floats(0.1, 0.9), st.floats(1.1, 2.0))},
}


@pytest.mark.parametrize("name", OPTIONS)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_random_hyper_parameters(torch: Any, name: str, data: Any) -> None:
    from .conftest import Twins

    twins = Twins(torch)
    options = data.draw(st.fixed_dictionaries(OPTIONS[name]))
    theirs, mine = twins((name, options), dtype="float64", shapes=((3, 2), (2,)), seed=data.draw(st.integers(0, 3)))
    theirs.step(10)
    mine.step(10)
    twins.same(theirs, mine, 1e-6 if name in ROUNDED else 1e-9)


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("Adafactor", "Rprop")])  # these amplify what rounding decides
def test_half_types_are_rounded_once(twins: Any, name: str) -> None:
    """torch rounds after every operation, we at the end of a step: ten steps stay within some units of bfloat16."""
    options = {"lr": 0.01} if name not in ("Adadelta", "Adagrad") else {}
    theirs, mine = twins((name, options), dtype="bfloat16")
    theirs.step(10)
    mine.step(10)
    twins.same(theirs, mine, 4e-2)
    assert {str(p.dtype) for p in mine.parameters} == {"torch.bfloat16"}
    for state in mine.optimizer.state.values():
        assert {str(t.dtype) for k, t in state.items() if t.dim()} <= {"torch.bfloat16"}
