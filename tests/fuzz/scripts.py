"""Random training scripts: a random model of tensors and layers, run for several iterations on torch and on this package.

Where `programs.py` looks for wrong aliasing, these look for wrong numbers: hundreds of operations, layers in training and evaluation,
optimizers, control flow, reads in the middle of a step, gradients of gradients, hooks, checkpoints, copies and saved states, mostly in
float64 so that rounding hides nothing. After every iteration losses, gradients, parameters, buffers and random values of the body agree.

    python -m tests.fuzz.scripts FIRST COUNT [-v] [--device=wgpu] [--eager]
"""

import collections
import copy
import io
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from . import command  # noqa: E402
from .making import Made, Skip, value  # noqa: E402


class Mismatch(AssertionError):
    """The two libraries disagree."""


class Script(Made):
    """One random script; `run` raises Mismatch where the libraries part."""

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
