"""How a random training script is made: parameters, data, statements, losses, an optimizer, and the habits of whoever wrote it."""

import random
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from . import combining, control, elementwise, layers  # noqa: E402, F401  (they fill the table)
from .statements import STATEMENTS  # noqa: E402

SIZES = [1, 2, 3, 4, 5, 8, 16, 17]


class Skip(Exception):
    """PyTorch itself cannot run this program, or its numbers are too large to be compared."""


class Side:
    """One library's variables."""

    def __init__(self, lib, device):
        self.lib, self.device = lib, device
        self.v, self.modules, self.leaves, self.carried = {}, {}, {}, {}
        self.optimizer = self.scheduler = None
        self.step = 0

    def tensor(self, array, **options):
        return self.lib.tensor(np.array(array), device=self.device, **options)


def value(t):
    """A copy of what a tensor holds."""
    t = t.detach().cpu()
    return np.array(t.numpy())


class Made:
    """One random script, as `make` makes it: a body of statements, a loss, an optimizer and habits."""

    def __init__(self, seed, device="cpu", other=ours, nudge=0.0):
        """`other`: the library beside torch; `nudge`: how far its first parameters are from torch's, relatively."""
        self.random, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.seed, self.log, self.body = seed, [], []
        r = self.random
        single = device != "cpu" or r.random() < 0.2
        self.dtype = np.float32 if single else np.float64
        self.tolerance = (2e-3, 2e-3) if single else (1e-5, 1e-8)
        self.sides, self.nudge = [Side(torch, "cpu"), Side(other, device)], nudge * (1e6 if single else 1.0)
        side = r.choice([3, 4, 5, 8])  # half of the scripts are of squares: nothing but its axes tells a row from a column
        self.size = (lambda: side) if r.random() < 0.5 else (lambda: r.choice(SIZES))
        self.fresh = 0

    # ------------------------------------------------------------ what statements use
    def both(self, fn):
        """``fn(side)`` on both sides."""
        return [fn(side) for side in self.sides]

    def array(self, shape, scale=1.0):
        return (self.numbers.standard_normal(shape) * scale).astype(self.dtype)

    def floats(self, suits=lambda t: True):
        """The name of a random floating-point variable, rather a late one."""
        names = [n for n, t in self.sides[0].v.items() if t.is_floating_point() and suits(t)]
        recent = names[-6:] if self.random.random() < 0.7 else names
        return self.random.choice(recent) if recent else None

    def leaf(self, shape, requires_grad=True):
        """A parameter of the script, or data that is new in every iteration."""
        name = f"p{len(self.sides[0].leaves)}"
        a = self.array(shape, 0.7)
        for side, array in zip(self.sides, (a, (a * (1 + self.nudge)).astype(self.dtype)), strict=True):
            side.leaves[name] = side.tensor(array, requires_grad=requires_grad)
            side.v[name] = side.leaves[name]
        self.log.append(f"{name} = parameter{tuple(shape)}")
        return name

    def module(self, text, make):
        """A layer that both libraries make from the same seed."""
        name = f"m{len(self.sides[0].modules)}"
        for side in self.sides:
            side.lib.manual_seed(len(side.modules))
            m = make(side.lib.nn)
            if self.dtype is np.float64:
                m = m.double()
            side.modules[name] = m.to(side.device)
        self.log.append(f"{name} = {text}")
        return name

    def add(self, text, fn):
        """Append a statement ``fn(side) -> tensor or tensors`` whose results become variables, if PyTorch can run it now."""
        side = self.sides[0]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                out = fn(side)
        except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError):
            return None
        results = out if isinstance(out, (tuple, list)) else (out,)
        if not results or any(not isinstance(t, torch.Tensor) or t.numel() > 20_000 or t.dim() > 6 for t in results):
            return None
        big = 0.0
        for t in results:
            if t.is_floating_point() and t.numel():
                m = float(t.detach().abs().max())
                big = max(big, m) if m == m else float("inf")
        if not big < 1e4:
            return None
        names = []
        for _ in results:
            names.append(f"v{self.fresh}")
            self.fresh += 1
        tame = big > 8

        def statement(side):
            out = fn(side)
            for name, t in zip(names, out if isinstance(out, (tuple, list)) else (out,), strict=True):
                side.v[name] = side.lib.tanh(t) if tame and t.is_floating_point() else t

        self.body.append(statement)
        self.log.append(f"{', '.join(names)} = {'tanh ' if tame else ''}{text}   # {[tuple(t.shape) for t in results]}")
        for name, t in zip(names, results, strict=True):
            side.v[name] = torch.tanh(t) if tame and t.is_floating_point() else t
        return names

    # ------------------------------------------------------------ making a script
    def make(self):
        r = self.random
        for _ in range(r.randint(1, 3)):
            self.leaf(tuple(self.size() for _ in range(r.choice([1, 2, 2, 3, 4]))))
        for _ in range(r.randint(1, 2)):
            shape = tuple(self.size() for _ in range(r.choice([1, 2, 3, 4])))
            self.data(shape)
        for _ in range(r.randint(4, 22)):
            r.choices(list(STATEMENTS), list(STATEMENTS.values()))[0](self)
        self.losses()
        self.optimizers()

    def data(self, shape):
        name = f"x{len(self.sides[0].v)}"
        seed = self.random.randrange(1 << 30)
        steady = self.random.random() < 0.3

        def load(side):
            rng = np.random.default_rng((seed, 0 if steady else side.step))
            side.v[name] = side.tensor(rng.standard_normal(shape).astype(self.dtype))

        load(self.sides[0])
        self.body.append(load)
        self.log.append(f"{name} = data{shape}, {'the same' if steady else 'new'} in every iteration")

    def losses(self):
        r = self.random
        chosen = [n for n, t in self.sides[0].v.items() if t.requires_grad and t.is_floating_point() and t.numel()]
        if not chosen:
            raise Skip
        chosen = chosen[-2:] + r.sample(chosen, min(len(chosen), 3))
        self.terms = []
        for name in dict.fromkeys(chosen):
            kind = r.choice(["weighted", "square", "sum", "mean", "abs"])
            w = self.array(tuple(self.sides[0].v[name].shape))
            self.terms.append((name, kind, w))
        self.log.append("loss of " + ", ".join(f"{k} {n}" for n, k, _ in self.terms))

    def loss(self, side):
        total = 0.0
        for name, kind, w in self.terms:
            t = side.v[name]
            if kind == "weighted":
                term = (t * side.tensor(w.astype(self.dtype))).sum()
            elif kind == "square":
                term = (t * t).mean()
            elif kind == "abs":
                term = t.abs().mean()
            else:
                term = getattr(t, kind)()
            total = total + term
        return total

    def parameters(self, side):
        return [p for p in [*side.leaves.values(), *(p for m in side.modules.values() for p in m.parameters())] if p.requires_grad]

    def optimizers(self):
        r = self.random
        lr = 10 ** r.uniform(-3, -1.5)
        kind, options = r.choice(
            [
                ("SGD", {}),
                ("SGD", {"momentum": 0.9}),
                ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
                ("Adam", {"eps": 1e-3}),
                ("Adam", {"eps": 1e-3, "amsgrad": True, "weight_decay": 0.1}),
                ("AdamW", {"eps": 1e-3}),
                ("RMSprop", {"eps": 1e-3, "momentum": 0.5, "centered": True}),
                ("Adagrad", {"eps": 1e-3}),
                ("Adadelta", {"eps": 1e-3}),
                ("NAdam", {"eps": 1e-3}),
                ("RAdam", {"eps": 1e-3}),
                ("Adamax", {"eps": 1e-3}),
                (None, {}),
            ]
        )
        self.log.append(f"optimizer {kind} {lr:.3g} {options}")
        self.lr, self.kind = lr, kind
        self.habits = {
            "clip": r.choice([None, None, "norm", "value"]),
            "none": r.random() < 0.6,
            "accumulate": r.choice([1, 1, 1, 2]),
            "read": r.choice(["never", "loss", "loss", "middle"]),
            "double": r.choice([False, False, False, "penalty", "penalty", "grad"]),
            "schedule": r.random() < 0.3,
            "copy": r.random() < 0.15,
            "reload": r.random() < 0.15,
            "freeze": r.random() < 0.15,
            "data": r.random() < 0.1,
            "evaluate": r.random() < 0.3,
            "retain": r.random() < 0.1,
            "raise": r.random() < 0.1,
        }
        if self.habits["double"] == "grad":
            self.habits["read"] = "loss"
        self.log.append(f"habits {self.habits}")

        def make(side):
            if kind is not None:
                side.optimizer = getattr(side.lib.optim, kind)(self.parameters(side), lr=lr, **options)
                if self.habits["schedule"]:
                    side.scheduler = side.lib.optim.lr_scheduler.ExponentialLR(side.optimizer, 0.9)

        self.both(make)
