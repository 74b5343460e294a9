r"""From TeX to a tree.

The subset: letters and digits, ``^ _ { }``, ``\frac \sqrt \left \right \bar \overline \hat``, ``\cases{value & condition \\ ...}``,
``\operatorname \mathrm \text``, large operators with limits, Greek letters, the symbols in `SYMBOLS` and spaces. Anything else is a
`FormulaError`: a formula that cannot be shown is a mistake in a text, and a test finds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["letter", "number", "name", "binary", "relation", "open", "close", "comma", "mark", "big", "limits"]


class FormulaError(ValueError):
    """A formula outside the subset; the message names the place."""


@dataclass(frozen=True)
class Symbol:
    """One sign. ``letter`` is italic; ``name`` an upright word; ``big`` a large operator and ``limits`` a word, both with limits above and
    below; the others differ in the room around them."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Row:
    items: tuple[Part, ...]


@dataclass(frozen=True)
class Script:
    """A base with a subscript, a superscript or both."""

    base: Part
    sub: Part | None
    sup: Part | None


@dataclass(frozen=True)
class Fraction:
    above: Part
    below: Part


@dataclass(frozen=True)
class Root:
    inner: Part


@dataclass(frozen=True)
class Accent:
    """A mark over a part: ``bar``, ``line`` (over all of it) or ``hat``."""

    mark: Literal["bar", "line", "hat"]
    inner: Part


@dataclass(frozen=True)
class Fence:
    """Brackets as tall as what they enclose; an empty one is not drawn."""

    left: str
    inner: Part
    right: str


@dataclass(frozen=True)
class Cases:
    """A brace before lines of a value and the condition under which it holds."""

    lines: tuple[tuple[Row, Row], ...]


@dataclass(frozen=True)
class Space:
    """Room, in ems."""

    width: float


Part = Symbol | Row | Script | Fraction | Root | Accent | Fence | Cases | Space

GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi varphi chi psi omega".split(),
        "αβγδϵεζηθκλμνξπρστϕφχψω",
        strict=True,
    )
) | dict(zip("Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΦΨΩ", strict=True))
SYMBOLS: dict[str, tuple[str, Kind]] = {
    "cdot": ("·", "binary"),
    "times": ("×", "binary"),
    "odot": ("⊙", "binary"),
    "oplus": ("⊕", "binary"),
    "wedge": ("∧", "binary"),
    "vee": ("∨", "binary"),
    "pm": ("±", "binary"),
    "bmod": ("mod", "binary"),
    "le": ("≤", "relation"),
    "leq": ("≤", "relation"),
    "ge": ("≥", "relation"),
    "geq": ("≥", "relation"),
    "ne": ("≠", "relation"),
    "approx": ("≈", "relation"),
    "sim": ("∼", "relation"),
    "to": ("→", "relation"),
    "in": ("∈", "relation"),
    "mid": ("|", "relation"),
    "lfloor": ("⌊", "open"),
    "rfloor": ("⌋", "close"),
    "lceil": ("⌈", "open"),
    "rceil": ("⌉", "close"),
    "lVert": ("‖", "open"),
    "rVert": ("‖", "close"),
    "langle": ("⟨", "open"),
    "rangle": ("⟩", "close"),
    "{": ("{", "open"),
    "}": ("}", "close"),
    "neg": ("¬", "mark"),
    "infty": ("∞", "mark"),
    "partial": ("∂", "mark"),
    "nabla": ("∇", "mark"),
    "top": ("⊤", "mark"),
    "ldots": ("…", "mark"),
    "dots": ("…", "mark"),
    "&": ("&", "mark"),
    "sum": ("∑", "big"),
    "prod": ("∏", "big"),
    "int": ("∫", "big"),
    "bigwedge": ("∧", "big"),
    "bigvee": ("∨", "big"),
    "bigoplus": ("⊕", "big"),
}
NAMES = ("log ln exp sin cos tan sinh cosh tanh arcsin arccos arctan det gcd erf tr arg Pr").split()
LIMITS = ("max", "min", "argmax", "argmin", "lim", "sup", "inf")
SPACES = {",": 0.17, ":": 0.22, ";": 0.28, " ": 0.3, "!": -0.17, "quad": 1.0, "qquad": 2.0}
_PLAIN: dict[str, Kind] = {
    **dict.fromkeys("+-*/?", "binary"),
    **dict.fromkeys("=<>:", "relation"),
    **dict.fromkeys("([", "open"),
    **dict.fromkeys(")]", "close"),
    **dict.fromkeys(",;", "comma"),
    **dict.fromkeys("|.!'%", "mark"),
}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[0-9]+(?:\.[0-9]+)?|\s+|.")


def parse(source: str) -> Row:
    """The tree of a formula."""
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = [t for t in _TOKEN.findall(source) if not t.isspace()]
        self.at = 0

    def fail(self, why: str) -> FormulaError:
        return FormulaError(f"{why} in formula {self.source!r}")

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        if not token:
            raise self.fail("unexpected end")
        self.at += 1
        return token

    def whole(self) -> Row:
        found = self.row("")
        if self.peek():
            raise self.fail(f"unmatched {self.peek()!r}")
        return found

    def row(self, end: str) -> Row:
        """Parts up to the token `end`, which is left; up to the end of the source for an empty one."""
        items: list[Part] = []
        while self.peek() and self.peek() != end:
            if self.peek() in ("}", "\\right", "&", "\\\\"):
                break
            items.append(self.scripted())
        return Row(tuple(items))

    def scripted(self) -> Part:
        base = self.one()
        sub = sup = None
        while self.peek() in ("_", "^", "'"):
            mark = self.take()
            if mark == "'":
                prime: Part = Symbol("′", "mark")
                sup = prime if sup is None else Row((sup, prime))
            elif mark == "_":
                if sub is not None:
                    raise self.fail("two subscripts")
                sub = self.group()
            else:
                if sup is not None:
                    raise self.fail("two superscripts")
                sup = self.group()
        return base if sub is None and sup is None else Script(base, sub, sup)

    def group(self) -> Part:
        """An argument: in braces, or one sign."""
        if self.peek() == "{":
            self.take()
            found = self.row("}")
            self.expect("}")
            return found.items[0] if len(found.items) == 1 else found
        return self.one()

    def word(self) -> str:
        """A braced argument as text."""
        self.expect("{")
        text = ""
        while self.peek() != "}":
            token = self.take()
            text += SYMBOLS[token[1:]][0] if token[1:] in SYMBOLS else token
        self.take()
        return text

    def one(self) -> Part:
        token = self.peek()
        if token == "{":
            return self.group()
        self.take()
        if token.startswith("\\"):
            return self.command(token[1:])
        if token[0].isdigit():
            return Symbol(token, "number")
        if token in _PLAIN:
            return Symbol("−" if token == "-" else token, _PLAIN[token])
        if token.isalpha():
            return Symbol(token, "letter")
        raise self.fail(f"unexpected {token!r}")

    def command(self, name: str) -> Part:
        if name == "frac":
            return Fraction(self.group(), self.group())
        if name == "sqrt":
            return Root(self.group())
        if name in ("bar", "overline", "hat"):
            return Accent("line" if name == "overline" else "hat" if name == "hat" else "bar", self.group())
        if name == "left":
            left = self.fence()
            inner = self.row("\\right")
            self.expect("\\right")
            return Fence(left, inner, self.fence())
        if name == "cases":
            return self.cases()
        if name in ("operatorname", "mathrm", "text"):
            return Symbol(self.word(), "name")
        if name == "mathbin":
            return Symbol(self.word(), "binary")
        if name == "mathord":
            return Symbol(self.word(), "mark")
        if name == "arg" and self.peek() in ("\\max", "\\min"):
            return Symbol(f"arg {self.take()[1:]}", "limits")
        if name in GREEK:
            return Symbol(GREEK[name], "letter" if name[0].islower() else "mark")
        if name in SYMBOLS:
            return Symbol(*SYMBOLS[name])
        if name in LIMITS:
            return Symbol(name, "limits")
        if name in NAMES:
            return Symbol(name, "name")
        if name in SPACES:
            return Space(SPACES[name])
        raise self.fail(f"unknown command \\{name}")

    def cases(self) -> Cases:
        self.expect("{")
        lines = []
        while True:
            value = self.row("&")
            self.expect("&")
            lines.append((value, self.row("}")))
            if self.peek() != "\\\\":
                break
            self.take()
        self.expect("}")
        return Cases(tuple(lines))

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise self.fail(f"missing {token}")

    def fence(self) -> str:
        token = self.take()
        if token == ".":
            return ""
        return SYMBOLS[token[1:]][0] if token.startswith("\\") and token[1:] in SYMBOLS else token
