"""Curves: loss and all that is logged, learning rate and gradient norm, with crosshair, log scale, smoothing, markers, other runs."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from .canvas import Colors
from .canvas.palette import contrast, mix
from .plot import Line, Plot
from .say import Say, short
from .series import Series
from .store import Curve, Store
from .strip import Strip, swatch, tell

#: hues of curves, after Okabe and Ito
HUES = ("#56B4E9", "#E69F00", "#2BB39B", "#CC79A7", "#D55E00", "#8FA3FF", "#B8B04A")
#: at least this contrast of a curve with its ground
STANDS_OUT = 3.0
#: curves that have axes of their own, at the side
SIDE = ("lr", "grad norm")
#: dashes of other runs' curves, each run its own
DASHES = ([6, 4], [2, 3], [9, 3, 2, 3], [12, 6])
#: a curve of fewer points has dots
DOTTED = 40


def curve_hue(k: int, colors: Colors) -> str:
    """The colour of the k-th curve, dark enough on a light ground."""
    hue = HUES[k % len(HUES)]
    while contrast(hue, colors.panel) < STANDS_OUT:
        hue = mix(hue, colors.text, 0.1)
    return hue


class Charts(QtWidgets.QWidget):
    """The panel of curves."""

    def __init__(self, store: Store, say: Say, colors: Colors) -> None:
        super().__init__()
        self.store, self.say, self.colors = store, say, colors
        self.points = 10.0
        self.hidden_curves: set[str] = set()
        self.hidden_runs: set[str] = set()
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
        self.view = QtWidgets.QWidget()
        self.view.setMinimumHeight(110)
        column.addWidget(self.view, 1)
        plots, beside = QtWidgets.QHBoxLayout(self.view), QtWidgets.QVBoxLayout()
        plots.setContentsMargins(0, 0, 0, 0)
        plots.setSpacing(4)
        beside.setSpacing(0)
        self.main = Plot(colors)
        plots.addWidget(self.main, 3)
        plots.addLayout(beside, 1)
        self.sides = {name: Plot(colors, small=True) for name in SIDE}
        for plot in self.sides.values():
            beside.addWidget(plot)
            plot.follows_x = False  # its x axis is the main plot's
            plot.hide()
        for plot in (self.main, *self.sides.values()):
            plot.moved.connect(lambda p=plot: self._move(p))
            plot.whole.connect(lambda: self.refresh(fit=True))
        self.main.pointed.connect(self._point)
        self.main.left.connect(self._leave)
        self.reading = QtWidgets.QLabel(self.view)
        self.reading.setObjectName("reading")
        self.reading.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.reading.hide()
        self.empty = QtWidgets.QLabel(wordWrap=True, alignment=QtCore.Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("dim", True)
        column.addWidget(self.empty, 1)
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
        self._draw_main(main, weight)
        for plot in (self.main, *self.sides.values()):
            plot.unit = 0.0 if self.by_time.isChecked() else 1.0
        self.main.markers = [(e.time if self.by_time.isChecked() else e.step, e.text) for e in self.store.events]
        if fit:
            self.main.fit()
        else:
            self.main.refresh()
        for name, plot in self.sides.items():
            here = [n for n in names if n == name or n.startswith(name + " ")]
            if plot.isHidden() == bool(here):
                plot.setVisible(bool(here))
            self._draw_side(plot, name, here, fit)
        self._legend(main)

    def _draw_main(self, names: list[str], weight: float) -> None:
        lines: dict[Hashable, Line] = {}
        for k, name in enumerate(names):
            if name in self.hidden_curves:
                continue
            hue = curve_hue(k, self.colors)
            self._add(lines, self.main, "", name, self.store.curves[name], hue, weight)
            for run, curves in self.store.runs.items():
                if name in curves and run not in self.hidden_runs:
                    self._add(lines, self.main, run, name, curves[name], hue, weight)
        self.main.lines = lines

    def _draw_side(self, plot: Plot, name: str, curves: list[str], fit: bool) -> None:
        """A small plot's last numbers stand in its title."""
        lines: dict[Hashable, Line] = {}
        for k, n in enumerate(curves):
            self._add(lines, plot, "", n, self.store.curves[n], curve_hue(k, self.colors), 0.0)
        plot.lines = lines
        numbers = ", ".join(dict.fromkeys(short(float(c.values[-1])) for n in curves if len(c := self.store.curves[n])))
        plot.title = f"{self.curve_name(name)}  {numbers}".rstrip()
        if fit:
            plot.follows_y = True
        plot.x = self.main.x
        plot.refresh()

    def _add(self, lines: dict[Hashable, Line], plot: Plot, run: str, name: str, curve: Curve, hue: str, weight: float) -> None:
        """The lines of a curve: as it is, and smoothed."""
        x = curve.times if self.by_time.isChecked() else curve.steps
        holds = name.split(" ")[0] == "lr"
        dots = len(curve) < DOTTED and not holds
        pieces = [("raw", 0.0)]
        if weight and not dots:  # of other runs only the smooth curve, for not too many to cross
            pieces = pieces * (not run) + [("smooth", weight)]
        for which, smoothing in pieces:
            key = (run, name, which)
            positive = plot.log
            made_of = (curve, curve.shortened, smoothing, positive, self.by_time.isChecked())
            known = plot.lines.get(key)
            series = known.series if known is not None and known.series.made_of == made_of else Series(smoothing, positive, made_of)
            series.update(x, curve.values)
            faint = which == "raw" and len(pieces) > 1
            color = QtGui.QColor(hue)
            color.setAlpha(105 if faint else 255)
            dash = self._dash(run) if run else []
            lines[key] = Line(series, color, 1.0 if faint else 1.8, dash, dots and not run, holds, self._end(run) if holds else -math.inf)

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
                tell(button, f"{self.curve_name(name)}  {short(float(curve.values[-1]))}" if len(curve) else self.curve_name(name))

    def curve_name(self, name: str) -> str:
        """A curve's name for people: ours are translated, the user's stay."""
        base, _, number = name.rpartition(" ") if name[-1:].isdigit() else (name, "", "")
        key = {"loss": "chart.loss", "lr": "chart.lr", "grad norm": "chart.norm"}.get(base)
        return name if key is None else f"{self.say(key)} {number}".strip()

    def _toggle(self, name: str, run: str, on: bool) -> None:
        hidden = self.hidden_runs if run else self.hidden_curves
        (hidden.discard if on else hidden.add)(run or name)
        self.refresh()

    def _set_log(self, on: bool) -> None:
        self.main.log = on
        self.refresh(fit=True)

    def _move(self, plot: Plot) -> None:
        """The user moved the x axis of a plot: the others go along."""
        self.main.follows_x = False
        for p in (self.main, *self.sides.values()):
            p.x = plot.x
            p.update()

    # ---------------------------------------------------------------- reading
    def _point(self, x: float, at: QtCore.QPoint) -> None:
        lines = self.values_at(x)
        self.main.cross = x if lines else None
        self.main.update()
        self.reading.setVisible(bool(lines))
        self.reading.setText("\n".join(lines))
        self.reading.adjustSize()
        area, away = self.main.mapTo(self.view, at), 14
        left = area.x() + away if area.x() + away + self.reading.width() < self.view.width() else area.x() - away - self.reading.width()
        self.reading.move(max(left, 0), max(2, min(area.y() + away, self.view.height() - self.reading.height() - 2)))

    def _leave(self) -> None:
        if self.main.cross is not None:
            self.main.cross = None
            self.main.update()
        self.reading.hide()

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
        for plot in (self.main, *self.sides.values()):
            plot.set_colors(colors)
        self.refresh()

    def set_text_size(self, points: float) -> None:
        self.points = points
        for plot in (self.main, *self.sides.values()):
            plot.set_text_size(points)
        self.retranslate()

    def retranslate(self) -> None:
        say = self.say
        self.log.setText(say("chart.log"))
        self.by_time.setText(say("chart.by_time"))
        self.smooth_label.setText(say("chart.smoothing"))
        self.smooth.setAccessibleName(say("chart.smoothing"))
        self.whole.setText(say("chart.fit"))
        self.main.below = say("chart.by_time" if self.by_time.isChecked() else "chart.step")
        self.empty.setText(say("chart.empty"))
        self.refresh()
