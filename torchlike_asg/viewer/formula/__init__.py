"""Formulas in a small subset of TeX: parsed once, shown as a line of text, as MathML, or typeset by the window. No Qt here."""

from .mathml import mathml
from .parse import FormulaError, parse
from .plain import plain

__all__ = ["FormulaError", "mathml", "parse", "plain"]
