"""What stands in a formula, in order of appearance, and what it means in the formula of an operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...i18n import catalog
from .parse import NAMES, Accent, Cases, Fence, Fraction, Part, Root, Row, Script, Symbol, parse

#: signs that are explained like letters
SIGNS = ("⊙", "⊕", "⊤")


def symbols(formula: str) -> list[str]:
    """The letters of a formula, each once: ``dx = g\\, [y > 0]`` has "dx", "g", "[ ]" and "y".

    A "d" and the letter behind it are one symbol (a gradient), words such as "onehot" are one each, "[ ]" stands for brackets around a
    condition. The e of
    exponentials and functions that everybody knows, such as sin, are left out.
    """
    return list(dict.fromkeys(_of(parse(formula))))


def meanings(op: str, lang: str) -> list[tuple[str, str]]:
    """The symbols in an operation's formula, each with its meaning in a language: the operation's own text, else the one all share.

    None for a formula of nothing but an operand x and a result y.
    """
    formula = catalog.find(f"op.{op}.formula", lang)
    found = symbols(formula) if formula else []
    shared = ("ui.viewer.symbol.gradient", "ui.viewer.symbol") if "g" in found else ("ui.viewer.symbol",)
    told: dict[str, str] = {}
    for symbol in found:
        meaning = _meaning(symbol, (f"op.{op}.where", *shared), lang)
        if meaning is not None:
            told[symbol] = meaning
        elif symbol[0] == "d":  # no gradient, but the differential of an integral, or a factor
            told |= {part: own for part in ("d", symbol[1:]) if (own := _meaning(part, (f"op.{op}.where",), lang)) is not None}
    own = any(catalog.find(f"op.{op}.where.{symbol}", lang) is not None for symbol in told)
    return list(told.items()) if own or not set(told) <= {"x", "y"} else []


def _meaning(symbol: str, tables: tuple[str, ...], lang: str) -> str | None:
    return next((text for table in tables if (text := catalog.find(f"{table}.{symbol}", lang)) is not None), None)


def _of(part: Part | None) -> Iterator[str]:
    match part:
        case Symbol(text, "letter" | "name") if text[0].isalpha() and text not in NAMES:
            yield text
        case Symbol(text, "mark" | "binary" | "big") if text in SIGNS or (len(text) == 1 and text.isalpha()):
            yield text
        case Row(items):
            yield from _row(items)
        case Script(base, sub, sup):
            if not (base == Symbol("e", "letter") and sup is not None):
                yield from _of(base)
            yield from _all((sub, sup))
        case Fraction(above, below):
            yield from _all((above, below))
        case Root(inner) | Accent(_, inner) | Fence(_, inner, _):
            yield from _of(inner)
        case Cases(lines):
            for line in lines:
                yield from _all(line)


def _all(parts: Iterable[Part | None]) -> Iterator[str]:
    for part in parts:
        yield from _of(part)


def _row(items: tuple[Part, ...]) -> Iterator[str]:
    differential = False
    for at, item in enumerate(items):
        if item == Symbol("d", "letter") and at + 1 < len(items) and _starts_with_letter(items[at + 1]):
            differential = True
            continue
        if item == Symbol("[", "open") and _is_condition(items[at:]):
            yield "[ ]"
        found = list(_of(item))
        if differential:
            found[0] = f"d{found[0]}"
        differential = False
        yield from found


def _starts_with_letter(part: Part) -> bool:
    base = part.base if isinstance(part, Script) else part
    return isinstance(base, Symbol) and base.kind == "letter"


def _is_condition(items: tuple[Part, ...]) -> bool:
    """Whether brackets hold a comparison rather than a list or a range."""
    for item in items:
        if isinstance(item, Symbol) and (item.text == "]" or item.kind == "relation"):
            return item.text not in ("]", ":")
    return False
