"""The same statements run on torch and on this package, and compared: variables, arrays that share memory with them, kinds of errors."""

import collections
import contextlib
import random

import numpy as np

from torchlike_asg.facade import backward as ours_backward
from torchlike_asg.facade.saved_values import Ended, blame, version_root

from .libraries import Ours, Torch, kind_of, leafness


class Mismatch(AssertionError):
    """The two libraries disagree."""


class Stop(Exception):
    """The program cannot go on: an (equal) error in backward, an overflow, or something PyTorch leaves undefined."""


possible = set()  # every kind of error that the last refused backward pass had a reason for
silent = [0]  # backward passes in which PyTorch silently reads overwritten bytes; we use the recorded value
_check = ours_backward.check


def _watching_check(roots, savers, tr, wanted=None):
    for n in savers:
        for s in n.saved or ():
            root = version_root(s)
            silent[0] += root in tr.silent and root not in tr.stale
    possible.clear()
    if any(isinstance(tr.retained.get(n), Ended) for n in savers):
        possible.update(("twice", "version"))  # refused when its iteration ended: of several reasons only the first is kept
    possible.update(kind_of(RuntimeError(error)) for n in savers if (error := blame(roots, (n,), tr)))
    _check(roots, savers, tr, wanted)


@contextlib.contextmanager
def watching():
    """Note why backward passes are refused (`possible`), and where PyTorch would not refuse them (`silent`)."""
    ours_backward.check = _watching_check
    try:
        yield
    finally:
        ours_backward.check = _check


class Pair:
    """Two runs of one program, chosen by the numbers of a seed."""

    def __init__(self, seed):
        self.random, self.log = random.Random(seed), []
        self.t, self.o = {}, {}  # variables by name, in torch and in ours
        self.ta, self.oa = {}, {}  # arrays that share memory with them
        self.count, self.pooled = 0, set()
        self.events = collections.Counter()

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
        of_x, of_y = Torch.storage(x), Ours.storage(y)
        for w in self.t:
            if (of_x == Torch.storage(self.t[w])) != (of_y == Ours.storage(self.o[w])):
                raise Mismatch(f"whether {v} and {w} share a storage")
        self.same(v, Torch.values(x), Ours.values(y))
        gx, gy = x.grad if leafness(x) is True else None, y.grad
        if (gx is None) != (gy is None):
            raise Mismatch(f"{v}.grad: torch {gx}, ours {gy}")
        if gx is not None:
            self.same(f"{v}.grad", Torch.values(gx), Ours.values(gy))

    def same(self, what, a, b):
        if a.shape != b.shape or not (np.array_equal(a, b) or np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True)):
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
