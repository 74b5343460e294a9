"""Random views, and random writes through them."""

import numpy as np

from torchlike_asg.asg.geometry import partial_overlap

from .libraries import Torch, touched
from .pair import Pair

NUMBERS = (-1.0, 0.5, 2.0)


def geometry(t):
    return tuple(t.shape), tuple(t.stride()), t.storage_offset()


class Memory(Pair):
    """The statements of a program that make views and write."""

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
