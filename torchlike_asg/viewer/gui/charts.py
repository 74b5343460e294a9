"""Curves: loss and all that is logged, learning rate and gradient norm, with crosshair, log scale, smoothing, markers, other runs."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import Colors
from .canvas.palette import contrast, mix
from .say import Say, short
from .store import Curve, Store, smoothed
from .strip import Strip, swatch

#: hues of curves, after Okabe and Ito
HUES = ("#56B4E9", "#E69F00", "#2BB39B", "#CC79A7", "#D55E00", "#8FA3FF", "#B8B04A")
#: at least this contrast of a curve with its ground
STANDS_OUT = 3.0
#: curves that have axes of their own, at the side
SIDE = ("lr", "grad norm")
#: dashes of other runs' curves, each run its own
DASHES = ([6, 4], [2, 3], [9, 3, 2, 3], [12, 6])
#: heights of markers' texts, in turn where they stand close together
LEVELS = (0.92, 0.78, 0.64, 0.5)
#: points that are drawn
DRAWN = 3000


def curve_hue(k: int, colors: Colors) -> str:
    """The colour of the k-th curve, dark enough on a light ground."""
    hue = HUES[k % len(HUES)]
    while contrast(hue, colors.panel) < STANDS_OUT:
        hue = mix(hue, colors.text, 0.1)
    return hue


def thin(x: NDArray[np.float64], y: NDArray[np.float64], most: int = DRAWN) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and the largest point of each stretch: what a line of that many pixels shows."""
    n = len(x)
    if n <= most:
        return x, y
    size = -(-2 * n // most)
    whole = n // size * size
    blocks = np.nan_to_num(y[:whole].reshape(-1, size), nan=0.0, posinf=0.0, neginf=0.0)
    at = np.arange(len(blocks)) * size
    places = np.sort(np.concatenate([at + blocks.argmin(1), at + blocks.argmax(1), np.arange(whole, n)]))
    return x[places], y[places]


def held(x: NDArray[np.float64], y: NDArray[np.float64], end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A quantity that stays as it is until it is told anew, up to `end`: as steps."""
    return np.append(np.repeat(x, 2)[1:], max(end, x[-1])), np.repeat(y, 2)


class Charts(QtWidgets.QWidget):
    """The panel of curves."""

    def __init__(self, store: Store, say: Say, colors: Colors) -> None:
        super().__init__()
        self.store, self.say, self.colors = store, say, colors
        self.points = 10.0
        self.hidden_curves: set[str] = set()
        self.hidden_runs: set[str] = set()
        self._lines: dict[tuple[str, str, str], pg.PlotDataItem] = {}
        self._markers: list[pg.InfiniteLine] = []
        self.setObjectName("curves")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_StyledBackground)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(2)
        tools = QtWidgets.QHBoxLayout()
        tools.setSpacing(6)
        names = Strip()
        self.legend = QtWidgets.QHBoxLayout(names.inner)
        self.legend.setContentsMargins(0, 0, 0, 0)
        self.legend.setSpacing(4)
        self.legend.setAlignment(QtCore.Qt.AlignmentFlag.AlignLeft)
        self.log = QtWidgets.QToolButton(checkable=True)
        self.log.toggled.connect(self._set_log)
        self.by_time = QtWidgets.QToolButton(checkable=True)
        self.by_time.toggled.connect(lambda _: (self.retranslate(), self.refresh(fit=True)))
        self.smooth = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.smooth.setRange(0, 99)
        self.smooth.setValue(80)
        self.smooth.setFixedWidth(90)
        self.smooth.valueChanged.connect(lambda _: self.refresh())
        self.smooth_label = QtWidgets.QLabel()
        self.smooth_label.setProperty("dim", True)
        self.whole = QtWidgets.QToolButton()
        self.whole.clicked.connect(lambda: self.refresh(fit=True))
        tools.addWidget(names, 1)
        for w in (self.smooth_label, self.smooth, self.log, self.by_time, self.whole):
            tools.addWidget(w)
        column.addLayout(tools)
        self.view = pg.GraphicsLayoutWidget()
        self.view.setMinimumHeight(110)
        column.addWidget(self.view, 1)
        self.main = self.view.addPlot(row=0, col=0, rowspan=2)
        self.sides = {name: self.view.addPlot(row=k, col=1) for k, name in enumerate(SIDE)}
        self.view.ci.layout.setColumnStretchFactor(0, 3)
        self.view.ci.layout.setColumnStretchFactor(1, 1)
        self.view.ci.layout.setContentsMargins(0, 0, 0, 0)
        for plot in (self.main, *self.sides.values()):
            plot.showGrid(x=True, y=True, alpha=0.2)
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.setClipToView(True)
        for plot in self.sides.values():
            plot.setXLink(self.main)
            plot.getAxis("bottom").setStyle(showValues=False)  # they are those of the main plot
            plot.getAxis("left").setWidth(76)
            plot.getAxis("left").setStyle(textFillLimits=[(0, 2.0)])  # both of its numbers, however low it is
            plot.vb.setDefaultPadding(0.25)  # room for the numbers at its ends
            plot.hide()
        self.main.vb.setDefaultPadding(0.03)
        self.cross = pg.InfiniteLine(angle=90, movable=False)
        self.cross.hide()
        self.main.addItem(self.cross, ignoreBounds=True)
        self.reading = QtWidgets.QLabel(self.view)
        self.reading.setObjectName("reading")
        self.reading.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.reading.hide()
        self.empty = QtWidgets.QLabel(wordWrap=True, alignment=QtCore.Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("dim", True)
        column.addWidget(self.empty, 1)
        self.view.viewport().installEventFilter(self)
        self._proxy = pg.SignalProxy(self.main.scene().sigMouseMoved, rateLimit=30, slot=self._moved)
        self.set_colors(colors)
        self.retranslate()

    # ---------------------------------------------------------------- drawing
    def refresh(self, fit: bool = False) -> None:
        """Draw the curves as they are now."""
        names = list(self.store.curves)
        there = (self.view, self.smooth_label, self.smooth, self.log, self.by_time, self.whole)
        for part, shown in (*((w, bool(names)) for w in there), (self.empty, not names)):
            if part.isHidden() == shown:
                part.setVisible(shown)
        main = [n for n in names if n not in SIDE and not n.startswith(("lr ", "grad norm "))]
        weight = self.smooth.value() / 100.0
        wanted: set[tuple[str, str, str]] = set()
        for k, name in enumerate(main):
            if name not in self.hidden_curves:
                hue = curve_hue(k, self.colors)
                wanted |= self._draw(self.main, "", name, self.store.curves[name], hue, weight)
                for run, curves in self.store.runs.items():
                    if name in curves and run not in self.hidden_runs:
                        wanted |= self._draw(self.main, run, name, curves[name], hue, weight)
        for name, plot in self.sides.items():
            here = [n for n in names if n == name or n.startswith(name + " ")]
            plot.setVisible(bool(here))
            for k, n in enumerate(here):
                wanted |= self._draw(plot, "", n, self.store.curves[n], curve_hue(k, self.colors), 0.0)
            self._title(plot, name, here)
        for key in [k for k in self._lines if k not in wanted]:
            line = self._lines.pop(key)
            for plot in (self.main, *self.sides.values()):
                if line in plot.items:
                    plot.removeItem(line)
        self._legend(main)
        self._mark()
        if fit:
            self.main.enableAutoRange()
            for plot in self.sides.values():
                plot.enableAutoRange(axis="y")

    def _title(self, plot: pg.PlotItem, name: str, curves: list[str]) -> None:
        """A small plot's last numbers stand in its title; its smallest and largest value are all that fits beside it."""
        found = [c for n in curves if len(c := self.store.curves[n])]
        numbers = ", ".join(dict.fromkeys(short(float(c.values[-1])) for c in found))
        values = np.concatenate([c.values[np.isfinite(c.values)] for c in found]) if found else np.zeros(0)
        ticks = {short(float(v)): float(v) for v in (values.min(), values.max())} if len(values) else {}
        plot.getAxis("left").setTicks([[(v, told) for told, v in ticks.items()]])
        text = f"{self.curve_name(name)}  {numbers}".rstrip()
        if plot.titleLabel.text != text:
            plot.setTitle(text, color=self.colors.dim, size=f"{0.9 * self.points}pt")

    def _draw(self, plot: pg.PlotItem, run: str, name: str, curve: Curve, hue: str, weight: float) -> set[tuple[str, str, str]]:
        x, y = (curve.times if self.by_time.isChecked() else curve.steps), curve.values
        if self.log.isChecked() and plot is self.main:
            y = np.where(y > 0, y, np.nan)
        keys = set()
        holds = name.split(" ")[0] == "lr" and len(y) > 0
        if holds:
            x, y = held(x, y, self._end(run))
        dots = len(y) < 40 and not holds
        pieces = [("raw", y)]
        if weight and not dots:  # of other runs only the smooth curve, for not too many to cross
            pieces = pieces * (not run) + [("smooth", np.where(np.isfinite(y), smoothed(y, weight), np.nan))]
        for which, values in pieces:
            key = (run, name, which)
            keys.add(key)
            line = self._lines.get(key)
            faint = which == "raw" and len(pieces) > 1
            color = QtGui.QColor(hue)
            color.setAlpha(105 if faint else 255)
            if line is None:
                line = self._lines[key] = plot.plot([], [])
            pen = pg.mkPen(color, width=1 if faint else 2)
            if run:
                pen.setDashPattern(self._dash(run))
            line.setPen(pen)
            line.setSymbol("o" if dots and not run else None)
            if dots:
                line.setSymbolSize(5)
                line.setSymbolBrush(color)
                line.setSymbolPen(None)
            if dots or not np.isfinite(values).any():  # dots, and ranges, are not made of NaN
                there = np.isfinite(values)
                line.setData(x[there], values[there])
            else:
                line.setData(*thin(x, values), connect="finite")
        return keys

    def _end(self, run: str) -> float:
        """How far a run has come, in steps or seconds."""
        curves = [c for c in (self.store.runs[run] if run else self.store.curves).values() if len(c)]
        return max((float((c.times if self.by_time.isChecked() else c.steps)[-1]) for c in curves), default=0.0)

    def _dash(self, run: str) -> list[int]:
        return DASHES[list(self.store.runs).index(run) % len(DASHES)]

    def _legend(self, names: list[str]) -> None:
        """A switch with its colour and last value for each curve, and one with its dashes for each other run."""
        wanted = [(n, "", curve_hue(k, self.colors)) for k, n in enumerate(names)] + [("", run, self.colors.dim) for run in self.store.runs]
        have = [self.legend.itemAt(k).widget() for k in range(self.legend.count())]
        if [tuple(w.property(p) for p in ("name", "run", "hue")) for w in have] != wanted:
            for w in have:
                w.hide()
                w.deleteLater()
            while self.legend.count():
                self.legend.takeAt(0)
            for name, run, hue in wanted:
                shown = run not in self.hidden_runs if run else name not in self.hidden_curves
                button = QtWidgets.QToolButton(checkable=True, checked=shown)
                button.setProperty("curve", True)
                for key, value in (("name", name), ("run", run), ("hue", hue)):
                    button.setProperty(key, value)
                button.setIcon(swatch(hue, self._dash(run) if run else None))
                button.setText(run)
                button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
                button.toggled.connect(lambda on, n=name, r=run: self._toggle(n, r, on))
                self.legend.addWidget(button)
        for k, (name, run, _) in enumerate(wanted):
            if not run:
                button = self.legend.itemAt(k).widget()
                curve = self.store.curves[name]
                button.setText(f"{self.curve_name(name)}  {short(float(curve.values[-1]))}" if len(curve) else self.curve_name(name))

    def curve_name(self, name: str) -> str:
        """A curve's name for people: ours are translated, the user's stay."""
        base, _, number = name.rpartition(" ") if name[-1:].isdigit() else (name, "", "")
        key = {"loss": "chart.loss", "lr": "chart.lr", "grad norm": "chart.norm"}.get(base)
        return name if key is None else f"{self.say(key)} {number}".strip()

    def _toggle(self, name: str, run: str, on: bool) -> None:
        hidden = self.hidden_runs if run else self.hidden_curves
        (hidden.discard if on else hidden.add)(run or name)
        self.refresh()

    def _mark(self) -> None:
        events = self.store.events
        for e in events[len(self._markers) :]:
            line = pg.InfiniteLine(0, 90, label=e.text, labelOpts={"color": self.colors.incident, "anchors": [(0, 0), (0, 0)]})
            line.setPen(pg.mkPen(self.colors.incident, width=1, style=QtCore.Qt.PenStyle.DashLine))
            self._markers.append(line)
            self.main.addItem(line, ignoreBounds=True)
        (low, high), wide = self.main.vb.viewRange()[0], max(self.main.vb.width(), 1.0)
        ends = [-1.0] * len(LEVELS)  # how far the texts at each height reach, in pixels
        for e, line in zip(events, self._markers, strict=False):
            at = e.time if self.by_time.isChecked() else e.step
            x = (at - low) / max(high - low, 1e-12) * wide
            level = next((k for k, end in enumerate(ends) if end <= x), ends.index(min(ends)))
            ends[level] = x + line.label.boundingRect().width() + 6
            line.setValue(at)
            line.label.setPosition(LEVELS[level])

    def _set_log(self, on: bool) -> None:
        self.main.setLogMode(y=on)
        for key, line in self._lines.items():
            if key[1] not in SIDE and line in self.main.items:
                line.setLogMode(False, on)
        self.refresh(fit=True)

    # ---------------------------------------------------------------- reading
    def _moved(self, event: tuple[QtCore.QPointF]) -> None:
        at = event[0]
        if not self.main.vb.sceneBoundingRect().contains(at):
            self._leave()
            return
        x = self.main.vb.mapSceneToView(at).x()
        lines = self.values_at(x)
        self.cross.setPos(x)
        self.cross.setVisible(bool(lines))
        self.reading.setVisible(bool(lines))
        self.reading.setText("\n".join(lines))
        self.reading.adjustSize()
        area, away = self.view.mapFromScene(at), 14
        left = area.x() + away if area.x() + away + self.reading.width() < self.view.width() else area.x() - away - self.reading.width()
        self.reading.move(max(left, 0), max(2, min(area.y() + away, self.view.height() - self.reading.height() - 2)))

    def _leave(self) -> None:
        self.cross.hide()
        self.reading.hide()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.Leave:
            self._leave()
        return False

    def values_at(self, x: float) -> list[str]:
        """All curves that show at a place of the axis, a line each; first the step, last other runs."""
        parts: list[str] = []
        runs = [("", self.store.curves), *((r, c) for r, c in self.store.runs.items() if r not in self.hidden_runs)]
        for run, curves in runs:
            for name, curve in curves.items():
                xs = curve.times if self.by_time.isChecked() else curve.steps
                if not len(xs) or name in self.hidden_curves or (run and (name not in self.store.curves or name in SIDE)):
                    continue
                k = int(np.clip(np.searchsorted(xs, x), 0, len(xs) - 1))
                if k and abs(xs[k - 1] - x) < abs(xs[k] - x):
                    k -= 1
                if not parts:
                    parts.append(self.say("chart.at_step", step=self.say.number(int(curve.steps[k]))))
                told = f"{self.curve_name(name)} {short(float(curve.values[k]))}"
                parts.append(self.say("chart.of_run", run=run, value=told) if run else told)
        return parts

    # ---------------------------------------------------------------- appearance
    def set_colors(self, colors: Colors) -> None:
        self.colors = colors
        for line in self._markers:
            line.setPen(pg.mkPen(colors.incident, width=1, style=QtCore.Qt.PenStyle.DashLine))
            line.label.setColor(colors.incident)
        self.view.setBackground(colors.panel)
        for plot in (self.main, *self.sides.values()):
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(pg.mkPen(colors.line))
                axis.setTextPen(pg.mkPen(colors.dim))
                axis.setStyle(hideOverlappingLabels=plot is self.main, autoExpandTextSpace=True)
            if plot is not self.main:
                plot.setTitle(plot.titleLabel.text, color=colors.dim, size=f"{0.9 * self.points}pt")
        self.cross.setPen(pg.mkPen(colors.dim, width=1))
        self.refresh()

    def set_text_size(self, points: float) -> None:
        self.points = points
        for plot in (self.main, *self.sides.values()):
            plot.setTitle(plot.titleLabel.text or None, color=self.colors.dim, size=f"{0.9 * points}pt")
        self.retranslate()

    def retranslate(self) -> None:
        say = self.say
        self.log.setText(say("chart.log"))
        self.by_time.setText(say("chart.by_time"))
        self.smooth_label.setText(say("chart.smoothing"))
        self.smooth.setAccessibleName(say("chart.smoothing"))
        self.whole.setText(say("chart.fit"))
        below = say("chart.by_time" if self.by_time.isChecked() else "chart.step")
        self.main.setLabel("bottom", below, **{"font-size": f"{0.9 * self.points}pt"})
        self.empty.setText(say("chart.empty"))
        self.refresh()
