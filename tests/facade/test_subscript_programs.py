"""Random subscripts, and random programs of views and writes, against PyTorch."""

import gc
import operator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import equal, outcome  # noqa: E402


# ---------------------------------------------------------------- random subscripts
def random_key(random, shape):
    entries, d, rank, index_shape = [], 0, len(shape), tuple(random.integers(1, 3, size=random.integers(1, 3)))
    stop, dots = random.integers(0, rank + 1), False
    while d < stop:
        kind = random.integers(0, 11)
        if kind == 0:
            entries.append(None)
        elif kind == 1 and not dots:
            dots = True
            entries.append(Ellipsis)
            d += int(random.integers(0, 2))
        elif kind in (2, 3):
            entries.append(int(random.integers(-shape[d], shape[d])))
            d += 1
        elif kind in (4, 5, 6):
            bounds = [None if random.integers(0, 2) else int(random.integers(-6, 6)) for _ in range(2)]
            entries.append(slice(*bounds, None if random.integers(0, 2) else int(random.integers(1, 3))))
            d += 1
        elif kind in (7, 8, 9):
            a = random.integers(-shape[d], shape[d], size=index_shape if random.integers(0, 2) else index_shape[-1:])
            entries.append((random.integers(0, 3), a))
            d += 1
        elif kind == 10:
            k = int(random.integers(1, min(2, rank - d) + 1))
            entries.append((random.integers(0, 3), random.integers(0, 2, size=shape[d : d + k]).astype(bool)))
            d += k
    return entries


def realise(lib, entry):
    if not isinstance(entry, tuple):
        return entry
    how, a = entry
    if how == 0:
        return a
    t = lib.tensor(a)
    return t if how == 1 else (t + 0 if a.dtype.kind == "i" else t.logical_not().logical_not())


def places_of(lib, x, key):
    """Which element of `x` each element of ``x[key]`` is."""
    return lib.arange(x.numel()).reshape(x.shape)[key].numpy()


@pytest.mark.parametrize("block", range(12))
def test_random_subscripts(block):
    """Reads and writes of random subscripts: values, gradients, versions, aliases, and errors of the same type."""
    failed = []
    for seed in range(block * 60, block * 60 + 60):
        random = np.random.default_rng(seed)
        shape = tuple(int(n) for n in random.integers(1, 5, size=random.integers(1, 5)))
        order = tuple(int(i) for i in random.permutation(len(shape)))
        entries = random_key(random, tuple(shape[i] for i in order))
        if Ellipsis in [e for e in entries if not isinstance(e, tuple)] and any(
            isinstance(e, tuple) and e[1].dtype == bool and e[1].ndim > 1 for e in entries
        ):
            continue  # PyTorch miscounts the dimensions of x[mask, ..., 0]
        data = random.standard_normal(shape).astype(np.float32)
        history, action = random.integers(0, 2), random.integers(0, 3)
        value_seed, cut, value_history = int(random.integers(1 << 30)), int(random.integers(0, 3)), bool(random.integers(0, 2))

        def run(
            T,
            order=order,
            entries=entries,
            data=data,
            history=history,
            action=action,
            value_seed=value_seed,
            cut=cut,
            value_history=value_history,
        ):
            base = T.tensor(data, requires_grad=bool(history))
            x = (base * 1).permute(order)
            key = tuple(realise(T, e) for e in entries)
            weights = T.tensor(np.cos(np.arange(data.size, dtype=np.float32)).reshape(tuple(x.shape)))
            if action == 0:
                y = x[key]
                if history:
                    (y * y).sum().backward()
                return y, y._is_view(), base.grad
            if action == 1:
                x[key] = 2.5
                v = None
            else:
                places = places_of(T, x, key)
                size = (
                    tuple(places.shape)[cut:] if len(np.unique(places)) == places.size else ()
                )  # the order of repeated writes is undefined
                v = T.tensor(np.random.default_rng(value_seed).standard_normal(size).astype(np.float32), requires_grad=value_history)
                x[key] = v * 2
            if x.requires_grad:
                (x * x * weights).sum().backward()
            return x, x._version, base.grad, v.grad if v is not None else None

        want, got = outcome(run, torch), outcome(run, ours)
        if not equal(want, got, 1e-4, 1e-5):
            failed.append((seed, shape, order, entries, want, got))
        del want, got
        gc.collect(0)
    assert not failed, failed[0]


# ---------------------------------------------------------------- random programs of views and writes
def random_basic(random, shape):
    """A subscript of numbers, slices, None and an ellipsis."""
    entries, d = [], 0
    while d < len(shape) and random.integers(0, 4):
        kind = random.integers(0, 7)
        if kind == 0:
            entries.append(None)
        elif kind == 1 and Ellipsis not in entries:
            entries.append(Ellipsis)
            break
        elif kind in (2, 3) and shape[d]:
            entries.append(int(random.integers(-shape[d], shape[d])))
            d += 1
        else:
            entries.append(slice(int(random.integers(0, 2)), None, int(random.integers(1, 3))))
            d += 1
    return tuple(entries)


def program(seed):
    """Statements as (name, tensor number, argument); sizes are tracked with NumPy, so that every subscript fits."""
    random = np.random.default_rng(seed)
    base = np.zeros((3, 4, 2), np.float32)
    shapes, lines = [base], []
    for _ in range(int(random.integers(6, 16))):
        i = int(random.integers(0, len(shapes)))
        name = str(
            random.choice(
                ["view", "view", "transpose", "fill", "set", "add", "mul", "mask", "index", "advanced", "detach", "no_grad", "use"]
            )
        )
        a = shapes[i]
        key = random_basic(random, a.shape)
        if name == "view":
            shapes.append(a[key])
        elif name == "transpose":
            shapes.append(a.T)
        elif name == "advanced":
            name = "use" if not a.ndim or not a.shape[0] else name
            key = random.integers(0, a.shape[0], size=2).tolist() if name == "advanced" else key
            if name == "advanced":
                shapes.append(np.zeros_like(a[key]))
        elif name == "index":
            name = "use" if not a.ndim or not a.shape[0] else name
            key = [int(random.integers(0, a.shape[0]))] if name == "index" else key
        elif name in ("detach", "use"):
            shapes.append(a if name == "detach" else np.zeros_like(a))
        lines.append((name, i, key, round(float(random.standard_normal()), 2)))
    return lines, bool(random.integers(0, 2))


def execute(T, lines, history):
    leaf = T.tensor(np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 4, 2), requires_grad=history)
    w = T.tensor(0.5, requires_grad=history)
    pool, seen = [leaf * 2], []
    for name, i, key, number in lines:
        t = pool[i]
        _ = [p.grad_fn for p in pool]  # PyTorch renews what views know of their history only when it is asked for
        if name == "view":
            pool.append(t[key])
        elif name == "transpose":
            pool.append(t.permute(tuple(range(t.dim() - 1, -1, -1))))
        elif name == "fill":
            t[key] = number
        elif name == "set":
            t[key] = (t[key] * w).exp()
        elif name in ("add", "mul"):
            part = t[key]
            part = operator.iadd(part, number) if name == "add" else operator.imul(part, w)
            _ = t.grad_fn
            t[key] = part
        elif name == "mask":
            t[t > number] = number
        elif name == "index":
            t[key] = w * number
        elif name == "advanced":
            pool.append(t[key])
        elif name == "detach":
            pool.append(t.detach())
        elif name == "no_grad":
            with T.no_grad():
                t[key] = number
        elif name == "use":
            pool.append(t.sin())
        seen.append([p._version for p in pool])
        if len(seen) % 4 == 0:
            seen.append(pool[len(seen) % len(pool)].tolist())
    seen.append([p.requires_grad for p in pool])
    if history:
        total = sum((p * p).sum() for p in pool if p.requires_grad)
        if isinstance(total, T.Tensor):
            total.backward()
    return seen, pool, leaf.grad, w.grad


@pytest.mark.parametrize("block", range(10))
def test_random_programs(block):
    """Views of views, written in every way, read in between: values, versions, gradients and errors."""
    failed = []
    for seed in range(block * 40, block * 40 + 40):
        lines, history = program(seed)
        want = outcome(lambda T, lines=lines, history=history: execute(T, lines, history), torch)
        got = outcome(lambda T, lines=lines, history=history: execute(T, lines, history), ours)
        if not equal(want, got, 1e-3, 1e-4):
            failed.append((seed, lines, want, got))
        del want, got
        gc.collect(0)
    assert not failed, (len(failed), failed[0])
