"""A step records nothing new from the third iteration on, whatever number changes; what is kept goes with the model."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import torchlike_asg as ours
from torchlike_asg.asg import text
from torchlike_asg.optim import recorded

EVERY: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("ASGD", {"t0": 4}),
    ("Rprop", {}),
    ("Adafactor", {}),
]


def _model() -> Any:
    ours.manual_seed(0)
    return ours.nn.Sequential(ours.nn.Linear(4, 6), ours.nn.Tanh(), ours.nn.LayerNorm(6), ours.nn.Linear(6, 3))


def _iterate(model: Any, optimizer: Any, i: int) -> None:
    optimizer.zero_grad()
    inputs, target = ours.tensor([[float(i % 5), 1.0, -1.0, 0.5]] * 5), ours.tensor(float(i % 3))
    ((model(inputs) - target) ** 2).mean().backward()
    optimizer.step()


def _counts() -> tuple[int, int, int]:
    counts = ours.asg.stats()
    return counts["nodes"], counts["plans"], counts["compiles"]


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_nothing_new_from_the_third_step_on(name: str, options: dict[str, Any]) -> None:
    model = _model()
    optimizer = getattr(ours.optim, name)(model.parameters(), **options)
    for i in range(2):
        _iterate(model, optimizer, i)
    before = _counts()
    for i in range(2, 12):
        _iterate(model, optimizer, i)
    assert _counts() == before


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: ours.optim.lr_scheduler.CosineAnnealingLR(o, 20),
        lambda o: ours.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=30),
        lambda o: ours.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=3),
    ],
)
@pytest.mark.parametrize(("name", "options"), [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("RMSprop", {"momentum": 0.5})])
def test_schedules_record_nothing(name: str, options: dict[str, Any], schedule: Any) -> None:
    """Neither changing rates nor changing momenta and betas are part of the graph."""
    model = _model()
    optimizer = getattr(ours.optim, name)(model.parameters(), lr=0.01, **options)
    scheduler = schedule(optimizer)
    for i in range(2):
        _iterate(model, optimizer, i)
        scheduler.step()
    before = _counts()
    for i in range(2, 12):
        _iterate(model, optimizer, i)
        scheduler.step()
        optimizer.param_groups[0]["weight_decay"] = optimizer.param_groups[0]["weight_decay"] * 1.01
    assert _counts() == before


def test_looking_at_the_state_records_nothing() -> None:
    model = _model()
    optimizer = ours.optim.AdamW(model.parameters())
    for i in range(3):
        _iterate(model, optimizer, i)
        optimizer.state_dict()
    before = _counts()
    for i in range(3, 8):
        _iterate(model, optimizer, i)
        kept = optimizer.state_dict()
        assert [s["step"].item() for s in kept["state"].values()] == [i + 1.0] * 6
    assert _counts() == before


def test_alternating_gradients_record_nothing() -> None:
    """Two losses in turn, of which one leaves out the last layer."""
    model = _model()
    optimizer = ours.optim.Adam(model.parameters())

    def turn(i: int) -> None:
        _iterate(model if i % 2 == 0 else model[:3], optimizer, i)

    for i in range(4):
        turn(i)
    before = _counts()
    for i in range(4, 12):
        turn(i)
    assert _counts() == before
    assert [optimizer.state[p]["step"].item() for p in model.parameters()] == [12.0] * 4 + [6.0] * 2


@pytest.mark.parametrize("read", [False, True])
def test_a_warm_step_takes_the_short_way(monkeypatch: pytest.MonkeyPatch, read: bool) -> None:
    """Also where the loss is read between the backward pass and the step, which ends the trace the gradients were recorded in."""
    model = _model()
    optimizer = ours.optim.AdamW(model.parameters())

    def turn(i: int) -> None:
        optimizer.zero_grad()
        loss = ((model(ours.tensor([[float(i)] * 4] * 5)) - 1) ** 2).mean()
        loss.backward()
        if read:
            assert loss.item() > 0
        optimizer.step()

    for i in range(4):
        turn(i)
    before = [p.tolist() for p in model.parameters()]
    for name in ("_update", "_move", "_Batch", "_Roster"):
        monkeypatch.setattr(recorded, name, None)
    turn(5)
    assert all(p.tolist() != old for p, old in zip(model.parameters(), before, strict=True))


def test_alternating_sets_of_parameters_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model()
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for i in range(4):
        _iterate(model if i % 2 == 0 else model[:3], optimizer, i)
    monkeypatch.setattr(recorded, "_Batch", None)
    for i in range(4, 8):
        _iterate(model if i % 2 == 0 else model[:3], optimizer, i)


def test_second_loading_finds_the_first_ones_plans() -> None:
    """The numbers of a step outlive the batches they were made for."""
    model = _model()
    optimizer = ours.optim.SGD(model.parameters(), lr=0.1)
    for i in range(3):
        _iterate(model, optimizer, i)
    before = _counts()
    for p in model.parameters():
        optimizer.state[p]["mark"] = 1
    for i in range(3):
        _iterate(model, optimizer, i)
    assert _counts() == before


def test_two_optimizers_of_one_kind_do_not_mix() -> None:
    p = ours.nn.Parameter(ours.zeros(3))
    slow, fast = ours.optim.SGD([p], lr=1.0), ours.optim.SGD([p], lr=10.0)
    for optimizer, expected in ((slow, -1.0), (fast, -11.0), (slow, -12.0), (fast, -22.0)):
        p.grad = None
        p.sum().backward()
        optimizer.step()
        assert p.tolist() == [expected] * 3


def test_rates_are_no_constants() -> None:
    p = ours.nn.Parameter(ours.zeros(3))
    optimizer = ours.optim.AdamW([p], lr=0.125, weight_decay=0.25, betas=(0.625, 0.75))
    p.sum().backward()
    optimizer.step()
    update = next(
        u for u in recorded._MEMO.values() if len(u.values) == 3 and u.values[0].shape == (3,) and u.roots[0].srcs[0] is p._f.leaf
    )
    written = text.dump(update.roots)
    assert "rebind" in written
    for number in (0.125, 0.25, 0.625, 0.75, 0.375):
        assert f"{number}" not in written


def test_dropped_optimizers_are_forgotten() -> None:
    def train() -> None:
        model = _model()
        optimizer = ours.optim.Adam(model.parameters())
        for i in range(2):
            _iterate(model, optimizer, i)

    train()
    gc.collect()
    ours.asg.collect()
    before = len(recorded._MEMO)
    for _ in range(3):
        train()
    gc.collect()
    ours.asg.collect()
    assert len(recorded._MEMO) <= before


def test_values_taken_over_are_not_shared() -> None:
    """A rule may give the gradient itself as a state, and one value as two: writing into one must not show in the others."""

    class Keeping(ours.optim.Optimizer):
        def state_names(self, group: Any, p: Any) -> tuple[str, ...]:
            return "last", "again", "before"

        def update(self, group: Any, p: Any, g: Any, state: Any, numbers: Any) -> Any:
            return p - g * numbers["lr"], {"last": g, "again": g, "before": state["last"]}

    p, q = (ours.nn.Parameter(ours.ones(3)) for _ in range(2))
    optimizer = Keeping([p, q], {"lr": 0.25})
    for i, expected in enumerate((2.0, 1.0, 0.5, 0.25)):
        optimizer.zero_grad()
        (p**2 + q**2).sum().backward()
        optimizer.step()
        state = optimizer.state[p]
        names = {"last": expected, "again": expected, "before": 2 * expected if i else 0.0}
        assert {name: state[name].tolist() for name in names} == {name: [value] * 3 for name, value in names.items()}
        assert p.tolist() == q.tolist() == [expected / 4] * 3
    before = optimizer.state[q]["last"].tolist()
    with ours.no_grad():
        p.grad.zero_()
        assert state["last"].tolist() == state["again"].tolist() == [0.25] * 3
        state["last"].fill_(5.0)
    assert (p.grad.tolist(), state["again"].tolist(), optimizer.state[q]["last"].tolist()) == ([0.0] * 3, [0.25] * 3, before)


def test_wrong_update_is_told() -> None:
    class Wrong(ours.optim.Optimizer):
        def update(self, group: Any, p: Any, g: Any, state: Any, numbers: Any) -> Any:
            from torchlike_asg.asg.declare import get

            return get("sum")(p, (0,), False), {}

    p = ours.nn.Parameter(ours.ones(3))
    p.grad = ours.ones(3)
    with pytest.raises(RuntimeError, match=r"Wrong: the update of a \[3\]"):
        Wrong([p], {"lr": 1.0}).step()
    assert p.tolist() == [1.0, 1.0, 1.0]


def test_update_rule_of_ones_own(twins: Any) -> None:
    """The recorded form is open: Lion (Chen et al., 2023), against the same in plain style."""
    from torchlike_asg.asg.declare import get

    class Lion(ours.optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def state_names(self, group: Any, p: Any) -> tuple[str, ...]:
            return ("exp_avg",)

        def update(self, group: Any, p: Any, g: Any, state: Any, numbers: Any) -> Any:
            m = state["exp_avg"]
            return p - get("sign")(m * 0.9 + g * 0.1) * numbers["lr"], {"exp_avg": m * 0.99 + g * 0.01}

    class Plain(ours.optim.Optimizer):
        def __init__(self, params: Any, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        @ours.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if not state:
                        state["step"], state["exp_avg"] = 0, ours.zeros_like(p)
                    state["step"] += 1
                    assert type(state["step"]) is int
                    m = state["exp_avg"]
                    p.add_(ours.sign(m * 0.9 + p.grad * 0.1), alpha=-group["lr"])
                    m.mul_(0.99).add_(p.grad, alpha=0.01)

    _, recorded_ = twins(lambda package, params: (Lion if package is ours else package.optim.SGD)(params, lr=0.01))
    _, plain = twins(lambda package, params: (Plain if package is ours else package.optim.SGD)(params, lr=0.01))
    recorded_.step(10)
    plain.step(10)
    twins.same(plain, recorded_, 1e-6)


def test_the_first_step_prepares_its_data_as_the_others_do() -> None:
    """Parameters take their initial values when the optimizer is made: later, what the first step computed before its model was called
    would have been computed with them, and the step would have been a program of its own."""
    model = ours.nn.Linear(4, 3)
    with ours.no_grad():
        model.weight.normal_(0, 0.1)
    opt = ours.optim.Adam(model.parameters(), lr=0.01)
    compiles = []
    for _ in range(4):
        x = ours.randn(5, 4).cumsum(0) * 0.5
        opt.zero_grad()
        model(x).square().sum().backward()
        opt.step()
        compiles.append(ours.asg.stats()["compiles"])
    assert compiles[0] == compiles[3]
