"""Pictures of the window: nothing is blank, cut off or covered, and they look as they did, coarsely enough for every version of Qt.

A picture's hash has a bit for each pair of neighbours in a 17 by 16 thumbnail: which of the two is lighter.
"""

import numpy as np
import pyqtgraph as pg
import pytest
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from torchlike_asg.viewer.gui import theme
from torchlike_asg.viewer.protocol import Event

from .windows import discard, node, opened

LOOKS = {
    ("en", "dark"): "299c6390f510f510f910f910f830f832f82afc22e412503007d8a1c860205200",
    ("ru", "light"): "a99d186e0aef0aed07fc07fc07dc074f0659025903ed94c9c22f502293109510",
}
BITS = 256


def look(image):
    small = image.scaled(17, 16, QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, QtCore.Qt.TransformationMode.SmoothTransformation)
    grey = pg.functions.ndarray_from_qimage(small.convertToFormat(QtGui.QImage.Format.Format_Grayscale8)).astype(int)
    return int("".join(map(str, (grey[:, 1:] > grey[:, :-1]).astype(int).ravel())), 2)


@pytest.fixture(params=list(LOOKS), ids="-".join)
def shown(application, request):
    window = opened(application, lang=request.param[0], theme=request.param[1])
    window.resize(1280, 800)
    window.store.apply(Event(80, 8.0, "lr ÷ 10"))
    window.go("node", node(window, "softmax", "GPT.h.1"))
    window.bar.kernels.setChecked(True)
    window.store.changed.add("event")
    for _ in range(6):
        window.follow()
        application.processEvents()
    yield window, request.param
    discard(window)


def test_the_window_looks_as_it_did(shown):
    window, which = shown
    if theme.font_family() != theme.FAMILY:
        pytest.skip("another font has other widths")
    different = (look(window.grab().toImage()) ^ int(LOOKS[which], 16)).bit_count()
    assert different <= 0.12 * BITS


def test_the_picture_repeats(shown):
    window, _ = shown
    assert window.grab().toImage() == window.grab().toImage()


def test_no_part_is_blank(shown):
    window, _ = shown
    parts = (
        window.bar,
        window.canvas,
        window.canvas.minimap,
        window.legend,
        window.inspector,
        window.charts.view,
        window.inspector.formula,
    )
    for part in parts:
        image = part.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB32)
        colors = np.unique(pg.functions.ndarray_from_qimage(image).reshape(-1, 4), axis=0)
        assert len(colors) > 12, part


def test_no_text_is_cut_off(shown):
    """Every line of text has the room that it asks for."""
    window, _ = shown
    for w in window.findChildren(QtWidgets.QWidget):
        if not w.isVisible() or w.objectName().startswith("qt_"):
            continue
        if isinstance(w, QtWidgets.QLabel) and w.text():
            needed = w.heightForWidth(w.width()) if w.wordWrap() else w.sizeHint().height()
            assert w.height() >= needed, w.text()
            if not w.wordWrap():
                assert w.width() >= w.sizeHint().width(), w.text()
        elif isinstance(w, QtWidgets.QAbstractButton) and w.text():
            assert w.width() >= w.minimumSizeHint().width(), w.text()


def test_parts_do_not_cover_each_other(shown):
    window, _ = shown
    groups = [
        [
            window.bar.search,
            window.bar.found,
            window.bar.backward,
            window.bar.update_,
            window.bar.kernels,
            window.bar.heat,
            window.bar.more,
        ],
        [window.charts.legend.itemAt(k).widget() for k in range(window.charts.legend.count())]
        + [window.charts.smooth_label, window.charts.smooth, window.charts.log, window.charts.by_time, window.charts.whole],
        [window.bar, window.canvas, window.legend, window.inspector, window.charts],
    ]
    for parts in groups:
        areas = [QtCore.QRect(w.mapTo(window, QtCore.QPoint(0, 0)), w.size()) for w in parts if w.isVisible()]
        for k, a in enumerate(areas):
            assert window.rect().contains(a)
            assert not any(a.intersects(b) for b in areas[:k])
