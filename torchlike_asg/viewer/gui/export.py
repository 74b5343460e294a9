"""The graph as SVG, PNG, PDF, ``.asg.json`` and Graphviz, and the run as one HTML page."""

from __future__ import annotations

import base64
import errno
import html
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from pyqtgraph.Qt import QtCore, QtGui, QtSvg

from ..damage import Damaged
from ..formula import mathml, meanings
from ..roles import sentence
from ..snapshot import GraphSnapshot
from .canvas import Camera, Canvas, Colors
from .canvas.palette import style_of
from .charts import curve_hue
from .graphs import GraphModel
from .say import Say, shape_text, short
from .series import smoothed, thin
from .store import Store

MARGIN = 24.0
#: pixels of an exported image, at most, along either side
MOST_PIXELS = 16_000
FORMATS = ("svg", "png", "pdf", "html", "asg.json", "dot")


def draw(p: QtGui.QPainter, canvas: Canvas, zoom: float = 1.0) -> None:
    """The whole scene, as the canvas shows it now."""
    width, height = size(canvas)
    marks = replace(canvas.marks, selected=-1, hover=-1, matches=())
    canvas.painter.draw(p, canvas.geometry_, Camera(zoom, MARGIN * zoom, MARGIN * zoom), width * zoom, height * zoom, marks)


def size(canvas: Canvas) -> tuple[float, float]:
    return canvas.scene.width + 2 * MARGIN, canvas.scene.height + 2 * MARGIN


def to_svg(canvas: Canvas, path: str | Path) -> None:
    generator = QtSvg.QSvgGenerator()
    generator.setFileName(str(path))
    width, height = size(canvas)
    generator.setSize(QtCore.QSize(int(width), int(height)))
    generator.setViewBox(QtCore.QRectF(0, 0, width, height))
    p = QtGui.QPainter(generator)
    draw(p, canvas)
    p.end()


def to_image(canvas: Canvas, scale: float = 2.0) -> QtGui.QImage:
    width, height = size(canvas)
    scale = min(scale, MOST_PIXELS / max(width, height))
    image = QtGui.QImage(int(width * scale), int(height * scale), QtGui.QImage.Format.Format_RGB32)
    p = QtGui.QPainter(image)
    draw(p, canvas, scale)
    p.end()
    return image


def to_pdf(canvas: Canvas, path: str | Path) -> None:
    """One page as large as the drawing."""
    width, height = size(canvas)
    writer = QtGui.QPdfWriter(str(path))
    writer.setResolution(72)
    writer.setPageMargins(QtCore.QMarginsF(0, 0, 0, 0))
    writer.setPageSize(QtGui.QPageSize(QtCore.QSizeF(width, height), QtGui.QPageSize.Unit.Point))
    p = QtGui.QPainter(writer)
    draw(p, canvas)
    p.end()


def to_dot(model: GraphModel) -> str:
    """For Graphviz: scopes as clusters."""
    lines = ["digraph asg {", '  node [shape=box, style="rounded,filled", fontname="DejaVu Sans", fontsize=10];']

    def group(number: int, depth: int) -> None:
        g, pad = model.tree.groups[number], "  " * (depth + 1)
        if number:
            lines.append(f"{pad}subgraph cluster_{number} {{ label={_quoted(' '.join((g.name, g.kind)).strip())};")
        for i in g.nodes:
            title, subtitle = model.node_text(i)
            hue = style_of(model.categories[i]).hue
            lines.append(
                f'{pad}  n{i} [label={_quoted(title + chr(10) + subtitle if subtitle else title)}, fillcolor="{hue}55", color="{hue}"];'
            )
        for c in g.children:
            group(c, depth + 1)
        if number:
            lines.append(f"{pad}}}")

    group(0, 0)
    lines += [f"  n{s} -> n{d};" for s, d in zip(model.graph.src.tolist(), model.graph.dst.tolist(), strict=True)]
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def save(path: Path, canvas: Canvas, model: GraphModel, store: Store, say: Say) -> None:
    """Export by the ending of the file's name. Damaged for an ending that is none of `FORMATS`, OSError if it cannot be written."""
    name = path.name.lower()
    if not name.endswith((*(f".{f}" for f in FORMATS), ".json", ".htm", ".gv")):
        raise Damaged("ending", ending=path.suffix or path.name, known=", ".join(FORMATS))
    path.open("ab").close()  # Qt's writers say nothing of a place that cannot be written
    if name.endswith(".svg"):
        to_svg(canvas, path)
    elif name.endswith(".png"):
        if not to_image(canvas).save(str(path)):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
    elif name.endswith(".pdf"):
        to_pdf(canvas, path)
    elif name.endswith((".html", ".htm")):
        path.write_text(to_html(canvas, model, store, say), encoding="utf-8")
    elif name.endswith(".json"):
        path.write_text(model.graph.to_json(), encoding="utf-8")
    else:
        path.write_text(to_dot(model), encoding="utf-8")


# ---------------------------------------------------------------- the report
def to_html(canvas: Canvas, model: GraphModel, store: Store, say: Say) -> str:
    """The run on one page without scripts: summary, curves, the graph, its operations explained, its parameters."""
    c = canvas.colors
    data = QtCore.QByteArray()
    buffer = QtCore.QBuffer(data)
    buffer.open(QtCore.QIODevice.OpenModeFlag.WriteOnly)
    to_image(canvas, 1.5).save(buffer, "PNG")
    picture = base64.b64encode(data.data()).decode()
    body = [f"<h1>{html.escape(store.hello.title or say('window.title'))}</h1>", f"<p>{html.escape(_summary(model.graph, store, say))}</p>"]
    body += [_curve_svg(n, k, store, say, c) for k, n in enumerate(store.curves)]
    body.append(f'<h2>{say("report.graph")}</h2><img alt="{html.escape(say("report.graph"))}" src="data:image/png;base64,{picture}">')
    body.append(f"<h2>{say('report.operations')}</h2>{_operations(model, say)}")
    body.append(f"<h2>{say('report.parameters')}</h2>{_parameters(model, store, say)}")
    style = (
        f"body{{background:{c.background};color:{c.text};font:15px/1.5 'DejaVu Sans',sans-serif;max-width:1100px;margin:2em auto}}"
        f"img{{max-width:100%}}table{{border-collapse:collapse}}h2{{margin-top:2em}}svg text{{fill:{c.dim};font-size:12px}}"
        f"td,th{{padding:4px 12px 4px 0;text-align:left;vertical-align:top;border-bottom:1px solid {c.line}}}"
    )
    title = html.escape(store.hello.title)
    head = f'<!doctype html><html lang="{say.lang}"><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return head + "\n".join(body) + "</html>\n"


def _summary(g: GraphSnapshot, store: Store, say: Say) -> str:
    parameters = [i for i in range(len(g)) if g.kind[i] == 1]
    count = sum(int(np.prod(g.shape(i), dtype=np.int64)) for i in parameters)
    parts = [say.plural("operations", len(g)), say("report.count", count=say.number(count))]
    loss = store.curves.get("loss")
    if loss is not None and len(loss):
        parts.append(say("report.loss", step=say.number(store.step), loss=short(float(loss.values[-1]))))
    return " · ".join(parts)


def _curve_svg(name: str, number: int, store: Store, say: Say, colors: Colors) -> str:
    curve = store.curves[name]
    finite = np.isfinite(curve.values)
    if finite.sum() < 2:
        return ""
    x, y = curve.steps[finite], curve.values[finite]
    w, h, left = 900.0, 220.0, 70.0
    low, high = float(y.min()), float(y.max())
    hue = curve_hue(number, colors)

    def path(values: np.ndarray) -> str:
        xs, ys = thin(x, values, 1500)
        sx = left + (xs - x[0]) / max(x[-1] - x[0], 1e-12) * (w - left - 10)
        sy = h - 24 - (ys - low) / max(high - low, 1e-12) * (h - 40)
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(sx.tolist(), sy.tolist(), strict=True))

    title = {"loss": say("chart.loss"), "lr": say("chart.lr"), "grad norm": say("chart.norm")}.get(name, name)
    return (
        f'<h2>{html.escape(title)}</h2><svg viewBox="0 0 {w:.0f} {h:.0f}" width="100%" role="img" aria-label="{html.escape(title)}">'
        f'<path d="M{left} 12V{h - 24}H{w}" stroke="{colors.line}" fill="none"/>'
        f'<path d="{path(y)}" stroke="{hue}" stroke-opacity=".4" fill="none"/>'
        f'<path d="{path(smoothed(y, 0.9 if len(y) > 40 else 0.0))}" stroke="{hue}" stroke-width="2" fill="none"/>'
        + "".join(
            f'<text x="{tx:.0f}" y="{ty:.0f}" text-anchor="{anchor}">{word}</text>'
            for tx, ty, anchor, word in (
                (left - 6, 18, "end", short(high)),
                (left - 6, h - 24, "end", short(low)),
                (left, h - 6, "start", f"{x[0]:.0f}"),
                (w - 10, h - 6, "end", f"{x[-1]:.0f}"),
            )
        )
        + "</svg>"
    )


def _operations(model: GraphModel, say: Say) -> str:
    counts: dict[str, int] = {}
    for i, op in enumerate(model.ops):
        if model.graph.kind[i] == 0:
            counts[op] = counts.get(op, 0) + 1
    rows = []
    for op, n in sorted(counts.items(), key=lambda item: -item[1]):
        formula = say.op(op, "formula")
        typeset = mathml(formula) if formula else ""
        what = say.op(op, "what") or say("inspector.no_text", op=op)
        where = "<br>".join(f"<i>{html.escape(symbol)}</i> {html.escape(meaning)}" for symbol, meaning in meanings(op, say.lang))
        rows.append(
            f"<tr><td>{html.escape(say.op(op, 'title') or op)}</td><td>×{n}</td><td>{html.escape(what)}</td>"
            f"<td>{typeset}<small>{where}</small></td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _parameters(model: GraphModel, store: Store, say: Say) -> str:
    rows = []
    for i in range(len(model.graph)):
        if model.graph.kind[i] != 1 or model.graph.phase[i] != 0:
            continue
        role, look = model.graph.role(i), store.look(i)
        numbers = f"{short(float(look.row[0]))} ± {short(float(look.row[1]))}" if look is not None else ""
        told = sentence(role, say.lang) if role is not None else ""
        cells = (f"{model.scopes[i]}.{model.names[i]}", shape_text(model.shapes[i]), numbers, told)
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(rows)}</table>"
