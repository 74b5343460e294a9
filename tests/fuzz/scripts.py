"""Random training scripts: a random model of tensors and layers, run for several iterations on torch and on this package.

Where `programs.py` looks for wrong aliasing, these look for wrong numbers: hundreds of operations, layers in training and evaluation,
optimizers, control flow, reads in the middle of a step, gradients of gradients, hooks, checkpoints, copies and saved states, mostly in
float64 so that rounding hides nothing. After every iteration losses, gradients, parameters, buffers and random values of the body agree.

    python -m tests.fuzz.scripts FIRST COUNT [-v] [--device=wgpu] [--eager]
"""

import collections
import copy
import io
import random
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from . import combining, command, control, elementwise, layers  # noqa: E402, F401  (they fill the table)
from .statements import STATEMENTS  # noqa: E402

SIZES = [1, 2, 3, 4, 5, 8, 16, 17]


class Mismatch(AssertionError):
    """The two libraries disagree."""


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


class Script:
    """One random script; `run` raises Mismatch where the libraries part."""

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

    # ------------------------------------------------------------ running it
    def forward(self, side):
        side.v = dict(side.leaves)
        for i, statement in enumerate(self.body):
            statement(side)
            if self.habits["read"] == "middle" and i == len(self.body) // 2 and side.step != 1:
                list(side.v.values())[-1].detach().sum().item()
        return self.loss(side)

    def iteration(self, side):
        h, lib = self.habits, side.lib
        lib.manual_seed(side.step)
        params = self.parameters(side)
        if h["raise"] and side.step == 1:  # a step that fails in the middle, and a script that goes on
            try:
                self.forward(side)
                raise KeyError("in the middle")
            except KeyError:
                pass
            lib.manual_seed(7)
        loss = self.forward(side)
        if h["double"]:
            grads = lib.autograd.grad(loss, params, create_graph=True, allow_unused=True)
            penalty = sum((g * g).mean() for g in grads if g is not None)
            if isinstance(penalty, lib.Tensor):
                loss = loss + 0.1 * penalty if h["double"] == "penalty" else 0.3 * penalty
        if h["retain"]:
            loss.backward(retain_graph=True)
        if loss.requires_grad:
            loss.backward()
        out = {"loss": value(loss)} if h["read"] != "never" else {}
        if side.step % h["accumulate"] == 0:
            if h["clip"] == "norm":
                lib.nn.utils.clip_grad_norm_(params, 1.0)
            elif h["clip"] == "value":
                lib.nn.utils.clip_grad_value_(params, 0.5)
            if h["read"] != "never" or side.step == 2:
                out |= {f"gradient {i}": value(p.grad) for i, p in enumerate(params) if p.grad is not None}
            if side.optimizer is not None:
                side.optimizer.step()
                side.optimizer.zero_grad(set_to_none=h["none"])
                if side.scheduler is not None:
                    side.scheduler.step()
            else:
                with lib.no_grad():
                    for p in params:
                        if p.grad is not None:
                            p -= self.lr * p.grad
                            p.grad = None
        self.between(side)
        return out

    def between(self, side):
        h, lib = self.habits, side.lib
        if h["data"] and side.step == 1:
            for p in self.parameters(side)[:1]:
                p.data.mul_(0.9)
        if h["copy"] and side.step == 1:
            twins = copy.deepcopy(side.modules)
            with lib.no_grad():
                for m in side.modules.values():
                    for p in m.parameters():
                        p.zero_()
            for name, m in side.modules.items():
                m.load_state_dict(twins[name].state_dict())
        if h["reload"] and side.step == 2:
            file = io.BytesIO()
            state = {name: m.state_dict() for name, m in side.modules.items()}
            lib.save((state, side.optimizer.state_dict() if side.optimizer is not None else None), file)
            file.seek(0)
            state, o = lib.load(file)
            for name, m in side.modules.items():
                m.load_state_dict(state[name])
            if o is not None:
                side.optimizer.load_state_dict(o)
        if h["freeze"] and side.step == 1:
            for m in list(side.modules.values())[:1]:
                for p in m.parameters():
                    p.requires_grad_(False)
        if h["evaluate"]:
            for m in side.modules.values():
                m.train(side.step % 2 == 1)
            side.lib.manual_seed(3)
            with lib.no_grad():
                self.forward(side)
            for m in side.modules.values():
                m.train()
        side.step += 1

    def state(self, side):
        out = {f"parameter {i}": value(p) for i, p in enumerate(side.leaves.values())}
        for name, m in side.modules.items():
            out |= {f"{name}.{k}": value(t) for k, t in m.state_dict().items()}
        return out

    def compare(self, what, a, b):
        if any(not a[k].any() for k in a.keys() - b.keys()):
            raise Skip  # some second derivatives of PyTorch's are zeros where nothing depends on anything, which weight decay notices
        if a.keys() != b.keys():
            raise Mismatch(f"{what}: torch has {sorted(a)}, ours {sorted(b)}")
        for k, x in a.items():
            y = b[k]
            if x.shape != y.shape or x.dtype != y.dtype:
                raise Mismatch(f"{what} {k}: torch {x.shape} {x.dtype}, ours {y.shape} {y.dtype}")
            if x.size and x.dtype.kind == "f":
                m = np.abs(x).max()
                if not m < 1e6:
                    raise Skip
                rtol, atol = self.tolerance
                if not np.abs(x - y).max() <= rtol * m + atol:
                    raise Mismatch(
                        f"{what} {k}: differs by {np.abs(x - y).max():.3g} of {m:.3g}, torch {x.ravel()[:6]}, ours {y.ravel()[:6]}"
                    )
            elif not (x == y).all():
                raise Mismatch(f"{what} {k}: torch {x.ravel()[:8]}, ours {y.ravel()[:8]}")

    def run(self, iterations=4):
        self.make()
        self.both(lambda side: setattr(side, "v", {}))
        for m in self.sides[0].modules:  # making the script ran PyTorch's layers
            state = self.sides[1].modules[m].state_dict()
            self.sides[0].modules[m].load_state_dict({k: torch.from_numpy(value(t)) for k, t in state.items()})
        for i in range(iterations):
            try:
                expected = self.iteration(self.sides[0])
            except (RuntimeError, NotImplementedError, IndexError, ValueError) as error:  # in a later step, or not differentiable
                raise Skip from error
            self.compare(f"iteration {i}", expected, self.iteration(self.sides[1]))
            if i % 2 or i == iterations - 1:
                watched = [n for n, t in self.sides[0].v.items() if n.startswith("v") and t.is_floating_point()]
                watched = self.random.sample(watched, min(4, len(watched)))
                for n in watched:
                    self.compare(f"iteration {i}", *[{n: value(side.v[n])} for side in self.sides])
                self.compare(f"after iteration {i}", *self.both(self.state))


def ill_conditioned(seed):
    """Whether rounding decides: torch itself computes something else from parameters that differ in the last digits."""
    try:
        Script(seed, other=torch, nudge=3e-13).run()
    except (Mismatch, Skip):
        return True
    return False


def run(first, count, device="cpu"):
    """Run scripts; returns [(seed, message, statements)] of those that disagree, and counts of what happened."""
    torch.set_num_threads(1)
    bad, events = [], collections.Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, first + count):
            script = Script(seed, device)
            try:
                script.run()
                events["ran to the end"] += 1
            except Skip:
                events["skipped"] += 1
            except Exception as error:
                if isinstance(error, Mismatch) and ill_conditioned(seed):
                    events["ill-conditioned"] += 1
                    continue
                bad.append((seed, f"{type(error).__name__}: {error}"[:600], list(script.log)))
                if "-v" in sys.argv:
                    print(f"seed {seed}: {bad[-1][1]}", flush=True)
            ours.sync()
    return bad, events


def main():
    """Run the scripts that the command line names; exit status 1 if one disagrees."""
    if "--eager" in sys.argv:
        ours.config.eager = True
    device = next((a.partition("=")[2] for a in sys.argv if a.startswith("--device=")), "cpu")
    bad, events = run(*command.seeds(200), device)
    return command.report(bad, events, "scripts")


if __name__ == "__main__":
    sys.exit(main())
