"""Inference tensors: which tensors are, and what may be done with them, word for word as in PyTorch."""

import copy
import pickle
import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.arena import compact  # noqa: E402
from torchlike_asg.asg.node import COUNTS  # noqa: E402

torch.set_num_threads(1)


class Square:
    """A custom Function of each library that keeps its second argument."""

    def __init__(self, lib):
        class Function(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                ctx.save_for_backward(y)
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g, None

        self.apply = Function.apply


def outcome(run):
    try:
        found = run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(found, tuple):
        return [str(v) for v in found]
    return str(found.tolist()) if hasattr(found, "tolist") else str(found)


def both(run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = run(torch)
        got = run(ours)
    assert got == want
    return want


#: what is made inside the block, from an ordinary tensor `n`, a pending one `p` and a leaf `w`
MADE = {
    "zeros": lambda lib, n, p, w: lib.zeros(3),
    "tensor": lambda lib, n, p, w: lib.tensor([1.0, 2.0, 3.0]),
    "randn": lambda lib, n, p, w: lib.randn(3),
    "from_numpy": lambda lib, n, p, w: lib.from_numpy(n.numpy()),
    "zeros_like": lambda lib, n, p, w: lib.zeros_like(n),
    "a result": lambda lib, n, p, w: n + 1,
    "a result of a leaf": lambda lib, n, p, w: w * 2,
    "clone": lambda lib, n, p, w: n.clone(),
    "a view of a result": lambda lib, n, p, w: (n + 1)[1:],
    "another type": lambda lib, n, p, w: n.double(),
    "a copy of strides": lambda lib, n, p, w: lib.ones(2, 3).t().reshape(-1),
    "a leaf": lambda lib, n, p, w: lib.ones(3, requires_grad=True),
    "a parameter": lambda lib, n, p, w: lib.nn.Parameter(lib.ones(3)),
    "a parameter of an ordinary tensor": lambda lib, n, p, w: lib.nn.Parameter(n),
    "a view": lambda lib, n, p, w: n[1:],
    "a view of a pending result": lambda lib, n, p, w: p.view(3, 1),
    "a view of a leaf": lambda lib, n, p, w: w.view(3),
    "one of several views": lambda lib, n, p, w: n.split(1)[0],
    "expand": lambda lib, n, p, w: n.expand(2, 3),
    "the same": lambda lib, n, p, w: n.contiguous(),
    "the same type": lambda lib, n, p, w: n.to(lib.float32),
    "detach": lambda lib, n, p, w: n.detach(),
    "data": lambda lib, n, p, w: n.data,
    "detach of a leaf": lambda lib, n, p, w: w.detach(),
    "inside an ordinary block": lambda lib, n, p, w: _ordinary(lib, n),
    "in place": lambda lib, n, p, w: n.add_(1),
    "a result, in place": lambda lib, n, p, w: (n + 1).add_(1),
}


def _ordinary(lib, n):
    with lib.inference_mode(False):
        return n + 1


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("case", MADE)
def test_what_is_made(case, read):
    """`read`: whether the values are computed inside the block."""

    def run(lib):
        n, w = lib.ones(3), lib.ones(3, requires_grad=True)
        p = n * 3
        with lib.inference_mode():
            made = MADE[case](lib, n, p, w)
            inside = [made.is_inference(), made.requires_grad]
            if read:
                made.tolist()
            inside.append(made.is_inference())
        outside = [made.is_inference(), lib.is_inference(made), made.requires_grad]
        outside += [view.is_inference() for view in (made[:1], made.detach(), made.data, made.clone(), made + 1)]
        return inside, outside, [t.is_inference() for t in (n, w, p)], outcome(lambda: made._version)

    both(run)


#: what is done outside the block with what was made in it: a result `a`, a view `v` of it, indices `i`, a mask `m`, a leaf `p`; and with an
#: ordinary leaf `w`
USED = {
    "version": lambda lib, a, v, i, m, p, w: a._version,
    "add_": lambda lib, a, v, i, m, p, w: a.add_(1),
    "fill_": lambda lib, a, v, i, m, p, w: a.fill_(1),
    "normal_": lambda lib, a, v, i, m, p, w: a.clone().normal_() is None or a.normal_(),
    "assignment": lambda lib, a, v, i, m, p, w: a.__setitem__(0, 1.0),
    "a view's add_": lambda lib, a, v, i, m, p, w: v.add_(1),
    "a new view's add_": lambda lib, a, v, i, m, p, w: a[1:].add_(1),
    "under no_grad": lambda lib, a, v, i, m, p, w: _without(lib, lambda: a.mul_(2)),
    "out=": lambda lib, a, v, i, m, p, w: lib.add(w.detach(), 1, out=a),
    "resize_": lambda lib, a, v, i, m, p, w: a.resize_(5),
    "set_": lambda lib, a, v, i, m, p, w: a.set_(lib.ones(2)),
    "t_": lambda lib, a, v, i, m, p, w: a.t_(),
    "unsqueeze_": lambda lib, a, v, i, m, p, w: a.unsqueeze_(0),
    "data.add_": lambda lib, a, v, i, m, p, w: (a.data.add_(1), a),
    "detach().add_": lambda lib, a, v, i, m, p, w: (a.detach().add_(1), a),
    "inside again": lambda lib, a, v, i, m, p, w: _inside(lib, lambda: a.add_(1)),
    "into another": lambda lib, a, v, i, m, p, w: lib.zeros(3).copy_(a).is_inference(),
    "into an element": lambda lib, a, v, i, m, p, w: lib.zeros(3).__setitem__(0, a[0]),
    "requires_grad_": lambda lib, a, v, i, m, p, w: a.requires_grad_(),
    "requires_grad_(False)": lambda lib, a, v, i, m, p, w: a.requires_grad_(False).is_inference(),
    "requires_grad": lambda lib, a, v, i, m, p, w: setattr(a, "requires_grad", True),
    "a leaf's requires_grad_": lambda lib, a, v, i, m, p, w: p.requires_grad_(),
    "Parameter": lambda lib, a, v, i, m, p, w: lib.nn.Parameter(a),
    "Parameter without": lambda lib, a, v, i, m, p, w: lib.nn.Parameter(a, requires_grad=False).is_inference(),
    "Parameter of a clone": lambda lib, a, v, i, m, p, w: lib.nn.Parameter(a.clone()).is_inference(),
    "w.data =": lambda lib, a, v, i, m, p, w: (setattr(w, "data", a), w.requires_grad),
    "sum": lambda lib, a, v, i, m, p, w: (w + a).requires_grad,
    "difference": lambda lib, a, v, i, m, p, w: (w - a).requires_grad,
    "product": lambda lib, a, v, i, m, p, w: w * a,
    "product with a view": lambda lib, a, v, i, m, p, w: w[1:] * v,
    "product with a new view": lambda lib, a, v, i, m, p, w: w * a[0],
    "product with an alias": lambda lib, a, v, i, m, p, w: w * a.detach(),
    "product with what follows": lambda lib, a, v, i, m, p, w: (w * (a + 1)).requires_grad,
    "product without": lambda lib, a, v, i, m, p, w: (w.detach() * a).is_inference(),
    "product under no_grad": lambda lib, a, v, i, m, p, w: _without(lib, lambda: w * a),
    "product with a leaf": lambda lib, a, v, i, m, p, w: lib.nn.functional.linear(
        w.view(1, 3), lib.inference_mode()(lambda: lib.nn.Linear(3, 1))().weight
    ),
    "quotient": lambda lib, a, v, i, m, p, w: w / a,
    "divisor": lambda lib, a, v, i, m, p, w: a / w,
    "power": lambda lib, a, v, i, m, p, w: w**a,
    "exponent": lambda lib, a, v, i, m, p, w: a**w,
    "maximum": lambda lib, a, v, i, m, p, w: lib.maximum(w, a),
    "lerp": lambda lib, a, v, i, m, p, w: lib.lerp(w, lib.ones(3), a),
    "matmul": lambda lib, a, v, i, m, p, w: w @ a,
    "linear": lambda lib, a, v, i, m, p, w: lib.nn.Linear(3, 2)(a),
    "conv": lambda lib, a, v, i, m, p, w: lib.nn.Conv1d(1, 1, 1)(a.view(1, 1, 3)),
    "layer_norm": lambda lib, a, v, i, m, p, w: lib.nn.LayerNorm(3)(a),
    "mse_loss": lambda lib, a, v, i, m, p, w: lib.nn.functional.mse_loss(w, a),
    "cross_entropy": lambda lib, a, v, i, m, p, w: lib.nn.functional.cross_entropy(w.view(1, 3).expand(2, 3), i),
    "embedding": lambda lib, a, v, i, m, p, w: lib.nn.Embedding(3, 2)(i),
    "indices": lambda lib, a, v, i, m, p, w: w[i],
    "gather": lambda lib, a, v, i, m, p, w: w.gather(0, i),
    "index_select": lambda lib, a, v, i, m, p, w: w.index_select(0, i),
    "where": lambda lib, a, v, i, m, p, w: lib.where(m, w, a),
    "where, of both": lambda lib, a, v, i, m, p, w: lib.where(lib.tensor([True, False, True]), w, a).requires_grad,
    "masked_fill": lambda lib, a, v, i, m, p, w: w.masked_fill(m, 0.0),
    "cat": lambda lib, a, v, i, m, p, w: lib.cat([w, a]).requires_grad,
    "a custom Function": lambda lib, a, v, i, m, p, w: Square(lib).apply(w, a),
    "as a gradient": lambda lib, a, v, i, m, p, w: ((w * 2).backward(a), w.grad.is_inference()),
    "deepcopy": lambda lib, a, v, i, m, p, w: copy.deepcopy(a).is_inference(),
    "pickle": lambda lib, a, v, i, m, p, w: pickle.loads(pickle.dumps(a)).is_inference(),
    "numpy": lambda lib, a, v, i, m, p, w: a.numpy(),
    "the same type": lambda lib, a, v, i, m, p, w: a.to(lib.float32).is_inference(),
    "another type": lambda lib, a, v, i, m, p, w: a.double().is_inference(),
}


def _without(lib, run):
    with lib.no_grad():
        return run()


def _inside(lib, run):
    with lib.inference_mode():
        return run()


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("case", USED)
def test_what_may_be_done(case, read):
    """Without the expressions of other tests: one that `no_grad` let be recorded is not refused when it comes again."""
    compact(everything=True)

    def run(lib):
        with lib.inference_mode():
            a = lib.ones(3) * 2
            v, i, m, p = a[1:], lib.tensor([0, 1]), a > 1, lib.ones(3, requires_grad=True)
            if read:
                a.tolist()
        w = lib.ones(3, requires_grad=True)
        return outcome(lambda: USED[case](lib, a, v, i, m, p, w))

    both(run)


#: views made in inference mode of ordinary tensors, and what is done with them outside
VIEWED = {
    "add_ of data": lambda lib, w, n, v, u: u.add_(1),
    "add_ of a tracked tensor": lambda lib, w, n, v, u: u.mul_(w),
    "add_ of a leaf's view": lambda lib, w, n, v, u: v.add_(1),
    "under no_grad": lambda lib, w, n, v, u: _without(lib, lambda: v.add_(1)) is v,
    "use": lambda lib, w, n, v, u: (v * 2).tolist(),
    "use after a write": lambda lib, w, n, v, u: (_without(lib, lambda: w.add_(1)) is w, v * w),
    "the base": lambda lib, w, n, v, u: (n.mul_(w), u.requires_grad),
}


@pytest.mark.parametrize("case", VIEWED)
def test_views_of_ordinary_tensors(case):
    def run(lib):
        w, n = lib.ones(3, requires_grad=True), lib.ones(3)
        with lib.inference_mode():
            v, u = w.view(3), n.view(3)
        return outcome(lambda: VIEWED[case](lib, w, n, v, u))

    both(run)


def test_the_modes():
    def run(lib):
        said = []

        def note():
            said.append((lib.is_grad_enabled(), lib.is_inference_mode_enabled(), (w * 2).requires_grad, (w * 2).is_inference()))

        w = lib.ones(3, requires_grad=True)
        with lib.inference_mode():
            note()
            with lib.enable_grad():
                note()
                with lib.no_grad():
                    note()
            with lib.set_grad_enabled(True):
                note()
            with lib.inference_mode(False):
                note()
                with lib.no_grad():
                    note()
                    with lib.inference_mode():
                        note()
            note()
            with lib.inference_mode():
                note()
            note()
        note()
        with lib.no_grad(), lib.inference_mode(False):
            note()

        @lib.inference_mode()
        def decorated():
            note()

        @lib.inference_mode
        def plainly():
            note()
            return w * 2

        decorated()
        said.append(plainly().is_inference())
        note()
        return said

    both(run)


def test_a_step_recorded_for_an_ordinary_tensor_does_not_admit_an_inference_tensor():
    """The product has the same operands in the graph both times, but for where they were made."""
    w, x = ours.ones(3, requires_grad=True), ours.ones(3)
    for _ in range(3):
        features = x + 1
        (w * features).sum().backward()
        with ours.inference_mode():
            features = x + 1
        with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
            w * features
        assert w.grad.tolist() == [2.0, 2.0, 2.0]
        w.grad = None


def test_an_evaluation_loop_records_nothing_new():
    """Results that leave the block as they are, results that are read in it, and a cache that is written in every block."""
    model = ours.nn.Sequential(ours.nn.Linear(4, 8), ours.nn.ReLU(), ours.nn.Linear(8, 2))
    x = ours.randn(3, 4)
    with ours.inference_mode():
        cache = ours.zeros(1, 2)
    counts = []
    for _ in range(12):
        with ours.inference_mode():
            y = model(x)
            cache[0] = y[0]
        first = y.argmax(1).tolist()
        with ours.inference_mode():
            assert model(x).argmax(1).tolist() == first
        counts.append(COUNTS["nodes"])
    assert counts[-1] == counts[-4], counts
    assert cache[0].tolist() == y[0].tolist()
