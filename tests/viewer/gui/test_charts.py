"""The curves under mouse and keys."""

import io

import numpy as np
import pytest
from pyqtgraph.Qt import QtCore, QtGui, QtTest, QtWidgets

from torchlike_asg.viewer.gui.plot import held
from torchlike_asg.viewer.gui.series import Series, smoothed, thin
from torchlike_asg.viewer.gui.ticks import decades, linear
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


def mouse(plot, kind, at, button=Button.NoButton):
    held = button if kind == QtCore.QEvent.Type.MouseMove else Button.NoButton
    event = QtGui.QMouseEvent(kind, at, plot.mapToGlobal(at), button, held, QtCore.Qt.KeyboardModifier.NoModifier)
    QtWidgets.QApplication.sendEvent(plot, event)


def move(charts, at):
    """The mouse moves there, in the main plot."""
    mouse(charts.main, QtCore.QEvent.Type.MouseMove, at)


def turn(plot, at, by=480):
    """The wheel is turned there."""
    event = QtGui.QWheelEvent(at, plot.mapToGlobal(at), QtCore.QPoint(), QtCore.QPoint(0, by), Button.NoButton,
                              QtCore.Qt.KeyboardModifier.NoModifier, QtCore.Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QtWidgets.QApplication.sendEvent(plot, event)


def data(charts, name, which="raw", run=""):
    plot = next(p for p in (charts.main, *charts.sides.values()) if (run, name, which) in p.lines)
    return plot.lines[run, name, which].series


def test_the_crosshair_reads_all_curves(charts):
    move(charts, charts.main.place(100, 2.0))
    assert charts.main.cross == pytest.approx(100, abs=1.5)
    read = charts.reading.text().splitlines()
    assert read[0].startswith("step ")
    step = int(read[0].split()[1])
    assert f"loss {4 * np.exp(-(step - 1) / 50):.4g}" in read
    assert "validation 2" in read
    inside = charts.view.rect()
    assert inside.contains(charts.reading.geometry())
    QtWidgets.QApplication.sendEvent(charts.main, QtCore.QEvent(QtCore.QEvent.Type.Leave))
    assert charts.main.cross is None
    assert charts.reading.isHidden()


def test_the_reading_stays_within_the_view(charts):
    area = charts.main.area()
    for at in (area.bottomRight(), area.topRight(), area.bottomLeft()):
        move(charts, at + (area.center() - at) * 0.01)
        assert not charts.reading.isHidden()
        assert charts.view.rect().contains(charts.reading.geometry())


def test_the_wheel_zooms_and_fit_goes_back(charts):
    before = charts.main.x
    turn(charts.main, charts.main.place(100, 2.0))
    near = charts.main.x
    assert near[1] - near[0] < 0.8 * (before[1] - before[0])
    assert near[0] < 100 < near[1]
    assert charts.main.value_at(charts.main.place(100, 2.0))[0] == pytest.approx(100)
    assert charts.sides["lr"].x == near, "the small plots go along"
    charts.refresh()
    assert charts.main.x == near, "new points do not take the view away"
    QtTest.QTest.mouseClick(charts.whole, Button.LeftButton)
    assert charts.main.x[0] <= 1
    assert charts.main.x[1] >= 200


def test_over_an_axis_the_wheel_zooms_along_it(charts):
    x, y, area = charts.main.x, charts.main.y, charts.main.area()
    turn(charts.main, QtCore.QPointF(area.left() - 20, area.center().y()))
    assert charts.main.x == x
    assert charts.main.y != y
    y = charts.main.y
    turn(charts.main, QtCore.QPointF(area.center().x(), area.bottom() + 10))
    assert charts.main.x != x
    assert charts.main.y == y


def test_a_drag_moves_the_curves_and_a_double_click_shows_all(charts):
    kinds, (before, height) = QtCore.QEvent.Type, (charts.main.x, charts.main.y)
    at = charts.main.place(100, 2.0)
    mouse(charts.main, kinds.MouseButtonPress, at, Button.LeftButton)
    mouse(charts.main, kinds.MouseMove, at + QtCore.QPointF(40, 10), Button.LeftButton)
    mouse(charts.main, kinds.MouseButtonRelease, at + QtCore.QPointF(40, 10), Button.LeftButton)
    assert charts.main.place(100, 2.0).x() == pytest.approx(at.x() + 40)
    assert charts.main.place(100, 2.0).y() == pytest.approx(at.y() + 10)
    assert charts.sides["lr"].x == charts.main.x
    mouse(charts.main, kinds.MouseButtonDblClick, at, Button.LeftButton)
    assert charts.main.x == pytest.approx(before)
    assert charts.main.y == pytest.approx(height)


def test_log_and_seconds_are_buttons(charts):
    def first(name):
        series = data(charts, name)
        return series.x[0], series.y[0]

    assert first("loss") == pytest.approx((1, 4.0))
    before = charts.main.y
    QtTest.QTest.mouseClick(charts.log, Button.LeftButton)
    assert charts.main.log
    assert charts.main.y[0] < np.log10(4 * np.exp(-199 / 50)) < np.log10(4) < charts.main.y[1] < before[1]
    assert "1" in [text for _, text in charts.main.ticks()[1]]
    assert not charts.sides["lr"].log, "has an axis of its own"
    QtTest.QTest.keyClick(charts.by_time, Key.Key_Space)
    assert first("loss") == pytest.approx((0.0, 4.0))
    assert charts.main.below == "seconds"
    assert charts.main.markers[0][0] == 8.0
    QtTest.QTest.keyClick(charts.by_time, Key.Key_Space)
    assert charts.main.markers[0][0] == 80


def test_values_that_have_no_logarithm_are_left_out(charts):
    charts.store.apply(Scalars("margin", np.arange(1, 101), np.arange(100) / 10, np.linspace(-1, 1, 100)))
    charts.log.setChecked(True)
    y = data(charts, "margin").y
    assert np.nanmin(y) > 0
    assert np.nanmax(y) == 1.0
    assert np.isnan(y[:50]).all()
    assert not charts.grab().isNull()
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
    y = data(charts, "lost", "smooth").y
    assert np.isfinite(y[:200]).all()
    assert np.isnan(y[200:]).all()


def test_smoothing_is_a_slider(charts):
    noise = np.random.default_rng(0).normal(size=500)
    charts.store.apply(Scalars("noise", np.arange(1, 501), np.arange(500) / 10, noise))
    charts.refresh()

    def spread():
        return float(np.std(data(charts, "noise", "smooth").y))

    before = spread()
    assert before < np.std(noise)
    charts.smooth.setFocus()
    for _ in range(3):
        QtTest.QTest.keyClick(charts.smooth, Key.Key_Right)
    assert spread() < before
    QtTest.QTest.keyClick(charts.smooth, Key.Key_Home)
    assert ("", "noise", "smooth") not in charts.main.lines


def test_a_click_hides_a_curve_and_another_shows_it(charts):
    buttons = {charts.legend.itemAt(k).widget().property("name"): charts.legend.itemAt(k).widget() for k in range(charts.legend.count())}
    assert list(buttons) == ["loss", "validation"]
    QtTest.QTest.mouseClick(buttons["validation"], Button.LeftButton)
    assert not any(name == "validation" for _, name, _ in charts.main.lines)
    assert not any("validation" in line for line in charts.values_at(100))
    QtTest.QTest.mouseClick(buttons["validation"], Button.LeftButton)
    assert any(name == "validation" for _, name, _ in charts.main.lines)


def test_another_run_is_drawn_beside_this_one(window, charts, tmp_path):
    buffer = io.BytesIO()
    buffer.write(MAGIC)
    for message in (Hello(title="before"), Scalars("loss", np.arange(1, 151), np.arange(150) / 10, np.linspace(5, 1, 150))):
        write_frame(buffer, encode(message))
    path = tmp_path / "yesterday.asgtrace"
    path.write_bytes(buffer.getvalue())
    window.overlay(path)
    charts.smooth.setValue(0)
    y = data(charts, "loss", run="yesterday").y
    assert (len(y), y[0], y[-1]) == (150, 5.0, 1.0)
    window.store.runs["before"] = window.store.runs["yesterday"]
    charts.refresh()
    dashes = [charts.main.lines[run, "loss", "raw"].dash for run in ("", "yesterday", "before")]
    assert dashes[0] == []
    assert len(set(map(tuple, dashes))) == 3, "each run has dashes of its own"
    assert not charts.grab().isNull()
    buttons = {b.text(): b for b in (charts.legend.itemAt(k).widget() for k in range(charts.legend.count())) if b.property("run")}
    assert list(buttons) == ["yesterday", "before"]
    assert "yesterday: loss 1" in charts.values_at(150)
    buttons["yesterday"].click()
    assert ("yesterday", "loss", "raw") not in charts.main.lines
    assert "yesterday: loss 1" not in charts.values_at(150)
    buttons["yesterday"].click()
    window.say.set_language("ru")
    assert ("yesterday", "loss", "raw") in charts.main.lines
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
    x, y = charts.sides["lr"].lines["", "lr", "raw"].points(*charts.main.x, 500)
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


@pytest.mark.parametrize("pieces", [1, 7, 400])
@pytest.mark.parametrize("weight", [0.0, 0.9])
def test_a_series_is_the_same_however_its_points_came(pieces, weight):
    rng = np.random.default_rng(pieces)
    y = np.cumsum(rng.normal(size=20_000))
    y[rng.integers(0, len(y), 50)] = np.nan
    x, series = np.arange(len(y), dtype=float), Series(weight)
    for end in np.linspace(1, len(y), pieces).astype(int).tolist() if pieces > 1 else [len(y)]:
        series.update(x[:end], y[:end])
        series.whole(500)
    expected = np.where(np.isnan(y), np.nan, smoothed(y, weight))
    assert np.allclose(series.y, expected, equal_nan=True)
    assert (series.low, series.high) == (np.nanmin(series.y), np.nanmax(series.y))
    a, b = series.whole(500)
    assert len(a) <= 500
    assert np.all(np.diff(a) >= 0)
    assert (np.nanmin(b), np.nanmax(b)) == (series.low, series.high)
    near, _ = series.between(5000, 5200)
    assert near.tolist() == list(range(4999, 5201))


def test_points_out_of_order_are_all_drawn():
    series = Series()
    series.update(np.asarray([5.0, 1.0, 3.0]), np.asarray([1.0, 2.0, 3.0]))
    assert series.ends == (1.0, 5.0)
    assert series.between(0.5, 2.0)[0].tolist() == [5.0, 1.0, 3.0]


def test_a_curve_whose_older_points_gave_way_is_made_anew(charts, monkeypatch):
    monkeypatch.setattr("torchlike_asg.viewer.gui.store.MOST_POINTS", 1000)
    for k in range(5):
        at = np.arange(400 * k, 400 * (k + 1))
        charts.store.apply(Scalars("long", at, at / 10, np.sin(at / 300.0)))
        charts.refresh()
    curve, smooth = charts.store.curves["long"], data(charts, "long", "smooth")
    assert curve.shortened
    assert len(smooth.y) == len(curve) < 2000
    assert np.allclose(smooth.y, smoothed(curve.values, 0.8))


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 10.0, 5, ["0", "2", "4", "6", "8", "10"]),
        (-0.05, 0.26, 4, ["0", "0.1", "0.2"]),
        (2.4e-7, 9.1e-7, 4, ["4e-7", "6e-7", "8e-7"]),
        (1_999_000.0, 2_001_000.0, 2, ["1.999e6", "2.000e6", "2.001e6"]),
        (0.0, 0.0, 5, []),
        (float("nan"), 1.0, 5, []),
    ],
)
def test_numbers_of_an_axis(low, high, most, expected):
    found = linear(low, high, most)
    assert [text for _, text in found] == expected
    assert all(float(text) == pytest.approx(value, abs=1e-12) for value, text in found)


def test_numbers_of_a_logarithmic_axis():
    assert [text for _, text in decades(-3.2, 1.1, 5)] == ["0.001", "0.01", "0.1", "1", "10"]
    assert [text for _, text in decades(-1.1, 0.8, 8)] == ["0.1", "0.2", "0.5", "1", "2", "5"]
    assert [text for _, text in decades(-9.0, 9.0, 4)] == ["1e-5", "1", "1e5"]
    near = decades(np.log10(2.31), np.log10(2.38), 4)
    assert len(near) >= 3, "less than a decade: as on a linear axis"
    assert all(np.log10(float(text)) == pytest.approx(at) for at, text in near)


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
    assert charts.sides["lr"].title.endswith("0.5, 0.25")
    assert {told for _, told in charts.sides["lr"].ticks()[1]} == {"0.001", "0.75"}


def test_a_long_title_keeps_its_number(window, charts):
    window.say.set_language("ru")
    window.store.apply(Scalars("lr", np.asarray([201]), np.asarray([20.1]), np.asarray([0.001234])))
    window.follow()
    plot = charts.sides["lr"]
    assert plot.title == "скорость обучения  0.001234"
    assert plot.title_place().width() >= plot._lettering.width(plot.title, 0.9 * plot.pixels())


def test_there_is_nothing_between_two_steps(window, charts):
    charts.main.x = (1.0, 3.0)
    assert [text for _, text in charts.main.ticks()[0]] == ["1", "2", "3"]
    charts.by_time.setChecked(True)
    charts.main.x = (1.0, 3.0)
    assert len(charts.main.ticks()[0]) > 3


def test_texts_of_markers_do_not_cover_each_other(window, charts):
    for step in (82, 84, 86, 160):
        window.store.apply(Event(step, step / 10, f"at step {step}"))
    window.follow()
    boxes = charts.main.marker_places()
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
