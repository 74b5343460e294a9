"""The panel that explains the selection: what a node does, its formula, why it is used, its role here, live numbers, technical details."""

from __future__ import annotations

import html

from pyqtgraph.Qt import QtCore, QtGui, QtWidgets

from ..formula import meanings
from ..roles import sentence
from ..snapshot import KINDS
from .canvas import STYLES, Colors, style_of
from .formula import FormulaView
from .graphs import GraphModel
from .numbers import LiveNumbers
from .say import Say, shape_text
from .store import Store

LINK_LIMIT = 12


class Section(QtWidgets.QWidget):
    """A heading and what stands under it; with `folding` the heading opens and closes it."""

    def __init__(self, content: QtWidgets.QWidget, folding: bool = False) -> None:
        super().__init__()
        self.content = content
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(3)
        self.head: QtWidgets.QWidget
        if folding:
            button = QtWidgets.QToolButton(checkable=True)
            button.setProperty("fold", True)
            button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setArrowType(QtCore.Qt.ArrowType.RightArrow)
            button.toggled.connect(self._fold)
            self.head = button
            content.hide()
        else:
            self.head = paragraph()
            self.head.setProperty("head", True)
        column.addWidget(self.head)
        column.addWidget(content)

    def _fold(self, opened: bool) -> None:
        self.content.setVisible(opened)
        assert isinstance(self.head, QtWidgets.QToolButton)
        self.head.setArrowType(QtCore.Qt.ArrowType.DownArrow if opened else QtCore.Qt.ArrowType.RightArrow)

    def set_heading(self, text: str) -> None:
        self.head.setText(text.upper() if isinstance(self.head, QtWidgets.QLabel) else text)  # type: ignore[attr-defined]


def paragraph() -> QtWidgets.QLabel:
    label = QtWidgets.QLabel(wordWrap=True)
    label.setMinimumWidth(240)
    policy = QtWidgets.QSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextBrowserInteraction)
    return label


class Inspector(QtWidgets.QScrollArea):
    """Shows a node or a group. ``linked(kind, item)``: a link to another was followed; ``code(node)``: the kernel's code is wanted."""

    linked = QtCore.Signal(str, int)
    code = QtCore.Signal(int)

    def __init__(self, store: Store, say: Say, colors: Colors) -> None:
        super().__init__(widgetResizable=True)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.store, self.say, self.colors = store, say, colors
        self.model: GraphModel | None = None
        self.kind, self.item = "", -1
        inner = QtWidgets.QWidget()
        self.setWidget(inner)
        column = QtWidgets.QVBoxLayout(inner)
        column.setContentsMargins(16, 12, 16, 16)
        self.setMinimumWidth(340)
        column.setSpacing(2)
        head = QtWidgets.QHBoxLayout()
        head.setSpacing(10)
        self.mark = QtWidgets.QFrame()
        self.mark.setFixedWidth(5)
        head.addWidget(self.mark)
        names = QtWidgets.QVBoxLayout()
        names.setSpacing(0)
        self.title, self.subtitle = paragraph(), paragraph()
        self.title.setProperty("title", True)
        self.subtitle.setProperty("dim", True)
        names.addWidget(self.title)
        names.addWidget(self.subtitle)
        head.addLayout(names, 1)
        column.addLayout(head)
        self.what, self.why, self.role, self.details = paragraph(), paragraph(), paragraph(), paragraph()
        self.formula = FormulaView()
        self.formula.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.ActionsContextMenu)
        self._copy = QtGui.QAction(self.formula)
        self._copy.triggered.connect(self.formula.copy)
        self.formula.addAction(self._copy)
        self.symbols = paragraph()
        explained = QtWidgets.QWidget()
        lines = QtWidgets.QVBoxLayout(explained)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(2)
        lines.addWidget(self.formula)
        lines.addWidget(self.symbols)
        self.numbers = LiveNumbers(store, say, colors)
        self.cost = paragraph()
        self.details.linkActivated.connect(self._follow)
        self.cost.linkActivated.connect(self._follow)
        self.role.linkActivated.connect(self._follow)
        self.show_code = QtWidgets.QPushButton()
        self.show_code.clicked.connect(lambda: self.code.emit(self.item))
        technical = QtWidgets.QWidget()
        inside = QtWidgets.QVBoxLayout(technical)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.addWidget(self.details)
        inside.addWidget(self.show_code, 0, QtCore.Qt.AlignmentFlag.AlignLeft)
        self.sections = {
            "what": Section(self.what),
            "formula": Section(explained),
            "why": Section(self.why),
            "role": Section(self.role),
            "live": Section(self.numbers),
            "cost": Section(self.cost),
            "details": Section(technical, folding=True),
        }
        for section in self.sections.values():
            column.addWidget(section)
        column.addStretch(1)
        self.set_colors(colors)
        self.retranslate()

    # ---------------------------------------------------------------- what is shown
    def set_model(self, model: GraphModel) -> None:
        self.model = model
        self.show_item("", -1)

    def show_item(self, kind: str, item: int) -> None:
        """Explain a node or a group; kind "" explains how to select one."""
        self.kind, self.item = kind, item
        self.refresh()
        self.verticalScrollBar().setValue(0)

    def refresh(self) -> None:
        """Fill everything in."""
        model = self.model
        if model is not None and len(model.graph) and not self.kind:
            self._group(model, 0)
            return
        if model is None or not len(model.graph):
            self._headline(self.say("inspector.title"), "", STYLES["module"].hue)
            self._text("what", self.say("inspector.waiting"))
            for name in ("formula", "why", "role", "live", "cost", "details"):
                self.sections[name].hide()
            self.sections["what"].head.hide()
            return
        if self.kind == "node":
            self.sections["what"].head.show()
            self._node(model, self.item)
        else:
            self._group(model, self.item)

    def refresh_live(self) -> None:
        """Only what changes while training goes on."""
        if self.model is not None and self.kind == "node" and self.item < len(self.model.graph):
            before = self.numbers.histogram.height()
            self.numbers.show_node(self.item, int(self.model.graph.gradient[self.item]))
            self._cost([self.item])
            if self.numbers.histogram.height() != before:
                self.widget().layout().activate()
        elif self.model is not None and len(self.model.graph) and self.kind != "node":
            self._cost(self.model.nodes_in(max(self.item, 0)))

    def _node(self, model: GraphModel, i: int) -> None:
        g, say = model.graph, self.say
        op, kind = model.ops[i], KINDS[g.kind[i]]
        hue = style_of(model.categories[i]).hue
        scope = model.scopes[i]
        place = g.modules.get(scope, "")
        what = "" if kind == "op" else say(f"kind.{kind}")
        self._headline(
            model.title(i), " · ".join(t for t in (what, op if kind == "op" else "", place, shape_text(model.shapes[i])) if t), hue
        )
        name = {"op": op, "parameter": "parameter", "buffer": "buffer", "input": "input"}.get(kind, op)
        explained = say.op(name, "what") if kind == "op" else say(f"explain.{name}.what")
        failed = model.categories[i] == "error"
        missing = say("inspector.stopped" if failed else "inspector.no_text", op=op)
        output = say("inspector.output") + " " if g.output[i] else ""
        self._text("what", output + (explained or missing))
        formula = say.op(op, "formula") if kind == "op" else None
        self.sections["formula"].setVisible(bool(formula))
        if formula:
            self.formula.set_formula(formula)
            explained_symbols = meanings(op, say.lang)
            self.symbols.setVisible(bool(explained_symbols))
            self.symbols.setText(self._meanings(explained_symbols))
        self._text("why", (say.op(name, "why") if kind == "op" else say(f"explain.{name}.why")) or ("" if failed else missing))
        role = g.role(i)
        self._text("role", sentence(role, say.lang) if role is not None else "")
        self.sections["live"].setVisible(not failed)
        self.sections["details"].show()
        self.refresh_live()
        self.sections["cost"].setVisible(not failed)
        self._details(model, i)

    def _group(self, model: GraphModel, number: int) -> None:
        say, group = self.say, model.tree.groups[number]
        nodes = model.nodes_in(number)
        g = model.graph
        operations = say.plural("operations", len(nodes))
        if number:
            self._headline(model.group_name(number), f"{group.kind or say('inspector.scope')} · {operations}", STYLES["module"].hue)
        else:
            self._headline(self.store.hello.title or say("inspector.whole"), operations, STYLES["module"].hue)
        parameters = [i for i in nodes if KINDS[g.kind[i]] == "parameter"]
        count = sum(_size(model.shapes[i]) for i in parameters)
        sizes = {"parameters": say.number(count), "tensors": say.plural("tensors", len(parameters))}
        lines = [say("inspector.group", path=group.path, **sizes) if number else say("inspector.total", **sizes)]
        if group.path.startswith("∂"):
            lines.append(say("inspector.mirror"))
        elif group.path.startswith("optimizer"):
            lines.append(say("inspector.update"))
        self._text("what", " ".join(lines) if number else f"{lines[0]}\n\n{say('inspector.hint')}")
        self.sections["what"].head.setVisible(False)
        for name in ("formula", "why", "role", "live"):
            self.sections[name].hide()
        self._cost(nodes)
        self.show_code.hide()
        self.sections["details"].show()
        inner = [model.tree.groups[c] for c in group.children]
        links = [f'<a href="group:{c.number}">{html.escape(model.group_name(c.number))}</a> {html.escape(c.kind)}' for c in inner[:40]]
        here = [self._link(model, i) for i in group.nodes[:40]]
        rows = [
            (say("detail.path"), html.escape(group.path or "–")),
            (say("detail.modules"), "<br>".join(links)),
            (say("detail.nodes"), "<br>".join(here)),
        ]
        self.details.setText(self._table(rows))

    # ---------------------------------------------------------------- parts
    def _headline(self, title: str, subtitle: str, hue: str) -> None:
        self.title.setText(title)
        self.subtitle.setText(subtitle)
        self.mark.setStyleSheet(f"background: {hue}; border-radius: 2px;")

    def _text(self, name: str, text: str) -> None:
        section = self.sections[name]
        section.setVisible(bool(text))
        section.content.setText(html.escape(text).replace("\n", "<br>"))  # type: ignore[attr-defined]

    def _cost(self, nodes: list[int]) -> None:
        g, say, store = self.store.graph, self.say, self.store
        parts = []
        if len(nodes) == 1:
            kernel = int(g.kernel[nodes[0]])
            took = store.took.get(kernel)
            others = int((g.kernel == kernel).sum()) - 1 if kernel >= 0 else 0
            if took is not None:
                parts.append(
                    say.plural("cost.kernel", others, time=say.duration(took)) if others else say("cost.alone", time=say.duration(took))
                )
            parts.append(say("cost.stored" if g.stored[nodes[0]] else "cost.fused", size=say.amount(float(g.nbytes[nodes[0]]))))
        else:
            if store.took:
                total = sum(store.took.values())
                spent = store.times(nodes)
                parts.append(say("cost.group_time", time=say.duration(spent), share=f"{100 * spent / total:.0f}" if total else "0"))
            parts.append(say("cost.group_memory", size=say.amount(store.memory(nodes))))
        self.sections["cost"].show()
        text = html.escape(" ".join(parts))
        slow = self._slowest(nodes) if len(nodes) > 1 else []
        if slow:
            text += f"<br>{html.escape(say('cost.slowest'))}{self._table(slow)}"
        self.cost.setText(text)

    def _slowest(self, nodes: list[int], most: int = 5) -> list[tuple[str, str]]:
        """The kernels of a group that take longest: their times, and links to what they compute last."""
        store, model = self.store, self.model
        if model is None or not store.took:
            return []
        last = {int(store.graph.kernel[i]): i for i in sorted(nodes)}
        kernels = sorted((k for k in last if k in store.took), key=lambda k: -store.took[k])[:most]
        rows = []
        for k in kernels:
            scope = html.escape(model.scopes[last[k]]).replace(".", ".\u200b")  # long paths may break at their dots
            rows.append((self.say.duration(store.took[k]).replace(" ", "\u00a0"), f"{self._link(model, last[k])} {scope}"))
        return rows

    def _link(self, model: GraphModel, i: int) -> str:
        shape = shape_text(model.shapes[i])
        return f'<a href="node:{i}">{html.escape(model.title(i))}</a> {shape}'

    def _links(self, model: GraphModel, nodes: list[int]) -> str:
        shown = [self._link(model, i) for i in nodes[:LINK_LIMIT]]
        if len(nodes) > LINK_LIMIT:
            shown.append(self.say.plural("more", len(nodes) - LINK_LIMIT))
        return "<br>".join(shown) or "–"

    def _details(self, model: GraphModel, i: int) -> None:
        g, say = model.graph, self.say
        kernel = int(g.kernel[i])
        line = f"{g.text('file', i)}:{int(g.line[i])}" if g.line[i] else "–"
        path = g.text("file", i)
        where = f'<a href="file:{int(g.line[i])}:{html.escape(path)}">{html.escape(line)}</a>' if g.line[i] else "–"
        rows = [
            (say("detail.id"), f"{i} · {html.escape(model.ops[i])}"),
            (say("detail.call"), f"<code>{html.escape(model.ops[i] + g.text('attrs', i))}</code>"),
            (say("detail.path"), html.escape(model.scopes[i] or "–")),
            (say("detail.shape"), shape_text(model.shapes[i]) or "–"),
            (say("detail.dtype"), f"{model.dtypes[i]} · {g.text('device', i)}"),
            (say("detail.inputs"), self._links(model, g.inputs(i))),
            (say("detail.users"), self._links(model, g.users(i))),
            (say("detail.output"), say("yes") if g.output[i] else say("no")),
            (say("detail.line"), where),
            (say("detail.kernel"), html.escape(f"{kernel}: {g.kernel_name[kernel]}") if kernel >= 0 else say("detail.no_kernel")),
        ]
        gradient = int(g.gradient[i])
        if gradient >= 0:
            rows.insert(7, (say("detail.gradient"), self._link(model, gradient)))
        self.details.setText(self._table(rows))
        self.show_code.setVisible(kernel >= 0)

    def _table(self, rows: list[tuple[str, str]]) -> str:
        dim = self.colors.dim
        cells = (f'<tr><td style="color:{dim}; padding-right:14px">{html.escape(k)}</td><td>{v}</td></tr>' for k, v in rows if v)
        return f'<style>a {{ color: {self.colors.match}; text-decoration: none; }}</style><table cellspacing="2">{"".join(cells)}</table>'

    def _meanings(self, symbols: list[tuple[str, str]]) -> str:
        rows = (
            f'<tr><td style="padding-right:12px"><i>{html.escape(symbol)}</i></td>'
            f'<td style="color:{self.colors.dim}">{html.escape(meaning)}</td></tr>'
            for symbol, meaning in symbols
        )
        return f'<table cellspacing="1">{"".join(rows)}</table>'

    def _follow(self, link: str) -> None:
        kind, _, rest = link.partition(":")
        if kind in ("node", "group"):
            self.linked.emit(kind, int(rest))
        elif kind == "file":
            QtGui.QDesktopServices.openUrl(QtCore.QUrl.fromLocalFile(rest.partition(":")[2]))

    # ---------------------------------------------------------------- appearance
    def set_colors(self, colors: Colors) -> None:
        self.colors = colors
        self.formula.set_color(colors.text)
        self.numbers.set_colors(colors)
        self.refresh()

    def retranslate(self) -> None:
        for name, section in self.sections.items():
            section.set_heading(self.say(f"section.{name}"))
        self._copy.setText(self.say("inspector.copy_formula"))
        self.show_code.setText(self.say("inspector.show_code"))
        self.numbers.retranslate()
        self.refresh()


def _size(shape: tuple[int, ...]) -> int:
    out = 1
    for s in shape:
        out *= s
    return out
