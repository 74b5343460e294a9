"""What a snapshot says about a training step."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.snapshot import KINDS, PHASES, GraphSnapshot

from .models import Tiny, fake_gpt
from .watching import graph_after


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(1)
    model = Tiny()
    return graph_after(model, 4)


def where(graph, **wanted):
    return [i for i in range(len(graph)) if all(graph.text(k, i) == v for k, v in wanted.items())]


def test_operands_come_before_their_users_and_in_order(graph):
    assert (graph.src < graph.dst).all()
    (linear,) = where(graph, op="linear", scope="Tiny.first")
    assert [graph.text("name", i) or graph.text("op", i) for i in graph.inputs(linear)] == ["input", "weight", "bias"]


def test_parameters_are_named_and_stand_in_their_modules(graph):
    names = {f"{graph.text('scope', i)}.{graph.text('name', i)}" for i in range(len(graph)) if KINDS[graph.kind[i]] == "parameter"}
    assert names == {f"Tiny.{m}.{p}" for m in ("first", "norm", "head") for p in ("weight", "bias")}
    assert graph.modules["Tiny.first"] == "Linear"
    (weight,) = where(graph, scope="Tiny.norm", name="weight")
    assert graph.role(weight).key == "norm_scale_layer"
    assert graph.shape(weight) == (8,)


def test_the_three_phases_of_a_step(graph):
    by_phase = {p: {graph.text("op", i) for i in np.flatnonzero(graph.phase == k)} for k, p in enumerate(PHASES)}
    assert {"linear", "gelu", "layer_norm", "cross_entropy"} <= by_phase["forward"]
    assert by_phase["backward"]
    assert all(graph.text("scope", i).startswith("∂") for i in np.flatnonzero(graph.phase == 1))
    assert all(graph.text("scope", i).startswith("optimizer") for i in np.flatnonzero(graph.phase == 2))
    assert {"optimizer.first/weight", "optimizer.head/bias"} <= set(graph.column("scope"))
    (loss,) = np.flatnonzero(graph.output)
    assert graph.text("op", int(loss)) == "cross_entropy"


def test_gradients_lead_back(graph):
    for i in where(graph, op="gelu") + where(graph, scope="Tiny.first", name="weight"):
        g = int(graph.gradient[i])
        assert g >= 0
        assert graph.shape(g) == graph.shape(i)
        assert PHASES[graph.phase[g]] == "backward"


def test_kernels_cover_the_forward_half(graph):
    forward = [
        i for i in np.flatnonzero(graph.phase == 0).tolist() if graph.text("op", i) in ("linear", "gelu", "layer_norm", "cross_entropy")
    ]
    assert (graph.kernel[forward] >= 0).all()
    assert max(graph.kernel) < len(graph.kernel_name)
    fused = graph.kernel[where(graph, op="gelu")[0]]
    assert (graph.kernel == fused).sum() > 1  # with something that stands beside it


def test_literals_stand_in_the_text_of_their_readers(graph):
    assert not where(graph, op="const")
    assert "1e-05" in graph.text("attrs", where(graph, op="layer_norm")[0])


def test_sources_are_the_users_lines(graph):
    (linear,) = where(graph, op="linear", scope="Tiny.head")
    assert graph.text("file", linear).endswith("models.py")


def test_stable_identities_survive_a_longer_graph():
    short, long = fake_gpt(2).stable_ids(), fake_gpt(3).stable_ids()
    assert len(set(long)) == len(long)
    assert set(short) <= set(long)


def test_saved_graphs_come_back(tmp_path):
    graph = fake_gpt(1)
    path = tmp_path / "g.asg.json"
    path.write_text(graph.to_json(), encoding="utf-8")
    back = GraphSnapshot.from_json(path)
    for name, column in graph.columns().items():
        assert np.array_equal(column, getattr(back, name)), name
    with pytest.raises(ValueError, match="not a saved graph"):
        GraphSnapshot.from_json('{"format": "other"}')


def test_a_tensor_has_a_graph_before_anything_runs():
    handle = attach(Tiny()(torch.randn(2, 6)).sum(), window=False)
    handle._settle()
    found = handle._session._snapshot
    handle.detach()
    assert {"linear", "gelu", "sum"} <= set(found.column("op"))
