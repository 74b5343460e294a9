"""What is exported can be opened by others: parsed here, or read by Qt."""

import base64
import json
import re
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from pyqtgraph.Qt import QtGui

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.gui import export
from torchlike_asg.viewer.gui.app import load
from torchlike_asg.viewer.gui.store import Store

from .windows import node, stats

SVG = "{http://www.w3.org/2000/svg}"


def saved(window, tmp_path, ending):
    path = tmp_path / f"граф.{ending}"
    assert window.export(path)
    return path


def test_svg_has_the_titles_as_text_and_the_scene_as_its_view(window, tmp_path):
    root = ET.parse(saved(window, tmp_path, "svg")).getroot()
    assert root.tag == f"{SVG}svg"
    words = {"".join(e.itertext()).strip() for e in root.iter(f"{SVG}text")}
    assert "⊗ Embedding" in words
    assert {w for w in words if w.startswith("▾ ")} >= {"▾ GPT", "▾ wte"}
    view = [float(v) for v in root.get("viewBox").split()]
    assert view[2:] == pytest.approx(export.size(window.canvas), abs=1.0)
    drawn = sum(1 for e in root.iter() if e.tag in (f"{SVG}path", f"{SVG}polyline", f"{SVG}polygon", f"{SVG}rect"))
    assert drawn > len(window.canvas.scene.boxes)


def test_png_is_an_image_of_twice_the_size(window, tmp_path):
    image = QtGui.QImage(str(saved(window, tmp_path, "png")))
    width, height = export.size(window.canvas)
    assert (image.width(), image.height()) == (int(2 * width), int(2 * height))
    box = window.canvas.scene.boxes[window.canvas._index["node", node(window, "embedding")]]
    inside = image.pixelColor(int(2 * (box.x + box.w / 2 + export.MARGIN)), int(2 * (box.y + 3 + export.MARGIN)))
    assert inside.name() != window.colors.background.lower()
    assert image.pixelColor(2, 2).name() == window.colors.background.lower()


def test_pdf_is_one_page_of_the_scenes_size(window, tmp_path):
    data = saved(window, tmp_path, "pdf").read_bytes()
    assert data.startswith(b"%PDF-1.")
    assert data.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1
    box = [float(v) for v in re.search(rb"/MediaBox\s*\[([^\]]*)\]", data).group(1).split()]
    assert box[2:] == pytest.approx(export.size(window.canvas), abs=2.0)
    streams = [zlib.decompress(s) for s in re.findall(rb"/FlateDecode.*?stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)]
    assert max(s.count(b"\n") for s in streams) > 500  # the page's drawing
    assert b"DejaVu" in data  # text is text, with its font


class Page(HTMLParser):
    """Checks that tags close in order, and keeps texts and images."""

    VOID = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.images, self.seen = [], [], [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_the_report_is_whole_and_needs_nothing_else(window, tmp_path, lang):
    window.store.apply(stats([node(window, "var", "GPT.h.0")]))
    window.say.set_language(lang)
    text = saved(window, tmp_path, "html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert not page.open
    assert "script" not in page.seen
    assert page.seen >= {"svg", "math", "table", "img"}
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", text)
    (image,) = page.images
    kind, _, data = image["src"].partition("base64,")
    assert kind == "data:image/png;"
    assert not QtGui.QImage.fromData(base64.b64decode(data)).isNull()
    told = " ".join(page.texts)
    for op in ("softmax", "gelu", "layer_norm"):
        assert catalog.text(f"op.{op}.what", lang) in told
    assert catalog.text("ui.viewer.report.parameters", lang) in told
    assert "GPT.h.0.attn.q.weight" in told
    assert "0.5 ± 1" in told


def test_the_graph_as_data_comes_back_the_same(window, tmp_path):
    path = saved(window, tmp_path, "asg.json")
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == "asg-graph 1"
    again = Store()
    load(path, again)
    before, after = window.store.graph.columns(), again.graph.columns()
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert np.array_equal(value, after[name]) if isinstance(value, np.ndarray) else value == after[name], name


def test_dot_has_every_node_edge_and_scope(window, tmp_path):
    text = saved(window, tmp_path, "dot").read_text(encoding="utf-8")
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    assert '"' not in bare.replace('""', "")
    depth = np.cumsum([{"{": 1, "}": -1}.get(c, 0) for c in bare])
    assert depth.min() >= 0
    assert depth[-1] == 0
    graph = window.model.graph
    assert re.findall(r"^ *n(\d+) \[", bare, re.MULTILINE).__len__() == len(graph)
    edges = [(int(a), int(b)) for a, b in re.findall(r"^ *n(\d+) -> n(\d+);", bare, re.MULTILINE)]
    assert edges == list(zip(graph.src.tolist(), graph.dst.tolist(), strict=True))
    assert bare.count("subgraph cluster_") == len(window.model.tree.groups) - 1


def test_what_cannot_be_written_is_said(window, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("pyqtgraph.Qt.QtWidgets.QMessageBox.warning", lambda *a: said.append(a[2]))
    assert not window.export(tmp_path / "nowhere" / "x.dot")
    assert not window.export(tmp_path / "x.unknown")
    window.say.set_language("ru")
    for ending in export.FORMATS:
        assert not window.export(tmp_path / "nowhere" / f"x.{ending}")
        assert said.pop().endswith("нет такого файла или папки")
    assert len(said) == 2
    assert str(tmp_path / "x.unknown") in said[1]
    assert "svg, png" in said[1]
    assert not list(tmp_path.iterdir())


def test_marks_that_mean_something_are_exported_and_the_selection_is_not(window, tmp_path):
    window.go("node", node(window, "softmax", "GPT.h.0"))
    window.bar.search.setText("softmax")
    window.bar.kernels.setChecked(True)
    image = export.to_image(window.canvas, 1.0)
    names = {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
    assert window.colors.selection.lower() not in names
    assert window.colors.match.lower() not in names
    window.bar.kernels.setChecked(False)
    assert export.to_image(window.canvas, 1.0) != image
