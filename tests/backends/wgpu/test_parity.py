"""Every declared operation on its samples, forward and gradient, as whole plans on the device against the NumPy references.

The graphs of some operations are computed together, in one plan: what costs time on a software adapter is compiling shaders, which are
shared.
"""

import itertools
import warnings

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import dtypes
from torchlike_asg.asg import gradients, reference
from torchlike_asg.asg.declare import INPUT, VAR, declared
from torchlike_asg.asg.node import Node
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends import base
from torchlike_asg.compiler.pipeline import optimise
from torchlike_asg.errors import ReferenceWarning

from .harness import device

assert ours  # importing the package declares the operations
OPS = sorted((op for op in declared() if op.samples is not None and not op.multi), key=lambda op: op.name)
_slots = itertools.count(50_000)
#: operations of one plan
TOGETHER = 12
#: what NumPy computes for the device: nothing but matrix decompositions, Fourier transforms and complex numbers, once all kernels exist
GROUPS = [OPS[i : i + TOGETHER] for i in range(0, len(OPS), TOGETHER)]


class Case:
    """One sample: its forward value and its gradients."""

    def __init__(self, op, number, sample):
        self.label = f"{op.name} sample {number} {sample.attrs}"
        self.values: dict[Node, np.ndarray] = {}
        nodes = []
        for i, a in enumerate(map(single, sample.operands)):
            wanted = sample.grad is True or (sample.grad is not False and i in sample.grad)
            nodes.append(self.leaf(a, wanted and a.dtype.kind == "f"))
        n = op(*nodes, *sample.attrs)
        self.roots = [n]
        if n.rg and op.differentiable and n.dtype.is_floating_point and n.numel:
            seed = self.leaf(np.random.default_rng(number).standard_normal(tuple(n.shape)).astype(n.dtype.compute), False)
            found = gradients.sweep((n,), (seed,)).gradients
            self.roots += [found[s] for s in nodes if s.rg and s in found]

    def leaf(self, a, rg):
        d = dtypes.from_numpy(a.dtype)
        n = Node(VAR if rg else INPUT, (), () if rg else (0, next(_slots), ""), a.shape, d, rg=rg)
        self.values[n] = a
        return n


def single(a):
    """The widest types that shaders have."""
    a = np.asarray(a)
    return a.astype({"float64": np.float32, "complex128": np.complex64}.get(a.dtype.name, a.dtype))


def supported(case):
    return all(n.dtype not in (dtypes.float64, dtypes.complex128) for n in topo(case.roots, {}))


@pytest.mark.parametrize("ops", GROUPS, ids=lambda ops: f"{ops[0].name}..{ops[-1].name}")
def test_forward_and_gradient(ops):
    device()
    cases = [c for op in ops for number, sample in enumerate(op.samples()) if supported(c := Case(op, number, sample))]
    roots = [r for c in cases for r in c.roots]
    values = {n: a for c in cases for n, a in c.values.items()}
    with np.errstate(all="ignore"):
        want = reference.evaluate(roots, lambda n: values[n])
    stripped = optimise(roots, {})
    places = {n: i for i, n in enumerate(dict.fromkeys(stripped))}
    arguments = [n for n in topo(stripped, {}) if n in values]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWarning)
        executable = base.get("wgpu").program(tuple(places), {}, topo(stripped, {}), arguments, [tuple(n.strides) for n in arguments], ())
        executable.run([values[n] for n in arguments])
    found = [np.asarray(v) for v in executable.outputs()]
    got = [found[places[r]] for r in stripped]
    label = [f"{c.label} {'gradient' if i else 'forward'}" for c in cases for i in range(len(c.roots))]
    wrong = [text for args in zip(label, roots, got, want, strict=True) if (text := difference(*args))]
    assert not wrong, "\n".join(wrong)


def difference(label, n, got, want):
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{label}: {got.shape} {got.dtype} for {want.shape} {want.dtype}"
    if want.dtype.kind not in "fc":
        return "" if np.array_equal(got, want) else f"{label}: {np.count_nonzero(got != want)} of {want.size} differ"
    finite = np.isfinite(want)
    if not np.array_equal(np.isnan(got), np.isnan(want)) or not np.array_equal(got[np.isinf(want)], want[np.isinf(want)]):
        return f"{label}: NaN or infinity elsewhere: {got.ravel()[:6]} for {want.ravel()[:6]}"
    scale = np.abs(want[finite]).max(initial=0.1)
    rounding = {dtypes.float16: 2e-3, dtypes.bfloat16: 1.6e-2}.get(n.dtype, 1e-5)
    error = np.abs(got[finite].astype(want.dtype) - want[finite]).max(initial=0.0) / scale
    return "" if error <= rounding else f"{label}: off by {error:.2e} of {scale:.3g}"
