"""A formula as MathML, for HTML reports."""

from __future__ import annotations

from html import escape

from .parse import Accent, Cases, Fence, Fraction, Part, Root, Row, Script, Space, Symbol, parse

_TAGS = {"letter": "mi", "number": "mn", "name": "mi", "limits": "mo"}


def mathml(formula: str) -> str:
    """A ``<math>`` element, displayed on a line of its own."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{_write(parse(formula))}</math>'


def _write(part: Part) -> str:
    match part:
        case Symbol(text, kind):
            tag = _TAGS.get(kind, "mo")
            return f"<{tag}>{escape(text)}</{tag}>"
        case Space(width):
            return f'<mspace width="{width}em"/>'
        case Row(items):
            return f"<mrow>{''.join(map(_write, items))}</mrow>"
        case Fraction(above, below):
            return f"<mfrac>{_write(above)}{_write(below)}</mfrac>"
        case Root(inner):
            return f"<msqrt>{_write(inner)}</msqrt>"
        case Accent(mark, inner):
            return f'<mover accent="true">{_write(inner)}<mo>{"^" if mark == "hat" else "‾"}</mo></mover>'
        case Fence(left, inner, right):
            return f'<mrow><mo fence="true">{escape(left)}</mo>{_write(inner)}<mo fence="true">{escape(right)}</mo></mrow>'
        case Cases(lines):
            cells = (f"<mtr><mtd>{_write(value)}</mtd><mtd>{_write(condition)}</mtd></mtr>" for value, condition in lines)
            return f'<mrow><mo fence="true">{{</mo><mtable columnalign="left">{"".join(cells)}</mtable></mrow>'
        case Script(base, sub, sup):
            limits = isinstance(base, Symbol) and base.kind in ("big", "limits") and base.text != "∫"
            over, under, both = ("mover", "munder", "munderover") if limits else ("msup", "msub", "msubsup")
            if sub is not None and sup is not None:
                return f"<{both}>{_write(base)}{_write(sub)}{_write(sup)}</{both}>"
            tag, script = (under, sub) if sub is not None else (over, sup)
            assert script is not None
            return f"<{tag}>{_write(base)}{_write(script)}</{tag}>"
