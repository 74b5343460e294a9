"""Small kernels for tests of the runtime."""

from torchlike_asg.backends.cpu.calls import Call, Kernel, Source


def _combine(module, name):
    """z[i] = 2 * x[i] + y[i]; `z` may be `x` or `y`."""
    k = Kernel(module, name, 3)
    f = k.f
    lo, hi, _ = k.rest
    x, y, z = (k.operand(n) for n in range(3))
    with f.loop(lo, hi) as i:
        a, b = (f.load("double", f.gep(p, i, "double")) for p in (x, y))
        f.store(f.fma(a, 2.0, b), f.gep(z, i, "double"))


def _check(module, name):
    """Fails if an element is negative."""
    k = Kernel(module, name, 1)
    lo, hi, _ = k.rest
    x = k.operand(0)
    with k.f.loop(lo, hi) as i, k.f.when(k.f.load("double", k.f.gep(x, i, "double")) < 0.0):
        k.fail()


def _scratch(module, name):
    """y[i] = the number in scratch, after x[i] was put there."""
    k = Kernel(module, name, 2)
    f = k.f
    lo, hi, scratch = k.rest
    x, y = k.operand(0), k.operand(1)
    with f.loop(lo, hi) as i:
        at = f.gep(scratch, i % 1000, "double")
        f.store(f.load("double", f.gep(x, i, "double")), at)
        f.store(f.load("double", at), f.gep(y, i, "double"))


COMBINE, CHECK, SCRATCH = Source(("test_combine",), _combine), Source(("test_check",), _check), Source(("test_scratch",), _scratch)
#: an estimate that makes a call worth several threads, and one that does not
LARGE, SMALL = 1e5, 5e3


def combine(x, y, z, n, cost=SMALL):
    return Call(COMBINE, ((x, 0), (y, 0), (z, 0)), (), tuple({x, y}), (z,), units=n, cost=cost)


def check(x, n, cost=SMALL):
    return Call(CHECK, ((x, 0),), (), (x,), (), units=n, cost=cost)


def through_scratch(x, y, n, cost=SMALL):
    return Call(SCRATCH, ((x, 0), (y, 0)), (), (x,), (y,), units=n, cost=cost, scratch=8000)
