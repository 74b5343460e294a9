"""The panel that explains what is selected, and its numbers."""

import numpy as np
import pytest

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.gui.say import Say
from torchlike_asg.viewer.protocol import Code, Timing

from .windows import node, stats


def test_a_selected_node_is_explained(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    inspector = window.inspector
    assert inspector.title.text() == catalog.text("op.softmax.title")
    assert catalog.text("op.softmax.what") in inspector.what.text()
    assert catalog.text("op.softmax.why") in inspector.why.text()
    assert "∑" in inspector.formula.text
    assert "href" in inspector.details.text()


def test_an_operation_without_a_text_says_so(window, monkeypatch):
    monkeypatch.setattr(window.say, "op", lambda name, part: None)
    window.go("node", node(window, "softmax", "GPT.h.1"))
    assert "softmax" in window.inspector.what.text()
    assert "no description" in window.inspector.what.text()
    assert not window.inspector.formula.isVisible()


def test_a_class_that_failed_before_its_result_was_recorded_says_so(window, monkeypatch):
    softmax = node(window, "softmax", "GPT.h.1")
    monkeypatch.setattr(window.say, "op", lambda name, part: None)
    categories = [*window.model.categories]
    categories[softmax] = "error"
    monkeypatch.setattr(window.model, "categories", categories)
    window.go("node", softmax)
    assert "made of several operations" in window.inspector.what.text()
    assert not window.inspector.sections["why"].isVisible()


def test_links_lead_to_operands(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    (operand,) = window.model.graph.inputs(softmax)
    assert f'href="node:{operand}"' in window.inspector.details.text()
    window.inspector._follow(f"node:{operand}")
    assert window.canvas.selection == ("node", operand)


def test_live_numbers_arrive(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    assert window.inspector.numbers.cells["value", 0].text() == "–"
    for step in range(3):
        window.store.apply(stats([softmax], step, scale=step + 1.0))
    window.store.apply(stats([softmax], 2, "gradient", 0.1))
    window.store.apply(Timing(1, 2, np.asarray([window.model.graph.kernel[softmax]], np.int32), np.asarray([250.0], np.float32)))
    window.follow()
    cells = window.inspector.numbers.cells
    assert cells["value", 0].text() == "1.5"
    assert cells["gradient", 1].text() == "0.1"
    assert "250" in window.inspector.cost.text()
    assert len(window.inspector.numbers.histogram.looks) == 3
    assert not window.inspector.numbers.histogram.grab().isNull()


def test_a_group_sums_its_kernels_once(window):
    group = window.model.tree.by_path["GPT.h.0.mlp"]
    nodes = window.model.nodes_in(group)
    kernels = {int(k) for k in window.model.graph.kernel[nodes] if k >= 0}
    window.store.apply(Timing(1, 2, np.asarray(sorted(kernels), np.int32), np.full(len(kernels), 10.0, np.float32)))
    assert window.store.times(nodes) == 10.0 * len(kernels) < 10.0 * len(nodes)
    window.go("group", group)
    assert "MLP" in window.inspector.subtitle.text()


def test_the_code_of_a_kernel_is_fetched_once(window, sent):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    window.inspector.code.emit(softmax)
    kernel = int(window.model.graph.kernel[softmax])
    assert sent[-1].kernel == kernel
    window.store.apply(Code(1, kernel, "LLVM IR", "define void @softmax()"))
    window.follow()
    assert "define void @softmax" in window.code.view.text.toPlainText()
    count = len(sent)
    window.inspector.code.emit(softmax)
    assert len(sent) == count
    window.code.view.close()


def test_a_histogram_is_spoken_of_where_there_is_one(window):
    softmax = node(window, "softmax", "GPT.h.1")
    window.go("node", softmax)
    bare = stats([softmax])
    bare.counts, bare.ranges = np.zeros((1, 32), np.uint32), np.zeros((1, 2), np.float32)
    for message, told in ((bare, "Step 5."), (stats([softmax], 6), "Step 6. Histogram of the elements.")):
        window.store.apply(message)
        window.follow()
        assert window.inspector.numbers.caption.text() == told
    window.store.apply(stats([softmax], 7))
    window.follow()
    assert "below it earlier steps" in window.inspector.numbers.caption.text()
    loss = node(window, "cross_entropy")
    window.go("node", loss)
    single = stats([loss], 8)
    single.counts = np.eye(1, 32, 16, dtype=np.uint32)
    window.store.apply(single)
    window.follow()
    assert window.inspector.numbers.caption.text() == "Step 8."
    assert window.inspector.numbers.histogram.height() == 0


def test_symbols_of_a_formula_are_explained(window):
    window.go("node", node(window, "softmax", "GPT.h.1"))
    assert "all classes" in window.inspector.symbols.text()
    window.say.set_language("ru")
    assert "все классы" in window.inspector.symbols.text()


@pytest.mark.parametrize(("us", "told"), [(0.5, "0.5 µs"), (999.4, "999 µs"), (999.6, "1 ms"), (1e6, "1 s"), (2.5e9, "2500 s")])
def test_durations_have_three_digits(us, told):
    assert Say("en").duration(us) == told


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (999, "999 B"), (1023, "0.999 KiB"), (1536, "1.5 KiB"), (2**40, "1.02e+03 GiB")])
def test_amounts_have_three_digits(count, told):
    assert Say("en").amount(count) == told
