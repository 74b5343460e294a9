"""Random programs, run statement by statement on torch and on this package.

After every read, and at the end: values, gradients, shape, strides, offset, contiguity, requires_grad, is_leaf, version, view-ness and
sharing of storage agree for all variables; every statement raises the same kind of error in both, or none.

    python -m tests.fuzz.programs FIRST COUNT      # more of them; prints the seeds that disagree
    python -m tests.fuzz.programs SEED 1 -v        # one, with its statements
"""

import collections
import copy
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.trace import current  # noqa: E402

from . import command  # noqa: E402
from .libraries import Ours, Torch, leafness, touched  # noqa: E402
from .memory import NUMBERS, Memory  # noqa: E402
from .pair import Mismatch, Stop, silent, watching  # noqa: E402

SHAPES = [(4,), (6,), (2, 3), (3, 3), (2, 2, 3), (1, 3), (3, 1), (4, 2)]
WEIGHTS = {
    "view": 26,
    "write": 30,
    "compute": 18,
    "alias": 6,
    "under_no_grad": 7,
    "read": 6,
    "backward": 3,
    "gradients": 4,
    "numpy": 5,
    "delete": 3,
    "other": 3,
}


class Program(Memory):
    """One random program and its two runs."""

    def run(self):
        for _ in range(self.random.randint(15, 40)):
            if len(self.t) < 2 or (len(self.t) < 20 and self.random.random() < 0.08):
                self.create()
            else:
                getattr(self, self.random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])()
        for v in list(self.t):
            self.check(v)
        if self.t:
            self.backward()
        for v in list(self.t):
            self.check(v)

    # ------------------------------------------------------------ statements
    def create(self):
        a, rg = self.data(self.random.choice(SHAPES)), self.random.random() < 0.5
        if self.random.random() < 0.2:
            k = f"a{len(self.ta)}"
            self.ta[k], self.oa[k] = a.copy(), a.copy()
            return self.do(f"from_numpy({k}={a.tolist()})", lambda L, v, z: L.lib.from_numpy(z[k]), True)
        return self.do(f"tensor({a.tolist()}, requires_grad={rg})", lambda L, v, z: L.tensor(a, rg), True)

    def compute(self):
        r, v = self.random, self.pick()
        k = r.choice("__add__ __mul__ __sub__ __mul__ relu tanh clone contiguous sum matmul number number roll replaced".split())
        c = r.choice(NUMBERS)
        if k.startswith("__"):
            o = self.operand(self.t[v])
            if o:
                return self.do(f"{v}.{k}({o})", lambda L, V, z: getattr(V[v], k)(V[o]), True)
            k = "number"
        if k == "number":
            return self.do(f"{v} * {c}", lambda L, V, z: V[v] * c, True)
        if k == "roll" and self.t[v].dim():
            d = r.randrange(self.t[v].dim())
            by, along = r.choice([(r.randint(-4, 4), d), (r.randint(-4, 4), None), ((r.randint(-4, 4), 1), (d, 0))])
            return self.do(f"{v}.roll({by}, {along})", lambda L, V, z: V[v].roll(by, along), True)
        if k in ("roll", "replaced"):
            return self.replaced(v)
        if k == "matmul":
            a = self.pick(lambda q: q.dim() == 2)
            b = a and self.pick(lambda q: q.dim() == 2 and q.shape[0] == self.t[a].shape[1])
            return self.do(f"{a} @ {b}", lambda L, V, z: V[a] @ V[b], True) if b else None
        return self.do(f"{v}.{k}()", lambda L, V, z: getattr(V[v], k)(), True)

    def replaced(self, v):
        """A copy with one of its views replaced."""
        r, t = self.random, self.t[v]
        if not t.dim() or not t.numel() or t.storage_offset() or np.ptp(touched(t)) + 1 != t.numel():
            return None  # PyTorch keeps gaps and offsets in the copy
        d = r.randrange(t.dim())
        lo = r.randrange(t.shape[d])
        k, place = r.choice([("select", (d, lo)), ("slice", (d, lo, lo + 2)), ("diagonal", (r.choice([-1, 0, 1]),))])
        if k == "diagonal" and (t.dim() < 2 or min(t.shape[:2]) < 2):
            k, place = "select", (d, lo)
        whole = np.empty(tuple(t.shape))
        part = whole.diagonal(*place) if k == "diagonal" else whole.take(lo if k == "select" else range(lo, min(lo + 2, t.shape[d])), d)
        shape = part.shape
        o, a = self.pick(lambda q: tuple(q.shape) == shape and q.dtype == t.dtype), self.data(shape)
        what = f"{v}.{k}_scatter({o or a.tolist()}, {place})"
        return self.do(what, lambda L, V, z: getattr(V[v], f"{k}_scatter")(V[o] if o else L.tensor(a, False), *place), True)

    def alias(self):
        v = self.pick()
        if self.random.random() < 0.5:
            self.do(f"{v}.detach()", lambda L, V, z: V[v].detach(), True)
        else:
            self.do(f"{v}.data", lambda L, V, z: V[v].data, True)

    def under_no_grad(self):
        v, k = self.pick(), self.random.random()

        def guarded(f):
            def run(L, V, z):
                with L.lib.no_grad():
                    return f(L, V, z)

            return run

        if k < 0.25:
            return self.do(f"no_grad: {v} * 0.5", guarded(lambda L, V, z: V[v] * 0.5), True)
        if k < 0.6:
            what, w = self.some_write(self.t[v])
            return self.do(f"no_grad: {v}{what}", guarded(lambda L, V, z: w(L, V[v], V)))
        text, f = self.some_view(self.t[v])
        if text.startswith((".unbind", ".chunk", ".split")):
            return None
        with torch.no_grad():
            try:
                target = f(self.t[v])
            except RuntimeError:
                return None
            what, w = self.some_write(target)
            del target
        if k < 0.85:
            return self.do(f"no_grad: {v}{text}{what}", guarded(lambda L, V, z: w(L, f(V[v]), V)))

        def outside(L, V, z):
            with L.lib.no_grad():
                x = f(V[v])
            w(L, x, V)

        return self.do(f"no_grad: y = {v}{text}; then y{what}", outside)

    def read(self):
        names = self.random.sample(list(self.t), min(3, len(self.t)))
        self.log.append("read " + " ".join(names))
        for v in names:
            self.check(v)

    def backward(self):
        r = self.random
        v = self.pick(lambda t: t.requires_grad) or self.pick()
        form, keep = r.choice(["sum", "square"] * 4 + ["itself"]), r.random() < 0.4
        before = silent[0]

        def go(L, V, z):
            x = V[v]
            y = x.sum() if form == "sum" else (x * x).sum() if form == "square" else x
            y.backward(retain_graph=keep)

        error = self.do(f"{v} {form} .backward(retain_graph={keep})", go)
        self.events["backward"] += 1
        if silent[0] != before:
            raise Stop("PyTorch read bytes overwritten through .data or NumPy")
        if error not in (None, "no history", "not a scalar"):
            raise Stop("an error in backward")

    def gradients(self):
        v = self.pick(lambda t: leafness(t) is True and t.requires_grad and t.grad is not None)
        if not v:
            return
        k = self.random.choice(["zero", "none", "step", "data", "pool"])

        def go(L, V, z):
            p = V[v]
            if k == "zero":
                p.grad.zero_()
            elif k == "none":
                p.grad = None
            elif k == "step":
                with L.lib.no_grad():
                    p.sub_(p.grad * 0.1)
            elif k == "data":
                p.data.add_(p.grad)
            else:
                if L is Torch:
                    self.pooled.add(Torch.storage(p.grad))
                return p.grad
            return None

        self.do(f"gradient of {v}: {k}", go, k == "pool")

    def numpy(self):
        r = self.random
        if self.ta and r.random() < 0.5:
            k = r.choice(list(self.ta))
            a, b = self.ta[k], self.oa[k]
            if a.ndim and a.size:
                i, c = r.randrange(len(a)), r.choice([-1.0, 0.5, 3.0])
                if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-4):
                    raise Mismatch(f"array {k}: torch {a.tolist()}, ours {b.tolist()}")
                # without a tensor over it the array cannot be looked at any more, but PyTorch's gradients may still read it
                watched = any(np.shares_memory(a, t.detach().numpy()) for t in self.t.values())
                if watched and a.flags.writeable and b.flags.writeable:
                    Ours.about_to_write_arrays(self.o.values())
                    self.do(f"{k}[{i}] = {c}", lambda L, v, z: z[k].__setitem__(i, c))
                    Ours.about_to_write_arrays(self.o.values())
            return
        v, k = self.pick(), f"a{len(self.ta)}"
        self.do(f"{k} = {v}.numpy()", lambda L, V, z: z.__setitem__(k, V[v].numpy()))

    def delete(self):
        v = self.pick()
        if self.t[v].grad is not None and Torch.storage(self.t[v].grad) in self.pooled:
            return  # PyTorch's graph keeps a dropped leaf alive, and adds to the gradient that is a variable here
        self.log.append(f"del {v}")
        del self.t[v], self.o[v]

    def other(self):
        v = self.pick()
        t = self.t[v]
        if self.random.random() < 0.5:
            return self.do(f"deepcopy({v})", lambda L, V, z: copy.deepcopy(V[v]), True)
        alone = sum(Torch.storage(x) == Torch.storage(t) for x in self.t.values()) == 1
        if alone and not t._is_view() and len(np.unique(touched(t))) == t.numel():
            return self.do(f"{v}.requires_grad_()", lambda L, V, z: (V[v].requires_grad_(), None)[1])
        return None


def run(first, count, kind=Program):
    """Run programs; returns [(seed, message, statements)] of those that disagree, and counts of what happened."""
    torch.set_num_threads(1)
    bad, events = [], collections.Counter()
    with watching(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, first + count):
            p = kind(seed)
            try:
                p.run()
                events["ran to the end"] += 1
            except Stop as stop:
                events[f"stopped: {stop}"] += 1
            except Exception as error:
                bad.append((seed, f"{type(error).__name__}: {error}", list(p.log)))
            events.update(p.events)
            p.t.clear(), p.o.clear()
            ours.sync()
            current().grad = True
    return bad, events


def main(kind=None):
    """Run the programs that the command line names; exit status 1 if one disagrees."""
    bad, events = run(*command.seeds(1000), **({} if kind is None else {"kind": kind}))
    return command.report(bad, events, "programs")


if __name__ == "__main__":
    sys.exit(main())
