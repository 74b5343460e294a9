"""Typeset formulas: outlines stay within their boxes, and the widget shows and copies them."""

import pytest
from pyqtgraph.Qt import QtGui, QtWidgets

from torchlike_asg.i18n import catalog
from torchlike_asg.viewer.formula import parse
from torchlike_asg.viewer.gui.formula import FormulaView, typeset

FORMULAS = sorted({text for key, text in catalog.entries("en").items() if key.endswith(".formula")})


def test_every_formula_is_typeset_within_its_box(application):
    for source in FORMULAS:
        piece = typeset(parse(source), 20)
        ink = piece.path.boundingRect()
        assert ink.width() > 4, source
        assert ink.left() >= -4, source
        assert ink.right() <= piece.width + 4, source
        assert -ink.top() <= piece.above + 2, source
        assert ink.bottom() <= piece.below + 2, source


def test_fonts_have_every_sign_of_the_formulas(application):
    signs = set("".join(s.text for source in FORMULAS for s in _symbols(parse(source))))
    raw = QtGui.QRawFont.fromFont(QtGui.QFont("DejaVu Serif"))
    assert not [s for s in signs if not raw.supportsCharacter(ord(s))]


def _symbols(part):
    from dataclasses import fields, is_dataclass

    from torchlike_asg.viewer.formula.parse import Symbol

    if isinstance(part, Symbol):
        yield part
    elif is_dataclass(part):
        for f in fields(part):
            value = getattr(part, f.name)
            for inner in value if isinstance(value, tuple) else (value,):
                yield from _symbols(inner)


@pytest.mark.parametrize(("short", "tall"), [("x", r"\frac{x}{y}"), ("x", "x^2"), (r"\sum x", r"\sum_i x"), ("x", r"\sqrt x")])
def test_fractions_scripts_limits_and_roots_take_room(application, short, tall):
    a, b = typeset(parse(short), 20), typeset(parse(tall), 20)
    assert b.above + b.below > a.above + a.below


def test_brackets_grow_with_what_they_enclose(application):
    plain, grown = typeset(parse("(x)"), 20), typeset(parse(r"\left( \frac{x}{y} \right)"), 20)
    assert grown.above + grown.below > 1.5 * (plain.above + plain.below)


def test_the_view_draws_and_copies(application):
    view = FormulaView()
    view.set_color("#ff0000")
    view.set_formula(r"y = \frac{1}{2}")
    view.resize(view.sizeHint())
    image = view.grab().toImage()
    assert any(
        image.pixelColor(x, y).red() > 150 > image.pixelColor(x, y).green() for x in range(image.width()) for y in range(image.height())
    )
    view.copy()
    assert QtWidgets.QApplication.clipboard().text() == "y = 1 / 2"
    assert view.accessibleName() == "y = 1 / 2"
    view.set_formula("")
    assert view.sizeHint().isEmpty()
    view.deleteLater()
