"""Random programs, run statement by statement on torch and on this package.

After every read, and at the end: values, gradients, shape, strides, offset, contiguity, requires_grad, is_leaf, version, view-ness and
sharing of storage agree for all variables; every statement raises the same kind of error in both, or none.

    python -m tests.fuzz.programs FIRST COUNT      # more of them; prints the seeds that disagree
    python -m tests.fuzz.programs SEED 1 -v        # one, with its statements
"""

import collections
import copy
import random
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.geometry import partial_overlap  # noqa: E402
from torchlike_asg.asg.trace import current  # noqa: E402
from torchlike_asg.facade import backward as ours_backward  # noqa: E402
from torchlike_asg.facade.past import Ended, blame, version_root  # noqa: E402

from . import command  # noqa: E402
from .libraries import Ours, Torch, kind_of, leafness, touched  # noqa: E402

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
NUMBERS = (-1.0, 0.5, 2.0)


class Mismatch(AssertionError):
    """The two libraries disagree."""


class Stop(Exception):
    """The program cannot go on: an (equal) error in backward, an overflow, or something PyTorch leaves undefined."""


possible = set()  # every kind of error that the last refused backward pass had a reason for
silent = [0]  # backward passes in which PyTorch silently reads overwritten bytes; we use the recorded value
_check = ours_backward.check


def _watching_check(result, tr):
    for n in result.savers:
        for s in n.saved or ():
            root = version_root(s)
            silent[0] += root in tr.silent and root not in tr.stale
    possible.clear()
    if any(isinstance(tr.retained.get(n), Ended) for n in result.savers):
        possible.update(("twice", "version"))  # refused when its iteration ended: of several reasons only the first is kept
    possible.update(kind_of(RuntimeError(error)) for n in result.savers if (error := blame(result.roots, (n,), tr)))
    _check(result, tr)


def geometry(t):
    return tuple(t.shape), tuple(t.stride()), t.storage_offset()


class Program:
    """One random program and its two runs."""

    def __init__(self, seed):
        self.random, self.log = random.Random(seed), []
        self.t, self.o = {}, {}  # variables by name, in torch and in ours
        self.ta, self.oa = {}, {}  # arrays that share memory with them
        self.count, self.pooled = 0, set()
        self.events = collections.Counter()

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

    # ------------------------------------------------------------ one statement in both
    def do(self, text, fn, binds=False):
        """``fn(library, variables, arrays)`` in both; its results become variables if `binds`. Returns the kind of error, if any."""
        self.log.append(text)
        for t in self.t.values():
            leafness(t)  # PyTorch renews a view's history only when it is looked at; we always behave as after looking
        results, errors = [], []
        possible.clear()
        for library, variables, arrays in ((Torch, self.t, self.ta), (Ours, self.o, self.oa)):
            try:
                results.append(fn(library, variables, arrays))
                errors.append(None)
            except (RuntimeError, IndexError) as error:
                results.append(None)
                errors.append(kind_of(error))
        if "backward" in text:
            if errors[1] in ("version", "twice") and errors[0] in ("multi view", "no_grad view"):
                errors[1] = errors[0]  # PyTorch names the view, we what became of its values
            if errors[1] in possible and errors[0] in possible:
                errors[1] = errors[0]  # several are due: PyTorch meets first what was recorded last, a graph knows no such order
            if errors[0] == "overlap with itself":
                raise Stop("PyTorch cannot differentiate a write through an overlapping view")
        if errors[0] != errors[1]:
            raise Mismatch(f"error: torch {errors[0]!r}, ours {errors[1]!r}")
        if errors[0]:
            self.events["error: " + errors[0]] += 1
            self.log[-1] += f"   # {errors[0]}"
            return errors[0]
        if binds:
            for x, y in zip(*[r if isinstance(r, tuple) else (r,) for r in results], strict=True):
                name = f"v{self.count}"
                self.count += 1
                self.t[name], self.o[name] = x, y
                self.log[-1] += f"   -> {name}{list(x.shape)}"
        return None

    def check(self, v):
        x, y = self.t[v], self.o[v]
        facts = {
            "shape": lambda z: tuple(z.shape),
            "stride": lambda z: tuple(z.stride()),
            "offset": lambda z: z.storage_offset(),
            "contiguous": lambda z: z.is_contiguous(),
            "requires_grad": lambda z: z.requires_grad,
            "is_view": lambda z: z._is_view(),
            "is_leaf": leafness,
        }
        if Torch.storage(x) not in self.pooled:  # PyTorch adds gradients in place or not as its reference counts allow
            facts["version"] = lambda z: z._version
        for what, fact in facts.items():
            if fact(x) != fact(y):
                raise Mismatch(f"{v}.{what}: torch {fact(x)}, ours {fact(y)}")
        for w in self.t:
            if (Torch.storage(x) == Torch.storage(self.t[w])) != (Ours.storage(y) == Ours.storage(self.o[w])):
                raise Mismatch(f"whether {v} and {w} share a storage")
        self.same(v, Torch.values(x), Ours.values(y))
        gx, gy = x.grad if leafness(x) is True else None, y.grad
        if (gx is None) != (gy is None):
            raise Mismatch(f"{v}.grad: torch {gx}, ours {gy}")
        if gx is not None:
            self.same(f"{v}.grad", Torch.values(gx), Ours.values(gy))

    def same(self, what, a, b):
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise Mismatch(f"{what}: torch {a.tolist()}, ours {b.tolist()}")
        if a.size and not np.abs(a).max() < 1e5:
            raise Stop("overflow")

    # ------------------------------------------------------------ choosing
    def pick(self, suits=lambda t: True):
        names = [v for v in self.t if suits(self.t[v])]
        recent = names[-8:] if self.random.random() < 0.7 else names
        return self.random.choice(recent) if recent else None

    def data(self, shape):
        return np.array([self.random.choice([-1.5, -1, -0.5, 0.5, 1, 1.5, 2]) for _ in range(int(np.prod(shape)))], np.float32).reshape(
            shape
        )

    def operand(self, t):
        """A variable that (usually) broadcasts to `t`."""

        def fits(o):
            try:
                return np.broadcast_shapes(tuple(t.shape), tuple(o.shape)) == tuple(t.shape)
            except ValueError:
                return False

        return self.pick(fits) if self.random.random() < 0.97 else self.pick()

    # ------------------------------------------------------------ statements
    def create(self):
        a, rg = self.data(self.random.choice(SHAPES)), self.random.random() < 0.5
        if self.random.random() < 0.2:
            k = f"a{len(self.ta)}"
            self.ta[k], self.oa[k] = a.copy(), a.copy()
            return self.do(f"from_numpy({k}={a.tolist()})", lambda L, v, z: L.lib.from_numpy(z[k]), True)
        return self.do(f"tensor({a.tolist()}, requires_grad={rg})", lambda L, v, z: L.tensor(a, rg), True)

    def some_view(self, t):
        """(text, function) of a random view of `t`."""
        r, s = self.random, tuple(t.shape)
        choices = {"permute": 1, "unsqueeze": 1, "view": 2, "reshape": 2}
        if s and all(s):
            choices |= {"select": 3, "narrow": 2, "getitem": 3, "unbind": 1, "chunk": 1, "split": 1, "unfold": 1, "squeeze": 1, "expand": 1}
        if len(s) >= 2:
            choices |= {"t": 2, "diagonal": 1}
        if t.is_contiguous() and t.numel() >= 3:
            choices["as_strided"] = 1
        k = r.choices(list(choices), list(choices.values()))[0]
        d = r.randrange(len(s)) if s else 0
        n = s[d] if s else 1
        if k == "permute":
            p = list(range(len(s)))
            r.shuffle(p)
            return f".permute({p})", lambda x: x.permute(p)
        if k == "unsqueeze":
            e = r.randint(0, len(s))
            return f".unsqueeze({e})", lambda x: x.unsqueeze(e)
        if k in ("view", "reshape"):
            total = int(np.prod(s))
            q = (
                r.choice(
                    [(total,), (1, total), (total, 1), s] + [(a, total // a) for a in (2, 3) if total % a == 0] + ([(-1,)] if total else [])
                )
                if total
                else s
            )
            return f".{k}{q}", lambda x: getattr(x, k)(q)
        if k == "select":
            i = r.randrange(n)
            return f".select({d}, {i})", lambda x: x.select(d, i)
        if k == "narrow":
            lo = r.randrange(n)
            m = r.randint(1, n - lo)
            return f".narrow({d}, {lo}, {m})", lambda x: x.narrow(d, lo, m)
        if k == "getitem":
            i = tuple(r.choice([slice(None), slice(r.randrange(m), None), slice(None, None, 2), r.randrange(m)]) for m in s)
            return f"[{i}]", lambda x: x[i]
        if k == "unfold":
            m = r.randint(1, n)
            step = r.choice([1, m])
            return f".unfold({d}, {m}, {step})", lambda x: x.unfold(d, m, step)
        if k == "expand":
            q = r.choice([(2, *s), tuple(2 if m == 1 else m for m in s)])
            return f".expand({q})", lambda x: x.expand(q)
        if k == "t":
            return (".t()", lambda x: x.t()) if len(s) == 2 else (".transpose(0, 1)", lambda x: x.transpose(0, 1))
        if k == "diagonal":
            o = r.choice([0, 1, -1]) if min(s[:2]) > 1 else 0
            return f".diagonal({o})", lambda x: x.diagonal(o)
        if k == "as_strided":
            m = t.numel()
            q, st, off = r.choice(
                [((m // 2,), (2,), 0), ((2,), (m - 1,), 0), ((m - 1,), (1,), 1), ((2, m // 2), (m // 2, 1), 0), ((m - 1, 2), (1, 1), 0)]
            )
            off += t.storage_offset()
            return f".as_strided({q}, {st}, {off})", lambda x: x.as_strided(q, st, off)
        return f".{k}(...)", {
            "unbind": lambda x: x.unbind(d),
            "chunk": lambda x: x.chunk(2, d),
            "split": lambda x: x.split(1, d),
            "squeeze": lambda x: x.squeeze(d),
        }[k]

    def view(self):
        v = self.pick()
        text, f = self.some_view(self.t[v])
        self.do(f"{v}{text}", lambda L, V, z: f(V[v]), True)

    def undefined(self, target, source):
        """Overlap that PyTorch neither forbids nor defines: the result would depend on the order of its loop."""
        a = touched(target)
        try:
            b = np.broadcast_to(touched(source), a.shape)
        except ValueError:
            return False
        return bool(np.intersect1d(a, b[a != b]).size) and not partial_overlap(geometry(target), geometry(source))

    def some_write(self, target):
        """(text, function(L, x, V)) of a random in-place operation on a tensor like torch's `target`."""
        r, s = self.random, tuple(target.shape)
        k = r.choice(
            [
                "add_",
                "mul_",
                "add_",
                "mul_",
                "sub_",
                "copy_",
                "copy_",
                "fill_",
                "zero_",
                "relu_",
                "tanh_",
                "masked_fill_",
                "put",
                "mask",
                "scatter",
                "iadd",
            ]
        )
        at = touched(target)
        if len(np.unique(at)) != at.size:
            expanded = any(st == 0 and d > 1 for st, d in zip(target.stride(), s, strict=True))
            if not (expanded and k in ("add_", "mul_", "sub_", "copy_", "relu_", "tanh_")):
                k = r.choice(["fill_", "zero_"])
        c = r.choice(NUMBERS)
        fill = f".fill_({c})", lambda L, x, V: x.fill_(c)
        if k in ("add_", "sub_", "mul_", "copy_", "iadd"):
            name = "__iadd__" if k == "iadd" else k
            o = self.operand(target)
            if o is None or (r.random() < 0.25 and k != "copy_"):
                return f".{name}({c})", lambda L, x, V: getattr(x, name)(c)
            if Torch.storage(self.t[o]) == Torch.storage(target) and self.undefined(target, self.t[o]):
                return fill
            return f".{name}({o})", lambda L, x, V: getattr(x, name)(V[o])
        if k in ("relu_", "tanh_", "zero_"):
            return f".{k}()", lambda L, x, V: getattr(x, k)()
        if k in ("masked_fill_", "mask"):
            m = np.array([r.random() < 0.5 for _ in range(at.size)], bool).reshape(s)
            if k == "mask" and s:
                return f"[{m.tolist()}] = {c}", lambda L, x, V: x.__setitem__(L.lib.from_numpy(m), c)
            return f".masked_fill_({m.tolist()}, {c})", lambda L, x, V: x.masked_fill_(L.lib.from_numpy(m), c)
        if k == "put" and s and s[0]:
            i = np.array(r.sample(range(s[0]), r.randint(1, s[0])))
            o = self.pick(lambda q: tuple(q.shape) == s[1:] and Torch.storage(q) != Torch.storage(target))
            return f".index_put_({i}, {o or c})", lambda L, x, V: x.index_put_((L.lib.from_numpy(i),), V[o] if o else L.lib.tensor(c))
        if k == "scatter" and s and 0 not in s:
            d = r.randrange(len(s))
            o = self.pick(lambda q: tuple(q.shape) == s and Torch.storage(q) != Torch.storage(target))
            if o:
                i = np.array([r.randrange(s[d]) for _ in range(at.size)]).reshape(s)
                return f".scatter_add_({d}, {i.tolist()}, {o})", lambda L, x, V: x.scatter_add_(d, L.lib.from_numpy(i), V[o])
        return fill

    def write(self):
        v = self.pick()
        t = self.t[v]
        if self.random.random() < 0.35:  # through a temporary view
            text, f = self.some_view(t)
            first = lambda x: x[0] if isinstance(x, tuple) else x  # noqa: E731
            try:
                target = first(f(t))
            except RuntimeError:
                return
            what, w = self.some_write(target)
            del target
            self.do(f"{v}{text}{what}", lambda L, V, z: (w(L, first(f(V[v])), V), None)[1])
            return
        if self.random.random() < 0.2 and t.dim() and t.shape[0]:
            i = self.random.randrange(t.shape[0])
            o = self.pick(lambda q: tuple(q.shape) == tuple(t.shape[1:]))
            try:
                row = t[i]
            except RuntimeError:
                return
            at = touched(row)
            if (
                o
                and len(np.unique(at)) == at.size
                and not (Torch.storage(self.t[o]) == Torch.storage(row) and self.undefined(row, self.t[o]))
            ):
                del row
                self.do(f"{v}[{i}] = {o}", lambda L, V, z: V[v].__setitem__(i, V[o]))
                return
            del row
        what, w = self.some_write(t)
        self.do(f"{v}{what}", lambda L, V, z: (w(L, V[v], V), None)[1])

    def compute(self):
        r, v = self.random, self.pick()
        k = r.choice(
            ["__add__", "__mul__", "__sub__", "__mul__", "relu", "tanh", "clone", "contiguous", "sum", "matmul", "number", "number"]
        )
        c = r.choice(NUMBERS)
        if k.startswith("__"):
            o = self.operand(self.t[v])
            if o:
                return self.do(f"{v}.{k}({o})", lambda L, V, z: getattr(V[v], k)(V[o]), True)
            k = "number"
        if k == "number":
            return self.do(f"{v} * {c}", lambda L, V, z: V[v] * c, True)
        if k == "matmul":
            a = self.pick(lambda q: q.dim() == 2)
            b = a and self.pick(lambda q: q.dim() == 2 and q.shape[0] == self.t[a].shape[1])
            return self.do(f"{a} @ {b}", lambda L, V, z: V[a] @ V[b], True) if b else None
        return self.do(f"{v}.{k}()", lambda L, V, z: getattr(V[v], k)(), True)

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
    ours_backward.check = _watching_check
    bad, events = [], collections.Counter()
    try:
        with warnings.catch_warnings():
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
    finally:
        ours_backward.check = _check
    return bad, events


def main(kind=None):
    """Run the programs that the command line names; exit status 1 if one disagrees."""
    bad, events = run(*command.seeds(1000), **({} if kind is None else {"kind": kind}))
    return command.report(bad, events, "programs")


if __name__ == "__main__":
    sys.exit(main())
