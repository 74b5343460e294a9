"""What the tests of schedules run: every schedule with several parameters, on an optimizer of two groups."""

from __future__ import annotations

import warnings
from typing import Any


def optimizer_of(package: Any, name: str = "SGD", lr: Any = None, **options: Any) -> Any:
    p, q = (package.nn.Parameter(package.ones(2)) for _ in range(2))
    if name == "SGD":
        options.setdefault("momentum", 0.9)
    rates = (0.5, 0.02) if lr is None else lr
    return getattr(package.optim, name)([{"params": [p], "lr": rates[0]}, {"params": [q], "lr": rates[1]}], **options)


def schedule_of(package: Any, optimizer: Any, make: Any) -> Any:
    return make(package.optim.lr_scheduler, optimizer)


def rates_of(package: Any, make: Any, steps: int, name: str = "SGD", lr: Any = None, epochs: Any = None) -> list[Any]:
    """Rates and momenta of both groups, before the first step and after each."""
    optimizer = optimizer_of(package, name, lr)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = schedule_of(package, optimizer, make)
        for i in range(steps + 1):
            if i:
                optimizer.step()
                scheduler.step() if epochs is None else scheduler.step(epochs[i - 1])
            assert [float(v) for v in scheduler.get_last_lr()] == [float(g["lr"]) for g in optimizer.param_groups]
            found += [float(g["lr"]) for g in optimizer.param_groups]
            found += [g["momentum"] if "momentum" in g else g["betas"][0] for g in optimizer.param_groups]
    return found


SCHEDULES: dict[str, Any] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.95**t),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda t: 1 / (t + 1), lambda t: 0.5 + (t % 3)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, [lambda t: 0.9, lambda t: 1.0 - t / 100]),
    "step": lambda s, o: s.StepLR(o, 3),
    "step by gamma": lambda s, o: s.StepLR(o, step_size=4, gamma=0.7),
    "milestones": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9], gamma=0.3),
    "constant": lambda s, o: s.ConstantLR(o),
    "constant for long": lambda s, o: s.ConstantLR(o, factor=0.25, total_iters=11),
    "linear": lambda s, o: s.LinearLR(o),
    "linear down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=13),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.87),
    "polynomial": lambda s, o: s.PolynomialLR(o),
    "polynomial of power": lambda s, o: s.PolynomialLR(o, total_iters=17, power=2.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, T_max=7),
    "cosine to": lambda s, o: s.CosineAnnealingLR(o, 12, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    "longer restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2, eta_min=0.001),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=4),
    "cyclic lists": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], step_size_up=3, step_size_down=5, mode="triangular2"),
    "cyclic range": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=4, mode="exp_range", gamma=0.9, base_momentum=0.5, max_momentum=0.8),
    "cyclic function": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=4, scale_fn=lambda x: 1 / x, scale_mode="cycle"),
    "cyclic iterations": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 4, scale_fn=lambda x: 0.9**x, scale_mode="iterations", cycle_momentum=False),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=40),
    "one cycle by epochs": lambda s, o: s.OneCycleLR(o, [0.3, 0.1], epochs=8, steps_per_epoch=5, anneal_strategy="linear", pct_start=0.45),
    "three phases": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=41, three_phase=True, div_factor=10.0, final_div_factor=50.0),
    "no momentum": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=40, cycle_momentum=False),
    "sequence": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, factor=0.1, total_iters=2), s.ExponentialLR(o, gamma=0.9)], milestones=[3]),
    "long sequence": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.StepLR(o, 3, 0.5), s.CosineAnnealingLR(o, 6)], milestones=[5, 14]
    ),
    "sequence from the second": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.5, 3), s.LinearLR(o, 0.2, 1.0, 5)], milestones=[0]),
    "sequence of sequences": lambda s, o: s.SequentialLR(
        o, [s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.StepLR(o, 2)], milestones=[3]), s.PolynomialLR(o, 9)], milestones=[8]
    ),
    "chain": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, factor=0.1, total_iters=5), s.ExponentialLR(o, gamma=0.9)]),
    "chain of three": lambda s, o: s.ChainedScheduler([s.StepLR(o, 3), s.LinearLR(o), s.CosineAnnealingLR(o, 30)], optimizer=o),
}
