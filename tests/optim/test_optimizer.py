"""The base class: errors, groups, representation, hooks, subclasses in plain style, names of modules."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours

NAMES = [
    "SGD",
    "Adam",
    "AdamW",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "NAdam",
    "RAdam",
    "ASGD",
    "Rprop",
    "Adafactor",
    "Muon",
    "LBFGS",
]


@pytest.mark.parametrize("name", NAMES)
def test_signatures(torch: Any, name: str) -> None:
    def plain(cls: Any) -> list[Any]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(cls.__init__).parameters.values()]

    assert plain(getattr(ours.optim, name)) == plain(getattr(torch.optim, name))


@pytest.mark.parametrize("name", NAMES)
def test_groups_and_representation(torch: Any, name: str) -> None:
    def made(package: Any) -> Any:
        return getattr(package.optim, name)([package.nn.Parameter(package.ones(2, 2))])

    theirs, mine = made(torch), made(ours)
    assert theirs.defaults == mine.defaults
    assert [list(g) for g in theirs.param_groups] == [list(g) for g in mine.param_groups]
    assert repr(theirs) == repr(mine)
    if name != "LBFGS":
        for package, optimizer in ((torch, theirs), (ours, mine)):
            optimizer.add_param_group({"params": package.nn.Parameter(package.ones(2, 2)), "lr": 0.5})
        assert repr(theirs) == repr(mine)


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {"lr": -1.0}) for name in NAMES]
    + [(name, {"weight_decay": -1.0}) for name in NAMES if name not in ("Rprop", "LBFGS")]
    + [(name, {"eps": -1.0}) for name in ("Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")]
    + [(name, {"betas": b}) for name in ("Adam", "AdamW", "Adamax", "NAdam", "RAdam") for b in ((1.0, 0.5), (0.5, -0.1))]
    + [("SGD", {"momentum": -1.0}), ("SGD", {"nesterov": True}), ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1})]
    + [("RMSprop", {"momentum": -1.0}), ("RMSprop", {"alpha": -1.0}), ("Adagrad", {"lr_decay": -1.0})]
    + [("Adagrad", {"initial_accumulator_value": -1.0}), ("Adadelta", {"rho": 1.5}), ("NAdam", {"momentum_decay": -1.0})]
    + [("Rprop", {"etas": (1.5, 0.5)}), ("Adafactor", {"beta2_decay": 0.5}), ("Adafactor", {"d": 0.5}), ("Adafactor", {"eps": (-1.0, 0.1)})]
    + [("Adafactor", {"eps": (None, -1.0)}), ("Muon", {"momentum": -1.0}), ("Muon", {"adjust_lr_fn": "none"})],
)
def test_hyper_parameters_are_checked(twins: Any, name: str, options: dict[str, Any]) -> None:
    twins.errors(lambda package: getattr(package.optim, name)([package.nn.Parameter(package.ones(2, 2))], **options))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_contradicting_implementations(twins: Any, name: str) -> None:
    for flags in ({"fused": True, "foreach": True}, {"fused": True, "differentiable": True}):
        twins.errors(lambda package, flags=flags: getattr(package.optim, name)([package.nn.Parameter(package.ones(2))], **flags))


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"])
def test_a_step_can_be_differentiated(name: str) -> None:
    torch = pytest.importorskip("torch")

    def run(lib: Any) -> Any:
        p = lib.tensor([1.0, 2.0], requires_grad=True)
        q = p.clone()
        optimizer = getattr(lib.optim, name)([q], lr=0.1, differentiable=True)
        for _ in range(1 if name in ("Adamax", "Rprop") else 3):  # PyTorch's own rules overwrite there what their gradients need
            c = q.clone()  # what the gradient keeps is not overwritten by the step
            q.grad = lib.autograd.grad((c * c * c).sum(), c, create_graph=True)[0]
            optimizer.step()
        (q * q).sum().backward()
        return q.tolist(), p.grad.tolist(), sorted(optimizer.state[q])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns where the gradient of a result is looked at
        (values, gradient, state), (our_values, our_gradient, our_state) = run(torch), run(ours)
    np.testing.assert_allclose(our_values, values, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(our_gradient, gradient, rtol=1e-3, atol=1e-5)
    assert our_state == state


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_a_leaf_takes_no_differentiable_step(name: str) -> None:
    p = ours.nn.Parameter(ours.ones(2))
    (p * p).sum().backward()
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        getattr(ours.optim, name)([p], lr=0.1, differentiable=True).step()


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Adamax", "ASGD", "RMSprop", "NAdam", "RAdam", "Rprop", "Adadelta"])
def test_the_cpu_captures_no_steps(name: str) -> None:
    p = ours.nn.Parameter(ours.ones(2))
    (p * p).sum().backward()
    with pytest.raises(AssertionError, match="capturable"):
        getattr(ours.optim, name)([p], lr=0.1, capturable=True).step()


@pytest.mark.parametrize("flags", [{"foreach": True}, {"foreach": False}, {"fused": True}])
def test_choices_of_implementation_change_nothing(twins: Any, flags: dict[str, Any]) -> None:
    theirs, mine = twins(lambda package, params: package.optim.Adam(params, lr=0.1, **(flags if package is ours else {})))
    theirs.step(4)
    mine.step(4)
    twins.same(theirs, mine, 1e-5)


@pytest.mark.parametrize(
    "params",
    [
        lambda p: p.ones(2),
        lambda p: [],
        lambda p: [1],
        lambda p: [p.nn.Linear(2, 2)],
        lambda p: [p.nn.Parameter(p.ones(2)) * 2],
        lambda p: [{"params": {p.nn.Parameter(p.ones(2))}}],
        lambda p: [("a", p.nn.Parameter(p.ones(2))), p.nn.Parameter(p.ones(2))],
        lambda p: [{"params": [q := p.nn.Parameter(p.ones(2))]}, {"params": [q]}],
        lambda p: [{"params": [("a", p.nn.Parameter(p.ones(2)))]}, {"params": [p.nn.Parameter(p.ones(2))]}],
        lambda p: [{"params": [p.nn.Parameter(p.ones(2))]}, [p.nn.Parameter(p.ones(2))]],
    ],
)
def test_parameters_are_checked(twins: Any, params: Any) -> None:
    twins.errors(lambda package: package.optim.SGD(params(package), lr=0.1))


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize("betas", [(0, 0.99), (0.9, 0), (0, 0)])
def test_momenta_of_adam_are_floats(twins: Any, name: str, betas: Any) -> None:
    twins.errors(lambda package: getattr(package.optim, name)([package.nn.Parameter(package.ones(2))], betas=betas))


def test_required_hyper_parameters() -> None:
    from torchlike_asg.optim.optimizer import required

    p, q = (ours.nn.Parameter(ours.ones(2)) for _ in range(2))
    with pytest.raises(ValueError, match="didn't specify a value of required optimization parameter lr"):
        ours.optim.Optimizer([p], {"lr": required})
    with pytest.raises(NotImplementedError):
        ours.optim.Optimizer([{"params": q, "lr": 1.0}], {"lr": required}).step()


def test_parameters_with_names(twins: Any) -> None:
    def run(package: Any) -> Any:
        model = package.nn.Linear(2, 3)
        optimizer = package.optim.SGD(model.named_parameters(), lr=0.1)
        saved = optimizer.state_dict()
        saved["param_groups"][0]["param_names"] = ["x", "y"]
        other = package.optim.SGD(model.named_parameters())
        other.load_state_dict(saved)
        plain = package.optim.SGD(model.parameters()).state_dict()
        optimizer.load_state_dict(plain)
        return saved["param_groups"], other.param_groups[0]["param_names"], optimizer.param_groups[0]["param_names"], repr(optimizer)

    assert run(ours) == run(twins.torch)


def test_a_retained_result_can_be_optimised() -> None:
    p = ours.nn.Parameter(ours.ones(2)) * 2
    p.retain_grad()
    assert ours.optim.SGD([p]).param_groups[0]["params"][0] is p


def test_muon_takes_matrices_only(twins: Any) -> None:
    twins.errors(lambda package: package.optim.Muon([package.nn.Parameter(package.ones(2))]))
    optimizer = ours.optim.Muon([ours.nn.Parameter(ours.ones(2, 2))])
    with pytest.raises(ValueError, match="2D"):
        optimizer.add_param_group({"params": [ours.nn.Parameter(ours.ones(2))]})
    assert len(optimizer.param_groups) == 1


def test_names_without_counterpart() -> None:
    for name in ("swap_in_optimizer_params_and_state",):
        assert not hasattr(ours.optim, name)
        with pytest.raises(NotImplementedError, match=name):
            getattr(ours.optim, name)
    with pytest.raises(AttributeError, match="Nothing"):
        ours.optim.Nothing  # noqa: B018


def test_modules_have_torchs_names(torch: Any) -> None:
    modules = [
        "sgd",
        "adam",
        "adamw",
        "rmsprop",
        "adagrad",
        "adadelta",
        "adamax",
        "nadam",
        "radam",
        "asgd",
        "rprop",
        "sparse_adam",
        "lbfgs",
        "optimizer",
        "lr_scheduler",
        "swa_utils",
    ]
    for name in modules:
        theirs, mine = (importlib.import_module(f"{package}.optim.{name}") for package in ("torch", "torchlike_asg"))
        classes = [
            c
            for c in dir(theirs)
            if inspect.isclass(getattr(theirs, c)) and getattr(theirs, c).__module__ == theirs.__name__ and not c.startswith("_")
        ]
        assert classes
        assert [c for c in classes if not hasattr(mine, c)] == []
    assert set(torch.optim.__all__) - set(ours.optim.__all__) == {"swap_in_optimizer_params_and_state"}


# ---------------------------------------------------------------- hooks
def test_step_hooks(twins: Any) -> None:
    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.ones(2))
        p.grad = package.ones(2)
        optimizer = package.optim.SGD([p], lr=0.5)
        seen: list[Any] = []
        everywhere = importlib.import_module(f"{package.__name__}.optim.optimizer")
        handles = [
            everywhere.register_optimizer_step_pre_hook(lambda o, a, k: seen.append(("all before", len(a), k))),
            everywhere.register_optimizer_step_post_hook(lambda o, a, k: seen.append(("all after", p.tolist()))),
            optimizer.register_step_pre_hook(lambda o, a, k: seen.append(("before", o is optimizer, a[0] is optimizer, p.tolist()))),
            optimizer.register_step_post_hook(lambda o, a, k: seen.append(("after", sorted(k), p.tolist()))),
        ]
        optimizer.step()
        swap = optimizer.register_step_pre_hook(lambda o, a, k: (a, {"closure": lambda: seen.append("called") or 3.0}))
        seen.append(optimizer.step())
        swap.remove()
        for handle in handles:
            handle.remove()
        optimizer.step()
        bad = optimizer.register_step_pre_hook(lambda o, a, k: 5)
        with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 5"):
            optimizer.step()
        bad.remove()
        return seen

    assert run(ours) == run(twins.torch)


def test_hooks_run_once_around_nested_steps() -> None:
    class Twice(ours.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step()
            with ours.no_grad():
                for p in self.param_groups[0]["params"]:
                    p.mul_(2.0)
            return super().step(closure)

    p = ours.nn.Parameter(ours.ones(2))
    optimizer = Twice([p], lr=0.5)
    seen = []
    optimizer.register_step_post_hook(lambda o, a, k: seen.append(p.tolist()))
    expected = [0.5, -0.5, -2.5, -6.5]
    for value in expected:
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        assert p.tolist() == [value] * 2
    assert seen == [[value] * 2 for value in expected]


def test_a_hook_may_write_parameters(twins: Any) -> None:
    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.ones(3))
        optimizer = package.optim.SGD([p], lr=0.5, momentum=0.5)
        optimizer.register_step_post_hook(lambda o, a, k: p.data.clamp_(-0.3, 0.3))
        found = []
        for i in range(5):
            optimizer.zero_grad()
            (p * (i - 2)).sum().backward()
            optimizer.step()
            found += p.tolist()
        return found

    assert run(ours) == pytest.approx(run(twins.torch))


def test_step_is_announced() -> None:
    from torchlike_asg import events

    seen: list[Any] = []
    stop = events.subscribe("step_done", seen.append)
    p = ours.nn.Parameter(ours.ones(2))
    p.grad = ours.ones(2)
    ours.optim.Adam([p]).step()
    stop()
    ours.optim.Adam([p]).step()
    assert [e.optimizer for e in seen] == ["Adam"]


# ---------------------------------------------------------------- plain style
def test_subclass_in_plain_style(twins: Any) -> None:
    """An optimizer as scripts write it, with an integer count and `.data`."""

    def make(package: Any, params: Any) -> Any:
        class Custom(package.optim.Optimizer):
            def __init__(self, params: Any, lr: float = 0.1) -> None:
                super().__init__(params, dict(lr=lr, betas=(0.9, 0.99)))

            def __setstate__(self, state: Any) -> None:
                super().__setstate__(state)

            def step(self, closure: Any = None) -> Any:
                loss = closure() if closure is not None else None
                for group in self.param_groups:
                    for p in group["params"]:
                        if p.grad is None:
                            continue
                        grad, state = p.grad.data, self.state[p]
                        if len(state) == 0:
                            state["step"] = 0
                            state["exp_avg"] = package.zeros_like(p.data)
                            state["exp_avg_sq"] = package.zeros_like(p.data)
                        m, v = state["exp_avg"], state["exp_avg_sq"]
                        b1, b2 = group["betas"]
                        state["step"] += 1
                        m.mul_(b1).add_(grad, alpha=1 - b1)
                        v.mul_(b2).addcmul_(grad, grad, value=1 - b2)
                        size = group["lr"] * (1 - b2 ** state["step"]) ** 0.5 / (1 - b1 ** state["step"])
                        p.data.addcdiv_(m, v.sqrt().add_(1e-8), value=-size)
                return loss

        return Custom(params)

    theirs, mine = twins(make)
    theirs.step(6)
    mine.step(6)
    twins.same(theirs, mine, 1e-5)
    assert mine.optimizer.state[mine.parameters[0]]["step"] == 6
    other = make(ours, mine.parameters)
    other.load_state_dict(mine.optimizer.state_dict())
    assert other.state[mine.parameters[0]]["step"] == 6


def test_a_subclass_changes_hyper_parameters_in_step(twins: Any) -> None:
    """The transformer's schedule as a wrapper around Adam."""

    def make(package: Any, params: Any) -> Any:
        class Warm(package.optim.Adam):
            count = 0

            def step(self, closure: Any = None) -> Any:
                self.count += 1
                for group in self.param_groups:
                    group["lr"] = 0.1 * min(self.count**-0.5, self.count * 4**-1.5)
                return super().step(closure)

        return Warm(params)

    theirs, mine = twins(make)
    theirs.step(8)
    mine.step(8)
    twins.same(theirs, mine, 1e-5)


def test_without_gradients_nothing_happens(twins: Any) -> None:
    _, mine = twins(("Adam", {}))
    before = mine.values()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mine.optimizer.step()
    assert [v.tolist() for v in mine.values()] == [v.tolist() for v in before]
    assert mine.optimizer.state_dict()["state"] == {}
