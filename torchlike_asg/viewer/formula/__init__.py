"""Formulas in a small subset of TeX: parsed once, shown as a line of text, as MathML, or typeset by the window. No Qt here."""

from .mathml import mathml
from .parse import FormulaError, parse
from .plain import plain
from .symbols import meanings, symbols

__all__ = ["FormulaError", "mathml", "meanings", "parse", "plain", "symbols"]
