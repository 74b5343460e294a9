"""States: torch's keys and types, to torch and back, errors on load, what loading copies."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest

import torchlike_asg as ours

STATEFUL = [
    ("SGD", {"lr": 0.02, "momentum": 0.9}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("AdamW", {"lr": 0.02}),
    ("RMSprop", {"centered": True, "momentum": 0.3}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {"betas": (0.8, 0.9)}),
    ("ASGD", {"t0": 2}),
    ("Rprop", {}),
    ("Adafactor", {}),
]


@pytest.mark.parametrize(
    "case", [("SGD", {"momentum": 0.9}), ("SGD", {}), ("Adam", {}), ("Adagrad", {"initial_accumulator_value": 0.3}), ("RMSprop", {})]
)
def test_state_before_and_after_the_first_step(twins: Any, case: Any) -> None:
    theirs, mine = twins(case)
    twins.same_state(theirs, mine)
    theirs.step()
    mine.step()
    twins.same_state(theirs, mine)
    assert set(mine.optimizer.state) <= set(mine.parameters)


@pytest.mark.parametrize("case", STATEFUL)
def test_from_torch_and_back(twins: Any, convert: Any, case: Any) -> None:
    """Steps 0-4 in one package, 5-9 in the other, equal ten steps in either."""
    for first, second in ((0, 1), (1, 0)):
        reference, _ = twins(case)
        reference.step(10)
        pair = twins(case)
        begun, continued = pair[first], pair[second]
        begun.step(5)
        with continued.package.no_grad():
            for p, q in zip(continued.parameters, begun.parameters, strict=True):
                p.copy_(convert(q, continued.package))
        continued.done = 5
        continued.optimizer.load_state_dict(convert(begun.optimizer.state_dict(), continued.package))
        continued.step(5)
        twins.same(reference, continued, 1e-5)


@pytest.mark.parametrize("case", STATEFUL)
def test_resuming_is_exact(twins: Any, case: Any) -> None:
    _, straight = twins(case)
    straight.step(9)
    _, begun = twins(case)
    begun.step(4)
    saved = copy.deepcopy(begun.optimizer.state_dict())
    _, resumed = twins(case)
    with ours.no_grad():
        for p, q in zip(resumed.parameters, begun.parameters, strict=True):
            p.copy_(q)
    resumed.optimizer.load_state_dict(saved)
    resumed.done = 4
    resumed.step(5)
    assert [v.tolist() for v in resumed.values()] == [v.tolist() for v in straight.values()]


def test_through_files(twins: Any) -> None:
    """A state that torch saved loads here, and the other way round."""
    theirs, mine = twins(("Adam", {"lr": 0.03}))
    theirs.step(3)
    mine.step(3)
    for writer, reader in ((theirs, mine), (mine, theirs)):
        buffer = io.BytesIO()
        writer.package.save(writer.optimizer.state_dict(), buffer)
        buffer.seek(0)
        reader.optimizer.load_state_dict(reader.package.load(buffer))
        twins.same_state(theirs, mine, 1e-5)
    theirs.step(3)
    mine.step(3)
    twins.same(theirs, mine, 1e-5)


def test_loading_copies(twins: Any) -> None:
    _, mine = twins(("Adam", {}))
    mine.step(2)
    saved = mine.optimizer.state_dict()
    other = ours.optim.Adam(mine.parameters)
    other.load_state_dict(saved)
    saved["param_groups"][0]["lr"] = 99.0
    before = other.state[mine.parameters[0]]["exp_avg"].tolist()
    with ours.no_grad():
        saved["state"][0]["exp_avg"].zero_()
    assert other.param_groups[0]["lr"] == 1e-3
    assert other.state[mine.parameters[0]]["exp_avg"].tolist() == before
    assert other.param_groups[0]["params"] == mine.parameters or all(
        a is b for a, b in zip(other.param_groups[0]["params"], mine.parameters, strict=True)
    )


def test_loading_casts_to_the_parameters_type(twins: Any) -> None:
    def types(package: Any) -> list[str]:
        p = package.nn.Parameter(package.ones(3, dtype=package.float64))
        q = package.nn.Parameter(package.ones(3, dtype=package.bfloat16))
        narrow, wide = package.optim.Adam([q]), package.optim.Adam([p])
        q.grad = package.ones_like(q)
        narrow.step()
        wide.load_state_dict(narrow.state_dict())
        state = wide.state[p]
        return [str(state[k].dtype) for k in ("step", "exp_avg", "exp_avg_sq")]

    assert types(ours) == types(twins.torch) == ["torch.float32", "torch.float64", "torch.float64"]


def test_errors_on_load(twins: Any) -> None:
    def groups(package: Any) -> None:
        p, q = (package.nn.Parameter(package.ones(2)) for _ in range(2))
        package.optim.SGD([p, q]).load_state_dict(package.optim.SGD([{"params": [p]}, {"params": [q]}]).state_dict())

    def sizes(package: Any) -> None:
        p, q = (package.nn.Parameter(package.ones(2)) for _ in range(2))
        package.optim.SGD([p, q]).load_state_dict(package.optim.SGD([p]).state_dict())

    twins.errors(groups)
    twins.errors(sizes)


def test_failed_load_changes_nothing(twins: Any) -> None:
    _, mine = twins(("Adam", {}))
    mine.step(2)
    before = mine.optimizer.state_dict()
    with pytest.raises(ValueError):
        mine.optimizer.load_state_dict({"state": {}, "param_groups": []})
    after = mine.optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert after["state"][0]["exp_avg"].tolist() == before["state"][0]["exp_avg"].tolist()


def test_older_states_get_defaults() -> None:
    p = ours.nn.Parameter(ours.ones(2))
    optimizer = ours.optim.AdamW([p], lr=0.5)
    saved = optimizer.state_dict()
    for name in ("maximize", "foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"):
        del saved["param_groups"][0][name]
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["maximize"] is False and optimizer.param_groups[0]["decoupled_weight_decay"] is True
    optimizer.load_state_dict(ours.optim.Adam([p], lr=0.25).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.25 and optimizer.param_groups[0]["decoupled_weight_decay"] is True
    saved["state"] = {0: {"step": 3, "exp_avg": ours.zeros(2), "exp_avg_sq": ours.zeros(2)}}  # the count was a number once
    optimizer.load_state_dict(saved)
    p.grad = ours.ones(2)
    optimizer.step()
    assert optimizer.state[p]["step"].item() == 4


def test_step_count_is_a_tensor_that_can_be_written(twins: Any) -> None:
    def run(package: Any) -> list[Any]:
        p, q = (package.nn.Parameter(package.ones(2)) for _ in range(2))
        optimizer = package.optim.Adam([p, q], lr=0.1)
        found = []
        for i in range(6):
            p.grad, q.grad = package.full((2,), 1.0 + i), package.full((2,), 2.0 - i)
            optimizer.step()
            if i == 2:
                optimizer.state[p]["step"].fill_(0.0)
            if i == 3:
                optimizer.state[q]["step"] = package.tensor(10.0)
            found.append([optimizer.state[t]["step"].item() for t in (p, q)] if i != 4 else None)
        return [found, p.detach().tolist(), q.detach().tolist()]

    theirs, mine = run(twins.torch), run(ours)
    assert mine[0] == theirs[0]
    assert mine[1] == pytest.approx(theirs[1], rel=1e-5) and mine[2] == pytest.approx(theirs[2], rel=1e-5)


def test_step_count_has_the_default_type() -> None:
    ours.set_default_dtype(ours.float64)
    try:
        p = ours.nn.Parameter(ours.ones(2))
        optimizer = ours.optim.Adam([p])
        p.grad = ours.ones(2)
        optimizer.step()
        assert optimizer.state[p]["step"].dtype is ours.float64
    finally:
        ours.set_default_dtype(ours.float32)


def test_states_may_be_replaced_or_forgotten(twins: Any) -> None:
    theirs, mine = twins(("Adam", {"lr": 0.05}))
    for problem in (theirs, mine):
        problem.step(3)
        problem.optimizer.state[problem.parameters[1]] = {}
        problem.step(3)
        problem.optimizer.state[problem.parameters[0]]["exp_avg"] = problem.tensor([[1.0] * 3] * 4)
        problem.step(3)
        problem.optimizer.state.clear()
        problem.step(2)
        problem.optimizer.state[problem.parameters[2]]["exp_avg"].zero_()
        problem.step(2)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)


def test_a_state_looks_like_a_dict_of_tensors() -> None:
    p = ours.nn.Parameter(ours.ones(2))
    optimizer = ours.optim.NAdam([p])
    p.grad = ours.ones(2)
    looks: list[Any] = [
        dict,
        copy.copy,
        copy.deepcopy,
        lambda s: {**s},
        lambda s: dict(s.items()),
        lambda s: dict(zip(s.keys(), s.values(), strict=True)),
        lambda s: s.copy(),
        lambda s: {k: s.get(k) for k in s},
        lambda s: {k: s.setdefault(k, None) for k in list(s)},
        lambda s: pickle.loads(pickle.dumps(s)),
    ]
    for look in looks:
        optimizer.step()
        found = look(optimizer.state[p])
        assert list(found) == ["step", "mu_product", "exp_avg", "exp_avg_sq"]
        assert all(isinstance(dict.__getitem__(found, k), ours.Tensor) for k in found)
    optimizer.step()
    assert "tensor(11.)" in repr(optimizer.state[p])
    optimizer.step()
    assert optimizer.state[p].pop("step").item() == 12 and optimizer.state[p].get("step", 7) == 7


def test_pickled_optimizer_continues(twins: Any) -> None:
    theirs, mine = twins(("RMSprop", {"momentum": 0.5}))
    mine.step(3)
    mine.parameters, mine.optimizer = pickle.loads(pickle.dumps((mine.parameters, mine.optimizer)))
    mine.step(3)
    theirs.step(6)
    twins.same(theirs, mine, 1e-5)


def test_hooks_around_saving(twins: Any) -> None:
    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.ones(2))
        optimizer = package.optim.SGD([p], lr=0.5)
        seen: list[Any] = []
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
        optimizer.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1})
        optimizer.register_load_state_dict_pre_hook(lambda o, d: (seen.append(sorted(d)), d["param_groups"][0].update(lr=0.25))[1])
        handle = optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
        saved = optimizer.state_dict()
        optimizer.load_state_dict(saved)
        handle.remove()
        optimizer.load_state_dict(saved)
        return [sorted(saved), seen]

    assert run(ours) == run(twins.torch)


MISSING = [
    ("SGD", "lr", {}),
    ("SGD", "nesterov", {"momentum": 0.9, "nesterov": True}),
    ("Adam", "betas", {}),
    ("Adam", "maximize", {"maximize": True}),
    ("AdamW", "weight_decay", {}),
    ("AdamW", "amsgrad", {"amsgrad": False}),
    ("RMSprop", "momentum", {"momentum": 0.5}),
    ("RMSprop", "alpha", {}),
    ("Adagrad", "lr_decay", {}),
]


@pytest.mark.parametrize("name, key, options", MISSING)
def test_a_group_without_a_hyper_parameter(name, key, options):
    torch = pytest.importorskip("torch")
    found = []
    for T in (torch, ours):
        p = T.nn.Parameter(T.ones(2))
        optimizer = getattr(T.optim, name)([p], lr=0.1, **options)
        (p * p).sum().backward()
        optimizer.step()
        state = optimizer.state_dict()
        del state["param_groups"][0][key]
        optimizer.load_state_dict(state)
        try:
            optimizer.step()
        except KeyError as error:
            found.append(str(error))
        else:
            found.append([round(v, 5) for v in p.tolist()])
    assert found[0] == found[1]
