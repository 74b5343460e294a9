"""A formula as one line of Unicode text: to copy, and for screen readers."""

from __future__ import annotations

import re

from .parse import Accent, Cases, Fence, Fraction, Part, Root, Row, Script, Space, Symbol, parse

_SUB = str.maketrans("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_SUP = str.maketrans("0123456789+-−=()nix⊤′", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱˣᵀ′")


def plain(formula: str | Part) -> str:
    """``\\frac{1}{1 + e^{-x}}`` becomes ``1 / (1 + e^(−x))``."""
    text = _write(parse(formula) if isinstance(formula, str) else formula)
    return " ".join(text.split())


def _write(part: Part) -> str:
    match part:
        case Symbol(text, kind):
            if kind in ("binary", "relation"):
                return f" {text} "
            return f"{text} " if kind in ("comma", "name", "limits", "big") else text
        case Space(width):
            return " " if width > 0.25 else ""
        case Row(items):
            return _row(items)
        case Fraction(above, below):
            return f"{_closed(above)} / {_closed(below)}"
        case Root(inner):
            return f"√{_closed(inner)}"
        case Accent(mark, inner):
            text = _write(inner).strip()
            return text + ("̂" if mark == "hat" else "̄") if len(text) == 1 else f"{'hat' if mark == 'hat' else 'mean'}({text})"
        case Fence(left, inner, right):
            return f"{left}{_write(inner).strip()}{right}"
        case Cases(lines):
            return "{" + "; ".join(f"{_write(value).strip()}, {_write(condition).strip()}" for value, condition in lines) + "}"
        case Script(base, sub, sup):
            text = _write(base).rstrip()
            after = " " if isinstance(base, Symbol) and base.kind in ("name", "limits", "big") else ""
            if sub is not None:
                text += _script(sub, _SUB, "_")
            if sup is not None:
                text += _script(sup, _SUP, "^")
            return text + after


def _row(items: tuple[Part, ...]) -> str:
    text = ""
    seen = [i for i in items if not isinstance(i, Space)]
    at = 0
    for item in items:
        piece = _write(item)
        if isinstance(item, Space):
            text += piece
            continue
        before = seen[at - 1] if at else None
        after = seen[at + 1] if at + 1 < len(seen) else None
        at += 1
        if isinstance(item, Fraction) and not (_ends(before) and _begins(after)):
            piece = f"({piece})"
        if isinstance(item, Symbol) and item.kind == "binary" and _ends(before):
            piece = item.text  # a sign, not an operation between two values
        if isinstance(item, Symbol) and item.kind == "open" and _is_word(before, functions=True):
            text = text.rstrip()  # a function and its argument
        elif text and (text[-1].isalnum() or text[-1] in ")]") and _is_word(item):
            text += " "
        text += piece
    return text


def _ends(before: Part | None) -> bool:
    """Whether what comes before ends a value: nothing multiplies what follows."""
    return before is None or (isinstance(before, Symbol) and before.kind in ("binary", "relation", "open", "comma"))


def _begins(after: Part | None) -> bool:
    return after is None or (isinstance(after, Symbol) and after.kind in ("binary", "relation", "close", "comma"))


def _is_word(item: Part | None, functions: bool = False) -> bool:
    base = item.base if isinstance(item, Script) else item
    return isinstance(base, Symbol) and (base.kind in ("name", "limits") or (base.kind == "big" and not functions))


def _closed(part: Part) -> str:
    """In parentheses unless it is one thing."""
    text = _write(part).strip()
    single = isinstance(part, (Symbol, Script, Accent)) or len(text) == 1
    return text if single and " " not in text else f"({text})"


def _script(part: Part, table: dict[int, str | int | None], mark: str) -> str:
    text = re.sub(r"\s*([^\w\s])\s*", r"\1", _write(part).strip())
    if text and all(ord(c) in table for c in text):
        return text.translate(table)
    bracketed = (
        isinstance(part, Row) and isinstance(part.items[0], Symbol) and part.items[0].text == "(" and text.find(")") == len(text) - 1
    )
    return mark + (text if len(text) == 1 or bracketed else f"({text})")
