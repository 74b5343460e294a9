"""The main window: canvas, inspector, curves, outline, search and everything that joins them. A timer takes the messages, views follow."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..damage import told
from ..protocol import Message, Subscribe
from . import export, panels, theme
from .actions import Actions
from .canvas import FAILED, STYLES, Canvas, Colors, style_of
from .charts import Charts
from .code import KernelCode
from .dock import Dock
from .graphs import GraphModel
from .heat import HeatLegend, HeatMap
from .inspector import Inspector
from .legend import Legend, Sample
from .outline import Outline
from .say import Say, shape_text, short, translate_qt
from .search import find
from .store import Store

#: milliseconds between looks at what came, which grow while this process takes more than its share of a core
PACE, SLOWEST, SHARE = 100, 2000, 0.08


class Window(QtWidgets.QMainWindow):
    """``send`` passes a message to the trainer."""

    def __init__(self, store: Store, say: Say, theme_name: str = "auto", send: Callable[[Message], None] | None = None) -> None:
        super().__init__()
        self.store, self.say = store, say
        self.send = send or (lambda m: None)
        self.colors: Colors = theme.colors_for(theme_name)
        self.points = 10.0
        self._hits: list[int] = []
        self._hit = -1
        self._shown_epoch = -1
        self._subscribed: Any = None
        self.code = KernelCode(self)
        self._rate: list[tuple[float, int]] = []
        self._checked = (time.monotonic(), time.process_time())
        app = QtWidgets.QApplication.instance()
        assert isinstance(app, QtWidgets.QApplication)
        theme.apply(app, self.colors, self.points)
        self.model = GraphModel(store.graph, say)
        self._build()
        say.on_change(self.retranslate)
        self.retranslate()
        self.pace = QtCore.QTimer(self, interval=PACE)
        self.pace.timeout.connect(self.follow)
        self.pace.start()
        self.resize(1440, 900)

    # ---------------------------------------------------------------- construction
    def _build(self) -> None:
        say, colors = self.say, self.colors
        self.canvas = Canvas(self.model, colors, animated=theme.animations())
        self.canvas.selected.connect(self._selected)
        self.canvas.opened.connect(self._repaint_marks)
        self.canvas.looked.connect(self._look_later)
        self.canvas.hovered.connect(self._hovered)
        self.canvas.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.CustomContextMenu)
        self.canvas.customContextMenuRequested.connect(lambda at: panels.context_menu(self, at))
        self.heat = HeatMap(self.store, say)
        self.actions_ = Actions(self)
        self.bar = panels.TopBar(self)
        self.alarm = panels.Banner(self)
        self.legend = Legend(say, colors, self._samples)
        self.failure = panels.FailurePanel(self)
        middle = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for w in (self.bar, self.alarm, self.failure, self.canvas, self.legend):
            column.addWidget(w, 1 if w is self.canvas else 0)
        self.setCentralWidget(middle)
        self.heat_legend = HeatLegend(self.heat, say, colors, self.canvas)
        self.inspector = Inspector(self.store, say, colors)
        self.inspector.linked.connect(self.go)
        self.inspector.code.connect(self.code.ask)
        self.charts = Charts(self.store, say, colors)
        self.outline = Outline(say)
        self.outline.chosen.connect(self.go)
        side = QtCore.Qt.DockWidgetArea
        self.docks = {
            "inspector": self._dock(self.inspector, side.RightDockWidgetArea),
            "charts": self._dock(self.charts, side.BottomDockWidgetArea),
            "outline": self._dock(self.outline, side.LeftDockWidgetArea),
        }
        self.docks["outline"].hide()
        self.setCorner(QtCore.Qt.Corner.BottomRightCorner, side.RightDockWidgetArea)
        self.resizeDocks([self.docks["inspector"]], [390], QtCore.Qt.Orientation.Horizontal)
        self.resizeDocks([self.docks["charts"]], [230], QtCore.Qt.Orientation.Vertical)
        self._looking = QtCore.QTimer(self, singleShot=True, interval=400)
        self._looking.timeout.connect(self._subscribe)
        self.canvas.setFocus()

    def _dock(self, widget: QtWidgets.QWidget, area: QtCore.Qt.DockWidgetArea) -> Dock:
        dock = Dock(self, widget)
        self.addDockWidget(area, dock)
        return dock

    def _samples(self) -> list[Sample]:
        """Of the legend: the looks that occur in the graph."""
        used = {style_of(c).key for c in set(self.model.categories)}
        found = [Sample(s.key, s.hue, s.glyph) for s in (*STYLES.values(), FAILED) if s.key in used or (s.key == "module" and used)]
        if any(e.back for e in self.canvas.scene.edges):
            found.append(Sample("back"))
        return [*found, Sample("kernel")] if self.canvas.marks.fusions else found

    # ---------------------------------------------------------------- following the store
    def follow(self) -> None:
        """Bring all views up to what the store knows."""
        self.adapt(time.monotonic(), time.process_time())
        changed, self.store.changed = self.store.changed, set()
        if not changed:
            return
        if "hello" in changed:
            self.setWindowTitle(self.say("window.of", title=self.store.hello.title) if self.store.hello.title else self.say("window.title"))
        if "graph" in changed and self._shown_epoch != self.store.epoch:
            self.show_graph()
        if "scalars" in changed or "event" in changed:
            self.charts.refresh()
        if changed & {"stats", "timing", "bye"}:
            self.inspector.refresh_live()
            if self.heat.kind:
                self.paint_heat()
        if "code" in changed:
            self.code.refresh()
        if "alarm" in changed:
            self.alarm.show_alarm()
        if "failure" in changed:
            self.failure.show_failure()
        self._status()

    def adapt(self, now: float, spent: float) -> None:
        """Look less often while this process takes more than `SHARE` of a core, painting included, and more often when it takes less."""
        wall, used = now - self._checked[0], spent - self._checked[1]
        if wall >= 1.0:
            self._checked = (now, spent)
            factor = min(2.0, max(0.7, used / wall / SHARE))
            self.pace.setInterval(int(min(SLOWEST, max(PACE, self.pace.interval() * factor))))

    def show_graph(self) -> None:
        """The newest graph, with view, selection and open groups kept as far as they exist in it."""
        before = self._shown_epoch
        chosen = self.canvas.selection
        identity = self._identity(chosen)
        self._shown_epoch = self.store.epoch
        self.model = GraphModel(self.store.graph, self.say)
        self.canvas.set_model(self.model, self.colors, keep=before >= 0 and bool(len(self.canvas.model.tree.groups) > 1))
        self.inspector.set_model(self.model)
        self.outline.set_model(self.model)
        self.legend.retranslate()
        if identity is not None:
            ids = self.model.graph.stable_ids()
            if identity in ids:
                self.canvas.select("node", ids.index(identity), reveal=False)
        self.bar.phases_changed()
        self._subscribed = None
        self._repaint_marks()
        self._look_later()

    def _identity(self, chosen: tuple[str, int]) -> str | None:
        kind, item = chosen
        if kind == "node" and item < len(self.model.graph):
            return self.model.graph.stable_ids()[item]
        return None

    def _status(self) -> None:
        step = self.store.step
        now = time.monotonic()
        self._rate = [*self._rate, (now, step)][-40:]
        ended = self.store.ended
        if ended is None and self.store.failure is not None:
            ended = "error"
        state = self.say(f"status.{ended or 'training'}") if step or ended else self.say("status.waiting")
        parts = [state]
        if step:
            parts.append(self.say("status.step", step=self.say.number(step)))
            losses = [c for name, c in self.store.curves.items() if name.partition(" ")[0] == "loss" and len(c)]
            if losses:
                loss = losses[0]
                parts.append(self.say("status.loss", loss=", ".join(short(float(c.values[-1])) for c in losses[:3])))
                if len(loss) > 3 and ended is None:
                    t, s = loss.times, loss.steps
                    back = max(0, int(np.searchsorted(t, t[-1] - 5.0)) - 1)
                    if t[-1] > t[back]:
                        rate = (s[-1] - s[back]) / (t[-1] - t[back])
                        parts.append(self.say("status.rate", rate=self.say.number(round(rate)) if rate >= 100 else f"{rate:.3g}"))
        if self.store.left_out:
            parts.append(self.say.plural("left_out", self.store.left_out))
        self.bar.set_status("   ".join(parts), self.colors.good if step and ended is None else self.colors.dim)

    # ---------------------------------------------------------------- selection
    def go(self, kind: str, item: int) -> None:
        """Select and show."""
        self.canvas.select(kind, item)
        self.canvas.setFocus()

    def _selected(self, kind: str, item: int) -> None:
        self.inspector.show_item(kind, item)
        self._describe(kind, item)
        self.bar.crumbs.set_path(self.model, kind, item)
        if self.docks["outline"].isVisible():
            self.outline.show_item(kind, item)
        self._look_later()

    def _describe(self, kind: str, item: int) -> None:
        """What a screen reader says of the canvas: the selection."""
        told = self.say("canvas.description")
        if kind == "node":
            told = ". ".join(t for t in (*self.model.node_text(item), self.say.op(self.model.ops[item], "what")) if t)
        elif kind == "group":
            told = ", ".join(self.model.group_text(item, ()))
        self.canvas.setAccessibleDescription(told)

    def _hovered(self, kind: str, item: int) -> None:
        text = ""
        if kind == "node" and item < len(self.model.graph):
            text = f"{self.model.title(item)}  {self.model.node_text(item)[1]}\n{self.say.op(self.model.ops[item], 'what') or ''}".strip()
        elif kind == "group":
            text = "  ".join(self.model.group_text(item, ()))
        self.canvas.setToolTip(text)

    def _look_later(self) -> None:
        if hasattr(self, "_looking") and not self._looking.isActive():
            self._looking.start()

    def _subscribe(self) -> None:
        """Tell the trainer what is on screen."""
        if self.store.ended is not None or not len(self.model.graph):
            return
        kind, item = self.canvas.selection
        selected = [item] if kind == "node" else []
        nodes = self.canvas.visible_nodes()
        if self.heat.kind in ("gradient", "activation", "update"):
            for group in self.canvas.visible_groups():
                nodes += self.model.nodes_in(group)[:40]
        visible = sorted(set(nodes))[:400]
        wanted = (self.store.epoch, tuple(visible), tuple(selected))
        if wanted != self._subscribed and self.isVisible():
            self._subscribed = wanted
            self.send(Subscribe(self.store.epoch, np.asarray(visible, np.int32), np.asarray(selected, np.int32)))

    # ---------------------------------------------------------------- marks
    def _repaint_marks(self) -> None:
        if hasattr(self, "heat_legend"):
            self.paint_heat()
            self.canvas.set_matches(self._hits[:2000])
            self.paint_kernels()
            failure = self.store.failure
            if failure is not None and failure.epoch == self.store.epoch and failure.node >= 0:
                graph, shapes = self.store.graph, self.model.shapes
                self.canvas.set_errors([failure.node], {e: shape_text(shapes[int(graph.src[e])]) or "()" for e in failure.edges})
            elif self.store.alarms and self.store.alarms[-1].epoch == self.store.epoch and self.store.alarms[-1].node >= 0:
                self.canvas.set_errors([self.store.alarms[-1].node], {})
            self.legend.retranslate()
            self._look_later()

    def paint_heat(self) -> None:
        self.heat.paint(self.canvas, self.model)
        self.heat_legend.setVisible(bool(self.heat.kind))
        self.heat_legend.update()

    def set_heat(self, kind: str) -> None:
        """Show a heat map, "" for none."""
        self.heat.kind = kind
        self.bar.show_heat(kind)
        self.paint_heat()
        self._look_later()

    def paint_kernels(self) -> None:
        kernel = self.model.graph.kernel
        shown = {}
        if self.bar.kernels.isChecked() and len(kernel):
            sizes = np.bincount(kernel[kernel >= 0], minlength=int(kernel.max()) + 1 if len(kernel) else 1)
            shown = {i: int(k) for i, k in enumerate(kernel.tolist()) if k >= 0 and sizes[k] > 1}
        self.canvas.set_fusions(shown)
        self.legend.retranslate()

    def set_phases(self) -> None:
        """Show or leave out the backward half and the update."""
        self.canvas.set_hidden([p for p, b in (("∂", self.bar.backward), ("optimizer", self.bar.update_)) if not b.isChecked()])
        self._repaint_marks()

    # ---------------------------------------------------------------- search
    def search(self, text: str) -> None:
        """Mark what matches."""
        self._hits, self._hit = find(text, self.model, self.store), -1
        self.canvas.set_matches(self._hits[:2000])
        self.bar.set_found(len(self._hits) if text.strip() else None)

    def next_hit(self, by: int = 1) -> None:
        """Go to the next match; what hides it opens."""
        if self._hits:
            self._hit = (self._hit + by) % len(self._hits) if self._hit >= 0 or by > 0 else len(self._hits) - 1
            self.canvas.select("node", self._hits[self._hit])
            self.canvas.set_matches(self._hits[:2000])
            self.bar.set_found(len(self._hits), self._hit)

    # ---------------------------------------------------------------- appearance
    def retranslate(self) -> None:
        say = self.say
        translate_qt(say.lang)
        title = self.store.hello.title
        self.setWindowTitle(say("window.of", title=title) if title else say("window.title"))
        for name, dock in self.docks.items():
            dock.setWindowTitle(say(f"dock.{name}"))
        self._dress_docks()
        self.canvas.setAccessibleName(say("canvas.name"))
        self.canvas.nothing = say("inspector.waiting")
        self.canvas.setToolTip("")
        for part in (self.bar, self.inspector, self.charts, self.legend, self.alarm, self.failure, self.code):
            part.retranslate()
        self.canvas.retranslate()
        self.outline.set_model(self.model)
        kind, item = self.canvas.selection
        self._describe(kind, item)
        self.bar.crumbs.set_path(self.model, kind, item)
        self._repaint_marks()
        self._status()

    def set_theme(self, name: str) -> None:
        """ "dark" or "light"."""
        self.colors = theme.colors_for(name)
        app = QtWidgets.QApplication.instance()
        assert isinstance(app, QtWidgets.QApplication)
        theme.apply(app, self.colors, self.points)
        for part in (self.canvas, self.inspector, self.charts, self.code):
            part.set_colors(self.colors)
        self.legend.colors = self.heat_legend.colors = self.colors
        self._dress_docks()
        self.legend.retranslate()
        self._status()
        self.canvas.retranslate()
        self._repaint_marks()

    def _dress_docks(self) -> None:
        for dock in self.docks.values():
            dock.dress(self.colors, self.say("menu.close"))

    def zoom_text(self, by: float) -> None:
        """Make all texts larger or smaller."""
        self.points = min(20.0, max(7.0, self.points + by))
        app = QtWidgets.QApplication.instance()
        assert isinstance(app, QtWidgets.QApplication)
        theme.apply(app, self.colors, self.points)
        self.charts.set_text_size(self.points)
        self.inspector.formula.set_size(2 * self.points)
        self.canvas.retranslate()
        self._status()

    # ---------------------------------------------------------------- actions
    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        """Shortcuts, by the place of keys: a Russian layout changes nothing."""
        if not self.actions_.press(event):
            super().keyPressEvent(event)

    def export(self, path: Path) -> bool:
        """Write the graph or the report; says so if that fails."""
        try:
            export.save(path, self.canvas, self.model, self.store, self.say)
        except (OSError, ValueError) as error:
            trouble = self.say("export.failed", path=str(path), reason=told(error, self.say.lang))
            QtWidgets.QMessageBox.warning(self, self.say("export.title"), trouble)
            return False
        return True

    def overlay(self, path: Path) -> None:
        """Draw the curves of another run's recording beside this one's."""
        from ..protocol import read_recording

        other = Store()
        for message in read_recording(path):
            other.apply(message)
        self.store.runs[path.stem] = other.curves
        self.charts.refresh(fit=True)
