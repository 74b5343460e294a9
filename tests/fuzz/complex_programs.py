"""Random programs with complex numbers: views that read the same memory as another type, lazy conjugates, writes through them.

python -m tests.fuzz.complex_programs FIRST COUNT [-v]
"""

import sys
from typing import ClassVar

import numpy as np

from . import programs
from .libraries import Torch, torch, touched
from .programs import Program, Stop

SHAPES = [(4,), (2, 3), (2, 2, 2), (3, 2), (1, 4), (6,), ()]


def library(t):
    """The library a tensor is of."""
    return torch if isinstance(t, torch.Tensor) else programs.ours


def places(t):
    """The bytes a torch tensor shows, as the number of the first byte of each element."""
    return touched(t) * t.element_size()


class ComplexProgram(Program):
    """A random program over complex tensors and real views of them."""

    FACTS: ClassVar = {
        "dtype": lambda z: str(z.dtype),
        "conj": lambda z: z.is_conj(),
        "neg": lambda z: z.is_neg(),
        "address in the storage": lambda z: z.data_ptr() - z.untyped_storage().data_ptr(),
        "bytes of the storage": lambda z: z.untyped_storage().nbytes(),
    }

    def data(self, shape):
        a = super().data(shape)
        return a if self.random.random() < 0.25 else (a + 1j * super().data(shape)).astype(np.complex64)

    def create(self):
        a, rg = self.data(self.random.choice(SHAPES)), self.random.random() < 0.5
        if self.random.random() < 0.15 and a.ndim:
            k = f"a{len(self.ta)}"
            self.ta[k], self.oa[k] = a.copy(), a.copy()
            return self.do(f"from_numpy({k}={a.tolist()})", lambda L, v, z: L.lib.from_numpy(z[k]), True)
        return self.do(f"tensor({a.tolist()}, requires_grad={rg})", lambda L, v, z: L.tensor(a, rg), True)

    def check(self, v):
        x, y = self.t[v], self.o[v]
        for what, fact in self.FACTS.items():
            if fact(x) != fact(y):
                raise programs.Mismatch(f"{v}.{what}: torch {fact(x)}, ours {fact(y)}")
        super().check(v)

    def some_view(self, t):
        r = self.random
        if r.random() < 0.45:
            if not t.is_complex():
                if t.dim() and t.dtype is torch.float32 and r.random() < 0.7:
                    if r.random() < 0.15:
                        return ".view(complex64)", lambda x: x.view(library(x).complex64)
                    return "|view_as_complex", lambda x: library(x).view_as_complex(x)
            else:
                k = r.choice(["real", "imag", "conj", "conj", "as_real", "bytes"])
                if k in ("real", "imag"):
                    return f".{k}", lambda x: getattr(x, k)
                if k == "conj":
                    return ".conj()", lambda x: x.conj()
                if k == "as_real":
                    return "|view_as_real", lambda x: library(x).view_as_real(x)
                if not t.requires_grad:
                    return ".view(float32)", lambda x: x.view(library(x).float32)
        return super().some_view(t)

    def some_write(self, target):
        r = self.random
        at = touched(target)
        repeated = len(np.unique(at)) != at.size
        c = r.choice(programs.NUMBERS) * (1 + 2j if target.is_complex() and r.random() < 0.5 else 1)
        fill = f".fill_({c})", lambda L, x, V: x.fill_(c)
        k = r.choice(["add_", "mul_", "sub_", "copy_", "fill_", "zero_", "iadd", "number"])
        if k == "zero_":
            return ".zero_()", lambda L, x, V: x.zero_()
        if k == "fill_" or repeated:
            return fill
        if k == "number":
            return f".mul_({c})", lambda L, x, V: x.mul_(c)
        name = "__iadd__" if k == "iadd" else k
        o = self.operand(target)
        if o is None or (self.t[o].dtype is not target.dtype if k == "mul_" else self.t[o].is_complex() and not target.is_complex()):
            return fill
        if Torch.storage(self.t[o]) == Torch.storage(target) and self.undefined(target, self.t[o]):
            return fill
        return f".{name}({o})", lambda L, x, V: getattr(x, name)(V[o])

    def undefined(self, target, source):
        """Whether the result would depend on the order in which elements are written, or on lazy conjugates of overlapping memory."""
        a, b = places(target), places(source)
        if a.shape == b.shape and (a == b).all() and target.dtype is source.dtype:
            return False
        wide = [np.unique(np.add.outer(x.ravel(), np.arange(t.element_size()))) for x, t in ((a, target), (b, source))]
        return bool(np.intersect1d(*wide).size)

    def compute(self):
        r, v = self.random, self.pick()
        t = self.t[v]
        k = r.choice(["mul", "mul", "add", "conj_physical", "resolve_conj", "clone", "contiguous", "abs2", "sum", "number"])
        if k in ("mul", "add"):
            o = self.operand(t)
            if o and self.t[o].dtype is t.dtype:  # PyTorch keeps a converted operand itself, we the converted value: other version errors
                return self.do(f"{v} {k} {o}", lambda L, V, z: getattr(L.lib, k)(V[v], V[o]), True)
        if k == "abs2":
            return self.do(f"({v} * {v}.conj()).real", lambda L, V, z: (V[v] * V[v].conj()).real, True)
        if k in ("mul", "add", "number"):
            return self.do(f"{v} * (1 + 0.5j)", lambda L, V, z: V[v] * (1 + 0.5j), True)
        return self.do(f"{v}.{k}()", lambda L, V, z: getattr(V[v], k)(), True)

    def write(self):
        if self.random.random() < 0.2:
            v = self.pick(lambda t: t.is_complex())
            if v:
                part, c = self.random.choice(["real", "imag"]), self.random.choice(programs.NUMBERS)
                at = touched(self.t[v])
                if len(np.unique(at)) == at.size:
                    return self.do(f"{v}.{part} = {c}", lambda L, V, z: setattr(V[v], part, L.lib.tensor(c)))
        return super().write()

    def backward(self):
        r = self.random
        v = self.pick(lambda t: t.requires_grad)
        if not v:
            return
        keep, before = r.random() < 0.4, programs.silent[0]

        def go(L, V, z):
            x = V[v]
            y = (x * x.conj()).real.sum() + (x * (0.5 - 1j)).real.sum()
            y.backward(retain_graph=keep)

        error = self.do(f"{v} .backward(retain_graph={keep})", go)
        self.events["backward"] += 1
        if programs.silent[0] != before:
            raise Stop("PyTorch read bytes overwritten through .data or NumPy")
        if error is not None:
            raise Stop("an error in backward")

    def gradients(self):
        """Gradients of complex leaves are compared after every backward pass; steps are in the real programs."""

    def numpy(self):
        v, k = self.pick(), f"a{len(self.ta)}"
        self.do(f"{k} = {v}.numpy()", lambda L, V, z: z.__setitem__(k, V[v].numpy()))


if __name__ == "__main__":
    sys.exit(programs.main(ComplexProgram))
