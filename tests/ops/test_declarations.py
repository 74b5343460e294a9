"""Every declared operation, by its own samples: rule, gradient, second gradient, expansion, scalar formula, texts."""

import itertools

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import dtypes
from torchlike_asg.asg import gradients, lint, reference
from torchlike_asg.asg.declare import INPUT, REGISTRY, VAR, Sample, declared
from torchlike_asg.asg.node import Node
from torchlike_asg.ops.scalar import evaluate

OPS = list(declared())
assert ours  # importing the package declares the operations


_slots = itertools.count()


def leaf(array, rg):
    d = dtypes.from_numpy(np.asarray(array).dtype)
    n = Node(VAR if rg else INPUT, (), () if rg else (0, next(_slots), ""), np.shape(array), d, rg=rg and d.is_floating_point)
    return n


def value(roots, leaves):
    return reference.evaluate(roots, lambda n: leaves[n])


def samples(op, differentiable=False):
    found = op.samples() if op.samples is not None else []
    return [s for s in found if not differentiable or s.grad]


def build(op, sample, rg=False):
    arrays = [np.asarray(a) for a in sample.operands]
    nodes = [leaf(a, rg and (sample.grad is True or (sample.grad is not False and i in sample.grad))) for i, a in enumerate(arrays)]
    return op(*nodes, *sample.attrs), dict(zip(nodes, arrays, strict=True))


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_is_complete(op):
    assert op.rule is not None and op.ref is not None
    assert op.samples is not None and op.samples(), "every operation has samples"
    assert op.vjp is not None or op.expand is not None or not op.differentiable, "a gradient, an expansion, or none by nature"


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_rule_equals_reference(op):
    for sample in samples(op):
        n, leaves = build(op, sample)
        (out,) = value([n], leaves)
        if op.multi:
            continue
        assert out.shape == tuple(n.shape), sample
        assert out.dtype == n.dtype.compute, sample
        assert lint.lint([n]) >= 1


def numerical(op, sample, seed, which, eps):
    """The gradient of sum(seed * op) by central differences, in float64."""
    arrays = [np.array(a, np.float64) if np.asarray(a).dtype.kind == "f" else np.array(a) for a in sample.operands]
    n, leaves = build(op, Sample(tuple(arrays), sample.attrs))  # reads the arrays themselves, which are moved in place
    moved = arrays[which]
    out = np.zeros_like(moved)
    for i in np.ndindex(out.shape):
        at, total = moved[i], 0.0
        for sign in (1.0, -1.0):
            moved[i] = at + sign * eps
            total += sign * float((value([n], leaves)[0].astype(np.float64) * seed).sum())
        moved[i] = at
        out[i] = total / (2 * eps)
    return out


def double(sample):
    return Sample(
        tuple(np.asarray(a, np.float64) if np.asarray(a).dtype.kind == "f" else a for a in sample.operands), sample.attrs, sample.grad
    )


def differentiated(op, sample):
    n, leaves = build(op, double(sample), rg=True)
    if not n.rg or op.multi:
        return None
    random = np.random.default_rng(0)
    seed = leaf(random.standard_normal(tuple(n.shape)), False)
    leaves[seed] = random.standard_normal(tuple(n.shape))
    return n, leaves, seed


@pytest.mark.parametrize("op", [op for op in OPS if op.differentiable], ids=lambda op: op.name)
def test_gradient_equals_finite_differences(op):
    for sample in samples(op, differentiable=True):
        built = differentiated(op, sample)
        if built is None:
            continue
        n, leaves, seed = built
        sweep = gradients.sweep((n,), (seed,))
        for which, s in enumerate(n.srcs):
            source = [k for k in leaves if k is not seed][which]
            if not source.rg or source not in sweep.gradients or leaves[source].size == 0:
                continue
            assert s.rg
            (got,) = value([sweep.gradients[source]], leaves)
            want = numerical(op, double(sample), leaves[seed], which, 1e-6)
            np.testing.assert_allclose(
                got,
                want,
                rtol=1e-6,
                atol=2e-8 * max(1.0, np.abs(want).max(initial=1.0)),
                err_msg=f"{op.name} operand {which} {sample.attrs}",
            )


@pytest.mark.parametrize("op", [op for op in OPS if op.differentiable], ids=lambda op: op.name)
def test_gradients_have_gradients(op):
    """The gradient of the gradient exists for every operation (its value is checked where its operations are)."""
    for sample in samples(op, differentiable=True):
        built = differentiated(op, sample)
        if built is None:
            continue
        n, leaves, seed = built
        seed_rg = leaf(leaves[seed], True)
        leaves[seed_rg] = leaves[seed]
        first = gradients.sweep((n,), (seed_rg,))
        for _, g in first.leaves:
            if g.rg and g.shape.numel():
                second = gradients.sweep((g,), (gradients.ones(g),))
                values = value([found for _, found in second.leaves], leaves)
                assert all(np.isfinite(v).all() for v in values)


@pytest.mark.parametrize("op", [op for op in OPS if op.expand is not None], ids=lambda op: op.name)
def test_expansion_equals_reference(op):
    for sample in samples(op):
        n, leaves = build(op, sample)
        lint.check_expansion(n)
        want, got = value([n, op.expand(n)], leaves)
        if want.dtype.kind == "f":
            tolerance = 1e-12 if want.dtype == np.float64 else 1e-5
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=op.name)
        else:
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("op", [op for op in OPS if op.scalar is not None], ids=lambda op: op.name)
def test_scalar_formula_equals_reference(op):
    for sample in samples(op):
        arrays = [np.asarray(a) for a in sample.operands]
        n, leaves = build(op, sample)
        (want,) = value([n], leaves)
        prepared = value(n.srcs, leaves)
        with np.errstate(all="ignore"):
            got = np.asarray(evaluate(op.scalar, tuple(prepared), n.attrs)).astype(want.dtype)
        assert len(arrays) >= 1
        np.testing.assert_allclose(np.broadcast_to(got, want.shape), want, rtol=2e-6, atol=1e-12, err_msg=op.name)


def test_registry_names_are_their_keys():
    assert all(name == op.name for name, op in REGISTRY.items())
