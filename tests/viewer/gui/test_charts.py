"""The curves under mouse and keys."""

import io

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from torchlike_asg.viewer.gui.charts import held, thin
from torchlike_asg.viewer.protocol import MAGIC, Event, Hello, Scalars, encode, write_frame

Key, Button = QtCore.Qt.Key, QtCore.Qt.MouseButton


@pytest.fixture
def charts(window, application):
    window.store.apply(Scalars("validation", np.asarray([50, 100]), np.asarray([5.0, 10.0]), np.asarray([3.0, 2.0])))
    window.store.apply(Event(80, 8.0, "lr ÷ 10"))
    window.follow()
    settle(application)
    return window.charts


def settle(application):
    for _ in range(4):
        application.processEvents()


def place(charts, x, y):
    """Where a point of the main plot is in the view's viewport."""
    return charts.view.mapFromScene(charts.main.vb.mapViewToScene(QtCore.QPointF(x, y)))


def move(charts, at):
    """The mouse moves there."""
    viewport = charts.view.viewport()
    event = QtGui.QMouseEvent(
        QtCore.QEvent.Type.MouseMove,
        QtCore.QPointF(at),
        QtCore.QPointF(viewport.mapToGlobal(at)),
        Button.NoButton,
        Button.NoButton,
        QtCore.Qt.KeyboardModifier.NoModifier,
    )
    QtWidgets.QApplication.sendEvent(viewport, event)
    charts._proxy.flush()


def test_the_crosshair_reads_all_curves(charts):
    move(charts, place(charts, 100, 2.0))
    assert charts.cross.isVisible()
    assert charts.cross.value() == pytest.approx(100, abs=1.5)
    read = charts.reading.text().splitlines()
    assert read[0].startswith("step ")
    step = int(read[0].split()[1])
    assert f"loss {4 * np.exp(-(step - 1) / 50):.4g}" in read
    assert "validation 2" in read
    inside = charts.view.rect()
    assert inside.contains(charts.reading.geometry())
    QtWidgets.QApplication.sendEvent(charts.view.viewport(), QtCore.QEvent(QtCore.QEvent.Type.Leave))
    assert not charts.cross.isVisible()
    assert charts.reading.isHidden()


def test_the_reading_stays_within_the_view(charts):
    (low, high), (bottom, top) = charts.main.vb.viewRange()
    for x, y in ((high - 1, bottom), (high - 1, top), (low + 1, bottom)):
        move(charts, place(charts, x, y * 0.98 + (bottom + top) / 2 * 0.02))
        if not charts.reading.isHidden():
            assert charts.view.rect().contains(charts.reading.geometry())


def test_the_wheel_zooms_and_fit_goes_back(charts, application):
    before = charts.main.vb.viewRange()[0]
    at = QtCore.QPointF(place(charts, 100, 2.0))
    viewport = charts.view.viewport()
    event = QtGui.QWheelEvent(
        at,
        QtCore.QPointF(viewport.mapToGlobal(at.toPoint())),
        QtCore.QPoint(),
        QtCore.QPoint(0, 480),
        Button.NoButton,
        QtCore.Qt.KeyboardModifier.NoModifier,
        QtCore.Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QtWidgets.QApplication.sendEvent(viewport, event)
    near = charts.main.vb.viewRange()[0]
    assert near[1] - near[0] < 0.8 * (before[1] - before[0])
    assert near[0] < 100 < near[1]
    assert charts.sides["lr"].vb.viewRange()[0] == pytest.approx(near)  # the small plots go along
    QtTest.QTest.mouseClick(charts.whole, Button.LeftButton)
    settle(application)
    after = charts.main.vb.viewRange()[0]
    assert after[0] <= 1
    assert after[1] >= 200


def test_log_and_seconds_are_buttons(charts, application):
    def first(name):
        x, y = charts._lines["", name, "raw"].getData()
        return x[0], y[0]

    assert first("loss") == pytest.approx((1, 4.0))
    QtTest.QTest.mouseClick(charts.log, Button.LeftButton)
    assert first("loss") == pytest.approx((1, np.log10(4.0)))
    assert first("lr") == pytest.approx((1, 1e-3))  # has an axis of its own
    window_shows = charts.main.vb.viewRange()[1]
    settle(application)
    assert window_shows[0] < np.log10(4 * np.exp(-199 / 50)) + 1
    QtTest.QTest.keyClick(charts.by_time, Key.Key_Space)
    assert first("loss") == pytest.approx((0.0, np.log10(4.0)))
    assert charts.main.getAxis("bottom").labelText == "seconds"
    assert charts._markers[0].value() == 8.0
    QtTest.QTest.keyClick(charts.by_time, Key.Key_Space)
    assert charts._markers[0].value() == 80


def test_values_that_have_no_logarithm_are_left_out(charts):
    charts.store.apply(Scalars("margin", np.arange(1, 101), np.arange(100) / 10, np.linspace(-1, 1, 100)))
    charts.log.setChecked(True)
    _, y = charts._lines["", "margin", "raw"].getData()
    assert np.isfinite(y[np.isfinite(y)]).all()
    assert np.nanmax(y) == pytest.approx(0.0)
    charts.log.setChecked(False)


@pytest.mark.parametrize("count", [3, 500])
def test_a_curve_without_a_finite_value_is_no_trouble(charts, application, count):
    charts.store.apply(Scalars("bad", np.arange(1, count + 1), np.arange(count) / 10, np.full(count, np.nan)))
    charts.store.apply(Scalars("worse", np.arange(1, count + 1), np.arange(count) / 10, np.full(count, np.inf)))
    charts.refresh(fit=True)
    settle(application)
    assert not charts.grab().isNull()
    assert "bad NaN" in charts.values_at(2)
    assert "worse ∞" in charts.values_at(2)


def test_a_smoothed_curve_ends_where_the_values_do(charts):
    values = np.ones(300)
    values[200:] = np.nan
    charts.store.apply(Scalars("lost", np.arange(1, 301), np.arange(300) / 10, values))
    charts.refresh()
    _, y = charts._lines["", "lost", "smooth"].getData()
    assert np.isfinite(y[:200]).all()
    assert np.isnan(y[200:]).all()


def test_smoothing_is_a_slider(charts):
    noise = np.random.default_rng(0).normal(size=500)
    charts.store.apply(Scalars("noise", np.arange(1, 501), np.arange(500) / 10, noise))
    charts.refresh()

    def spread():
        return float(np.std(charts._lines["", "noise", "smooth"].getData()[1]))

    before = spread()
    assert before < np.std(noise)
    charts.smooth.setFocus()
    for _ in range(3):
        QtTest.QTest.keyClick(charts.smooth, Key.Key_Right)
    assert spread() < before
    QtTest.QTest.keyClick(charts.smooth, Key.Key_Home)
    assert ("", "noise", "smooth") not in charts._lines


def test_a_click_hides_a_curve_and_another_shows_it(charts):
    buttons = {charts.legend.itemAt(k).widget().property("name"): charts.legend.itemAt(k).widget() for k in range(charts.legend.count())}
    assert list(buttons) == ["loss", "validation"]
    QtTest.QTest.mouseClick(buttons["validation"], Button.LeftButton)
    assert not any(name == "validation" for _, name, _ in charts._lines)
    assert not any("validation" in line for line in charts.values_at(100))
    QtTest.QTest.mouseClick(buttons["validation"], Button.LeftButton)
    assert any(name == "validation" for _, name, _ in charts._lines)


def test_another_run_is_drawn_beside_this_one(window, charts, tmp_path):
    buffer = io.BytesIO()
    buffer.write(MAGIC)
    for message in (Hello(title="before"), Scalars("loss", np.arange(1, 151), np.arange(150) / 10, np.linspace(5, 1, 150))):
        write_frame(buffer, encode(message))
    path = tmp_path / "yesterday.asgtrace"
    path.write_bytes(buffer.getvalue())
    window.overlay(path)
    charts.smooth.setValue(0)
    x, y = charts._lines["yesterday", "loss", "raw"].getData()
    assert (len(x), y[0], y[-1]) == (150, 5.0, 1.0)
    window.store.runs["before"] = window.store.runs["yesterday"]
    charts.refresh()
    pens = [charts._lines[run, "loss", "raw"].opts["pen"] for run in ("", "yesterday", "before")]
    assert pens[0].style() == QtCore.Qt.PenStyle.SolidLine
    assert len({tuple(pen.dashPattern()) for pen in pens}) == 3, "each run has dashes of its own"
    buttons = {b.text(): b for b in (charts.legend.itemAt(k).widget() for k in range(charts.legend.count())) if b.property("run")}
    assert list(buttons) == ["yesterday", "before"]
    assert "yesterday: loss 1" in charts.values_at(150)
    buttons["yesterday"].click()
    assert ("yesterday", "loss", "raw") not in charts._lines
    assert "yesterday: loss 1" not in charts.values_at(150)
    buttons["yesterday"].click()
    window.say.set_language("ru")
    assert ("yesterday", "loss", "raw") in charts._lines
    assert "запуск yesterday: потери 1" in charts.values_at(150)
    path.write_bytes(b"no recording")
    with pytest.raises(ValueError, match="not a recording"):
        window.overlay(path)


def test_without_curves_it_says_what_will_come(charts):
    assert charts.empty.isHidden()
    charts.store.curves.clear()
    charts.refresh()
    assert charts.view.isHidden()
    assert "handle.log" in charts.empty.text()


def test_a_learning_rate_stays_until_it_is_told_anew(charts):
    assert [v.tolist() for v in held(np.asarray([1.0, 50.0]), np.asarray([0.1, 0.01]), 200)] == [[1, 50, 50, 200], [0.1, 0.1, 0.01, 0.01]]
    charts.store.curves.pop("lr")
    charts.store.apply(Scalars("lr", np.asarray([1, 50]), np.asarray([0.1, 5.0]), np.asarray([0.1, 0.01])))
    charts.refresh()
    x, y = charts._lines["", "lr", "raw"].getData()
    assert (x[-1], y[-1]) == (200, 0.01)
    assert y[x < 50].tolist() == [0.1]


def test_thinning_keeps_peaks():
    x = np.arange(100_000.0)
    y = np.zeros(100_000)
    y[54_321] = 7.0
    a, b = thin(x, y, 1000)
    assert len(a) <= 1000
    assert b.max() == 7.0
    assert a[b.argmax()] == 54_321
    assert np.all(np.diff(a) >= 0)


def test_the_first_of_several_losses_goes_on_as_the_first(window, charts):
    before = len(window.store.curves["loss"])
    for name in ("loss 1", "loss 2"):
        window.store.apply(Scalars(name, np.asarray([201]), np.asarray([20.1]), np.asarray([0.5])))
    assert list(window.store.curves) == ["loss 1", "lr", "validation", "loss 2"]
    assert len(window.store.curves["loss 1"]) == before + 1
    window.follow()
    assert "0.5, 0.5" in window.bar.status.text()


def test_small_plots_tell_the_numbers_of_all_their_curves(window, charts):
    for number, rate in ((1, 0.5), (2, 0.25)):
        window.store.apply(Scalars(f"lr {number}", np.asarray([201, 202]), np.asarray([20.1, 20.2]), np.asarray([0.75, rate])))
    window.follow()
    assert charts.sides["lr"].titleLabel.text.endswith("0.5, 0.25")
    assert {told for _, told in charts.sides["lr"].getAxis("left")._tickLevels[0]} == {"0.001", "0.75"}


def test_texts_of_markers_do_not_cover_each_other(window, charts, application):
    for step in (82, 84, 86, 160):
        window.store.apply(Event(step, step / 10, f"at step {step}"))
    window.follow()
    settle(application)
    window.store.changed.add("event")
    window.follow()
    settle(application)
    boxes = [line.label.mapRectToScene(line.label.boundingRect().adjusted(4, 5, -4, -5)) for line in charts._markers]  # without margins
    assert len(boxes) == 5
    assert not any(a.intersects(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_many_curves_do_not_widen_the_window(window, charts, application):
    wide = window.width()
    for k in range(30):
        window.store.apply(Scalars(f"accuracy of class {k}", np.asarray([1, 2]), np.asarray([0.1, 0.2]), np.asarray([0.5, 0.6])))
    window.follow()
    settle(application)
    assert window.width() == wide
    assert charts.minimumSizeHint().width() < 700
    strip = charts.legend.parentWidget().parentWidget().parentWidget()
    wheel = QtGui.QWheelEvent(QtCore.QPointF(5, 5), QtCore.QPointF(5, 5), QtCore.QPoint(), QtCore.QPoint(0, -240), Button.NoButton,
                              QtCore.Qt.KeyboardModifier.NoModifier, QtCore.Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    strip.wheelEvent(wheel)
    assert strip.horizontalScrollBar().value() > 0


def test_what_was_left_out_is_said_and_no_marker(window, charts):
    before = len(window.store.events)
    for text, seconds in (("lost:3", 0.0), ("dropped:2", 0.0), ("lost:4", 8.5), ("lost: nothing", 0.0)):
        window.store.apply(Event(81, seconds, text))
    window.follow()
    assert [e.text for e in window.store.events[before:]] == ["lost:4", "lost: nothing"], "the user's"
    assert "5 points and messages left out" in window.bar.status.text()
