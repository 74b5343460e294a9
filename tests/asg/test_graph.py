"""Nodes, interning, text form, verifier, rewriting."""

import math
import sys
import threading

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import dtypes
from torchlike_asg.asg import lint, rewrite, text
from torchlike_asg.asg.declare import REGISTRY, VAR, Op
from torchlike_asg.asg.node import Node, const, weak
from torchlike_asg.errors import GraphError

F32 = dtypes.float32
add, mul, exp = (REGISTRY[n] for n in ("add", "mul", "exp"))


def var(*shape, rg=True):
    return Node(VAR, (), (), shape, F32, rg=rg)


def test_equal_expressions_are_one_node():
    a, b = var(2, 3), var(3)
    assert add(a, b) is add(a, b)
    assert add(a, b) is not add(b, a)
    assert mul(a, weak(2.0)) is mul(a, const(2.0, F32))


def test_literals_are_keyed_by_type_and_bits():
    assert const(0.0, F32) is not const(-0.0, F32)
    assert const(math.nan, F32) is const(math.nan, F32)
    assert const(1, dtypes.int64) is not const(1, F32)
    assert const(True, dtypes.bool_) is not const(1, dtypes.int64)
    x = var(2)
    assert mul(x, weak(0.0)) is not mul(x, weak(-0.0))
    ones = ours.ones(2, dtype=ours.int64)
    assert (ones + 1).dtype is ours.int64 and (ones + 1.0).dtype is ours.float32 and (ones * True).dtype is ours.int64


def test_a_literal_that_does_not_fit_its_type_is_refused():
    with pytest.raises(RuntimeError, match="without overflow"):
        ours.ones(2, dtype=ours.uint8).clamp(max=300)


def test_threads_recording_one_structure_get_one_node():
    leaves = [var(4, 4) for _ in range(20)]
    roots = [None] * 8
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:

        def work(k):
            h = leaves[0]
            for leaf in leaves * 10:
                h = add(mul(h, leaf), leaf)
            roots[k] = h

        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(old)
    assert len({id(r) for r in roots}) == 1


def test_text_reads_back_as_the_same_text():
    x = ours.randn(2, 3, requires_grad=True)
    y = ((x * 2.5 + ours.arange(3)).exp().sum(1, keepdim=True) @ ours.ones(1, 2)).relu()
    (g,) = ours.autograd.grad(y.sum(), x, create_graph=True)
    dumped = text.dump([ours.asg.node_of(t) for t in (y, g)])
    parsed = text.parse(dumped)
    assert text.dump(parsed) == dumped
    assert lint.lint(parsed) > 5


def test_text_of_nothing_known_is_an_error():
    with pytest.raises(GraphError, match="unknown operation"):
        text.parse("%0 = frobnicate() : f32[2]\nreturn %0")


def test_the_verifier_finds_a_wrong_shape():
    n = add(var(2, 3), var(3))
    bad = Node(n.op, n.srcs, n.attrs, (3, 3), F32)
    with pytest.raises(GraphError, match="inferred"):
        lint.lint([bad])
    other = Node(n.op, n.srcs, n.attrs, (2, 3), dtypes.float64)
    with pytest.raises(GraphError, match="inferred"):
        lint.lint([exp(other)])


def test_the_verifier_finds_an_expansion_that_leaves_its_operands():
    outside = var(2)
    op = Op("walks_out", "arithmetic", lambda s: (s.shape, s.dtype), lambda x: x, expand=lambda n: add(n.srcs[0], outside))
    try:
        with pytest.raises(GraphError, match="beyond its operands"):
            lint.check_expansion(op(var(2)))
    finally:
        del REGISTRY["walks_out"]


def test_an_operation_is_declared_once():
    with pytest.raises(ValueError, match="declared twice"):
        Op("add", "arithmetic")
    with pytest.raises(ValueError, match="unknown category"):
        Op("something_else", "no such category")


def test_substitution_rebuilds_only_what_depends_on_the_change():
    a, b, c = var(2), var(2), var(2)
    kept = exp(b)
    root = add(exp(a), kept)
    mapping = {a: c}
    (new,) = rewrite.substitute([root], mapping)
    assert new is add(exp(c), kept)
    assert mapping[kept] is kept


def test_users_lists_readers():
    a = var(2)
    e = exp(a)
    m = mul(e, e)
    assert rewrite.users([a, e, m]) == {a: [e], e: [m], m: []}


@pytest.mark.parametrize("length", [30_000])
def test_a_very_deep_graph_records_differentiates_and_runs(length):
    x = ours.tensor([1.0, 2.0], requires_grad=True)
    y = x
    for _ in range(length):
        y = y * 0.99999
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 0.99999**length, rtol=2e-2)
    np.testing.assert_allclose(y.detach().numpy(), np.array([1.0, 2.0]) * 0.99999**length, rtol=2e-2)


def test_explain_shows_the_graph_after_every_pass(capsys):
    x = ours.randn(3, requires_grad=True)
    shown = ours.asg.explain(lambda t: (t * 1.0 + 0.0 * t).sum(), x)
    assert capsys.readouterr().out.strip() == shown.strip()
    for title in ("recorded", "after identities", "after simplify", "after fold"):
        assert f"=== {title}" in shown
    before, after = shown.split("=== after simplify")
    assert before.count("mul(") > after.split("=== after fold")[0].count("mul(")


def test_export_is_plain_data():
    import json

    x = ours.randn(2, requires_grad=True)
    data = json.loads(json.dumps(ours.asg.export((x * 2).exp())))
    assert [n["op"] for n in data["nodes"]] == ["var", "const", "mul", "exp"]
    assert data["nodes"][data["outputs"][0]]["inputs"] == [2] and data["nodes"][2]["line"] > 0
    assert data["nodes"][0]["kind"] == "parameter" and data["nodes"][3]["shape"] == [2]


def test_stats_count():
    before = ours.asg.stats()
    assert set(before) == {"nodes", "plans", "compiles", "flushes", "cache_hits", "interpreted"}
    x = ours.randn(5)
    (x * 3 - 1).tolist()
    after = ours.asg.stats()
    assert after["flushes"] == before["flushes"] + 1 and after["nodes"] > before["nodes"]
