"""The message catalogue: ``text("ui.cli.training", "ru")``.

A language is a folder of TOML files beside this one; nested tables become dotted keys. English is the reference: a key another
language lacks falls back to it, and the test suite demands that none does. Adding a language means adding a folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["entries", "find", "languages", "parse_language", "plural", "text"]

FALLBACK = "en"
_ROOT = Path(__file__).parent


@cache
def languages() -> tuple[str, ...]:
    """The codes of all languages, the fallback first."""
    codes = sorted(folder.name for folder in _ROOT.iterdir() if (folder / "ui.toml").is_file())
    return tuple(sorted(codes, key=lambda code: code != FALLBACK))


@cache
def entries(lang: str) -> dict[str, str]:
    """Every text of one language by its dotted key. Treat as read-only: the dictionary is shared."""
    if lang not in languages():
        raise ValueError(f"unknown language {lang!r}; there are {', '.join(languages())}")
    found: dict[str, str] = {}
    for path in sorted((_ROOT / lang).rglob("*.toml")):
        for key, value in _flatten(tomllib.loads(path.read_text(encoding="utf-8")), ""):
            if key in found:
                raise ValueError(f"the text {key!r} is defined twice for language {lang!r} (again in {path.name})")
            found[key] = value
    return found


def _flatten(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            yield prefix + name, value
        else:
            raise ValueError(f"the text {prefix + name!r} must be a string, not {type(value).__name__}")


def find(key: str, lang: str = FALLBACK) -> str | None:
    """The text of `key` in `lang`, else in English, else None. Placeholders are left as they stand."""
    found = entries(lang).get(key)
    return entries(FALLBACK).get(key) if found is None else found


def text(key: str, lang: str = FALLBACK, **fields: Any) -> str:
    """The text of `key`, its ``{placeholders}`` filled from `fields` (a text without fields is returned verbatim).

    Raises KeyError for a key that no language has: that is a mistake in the calling code.
    """
    found = find(key, lang)
    if found is None:
        raise KeyError(f"no text for {key!r}")
    return found.format(**fields) if fields else found


def _slavic(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if n % 10 in (2, 3, 4) and n % 100 not in (12, 13, 14) else "many"


#: how a language counts, by the rule that its ``language.plural`` names: the category of a whole number (CLDR)
PLURALS: dict[str, Callable[[int], str]] = {
    "one": lambda n: "one" if n == 1 else "many",
    "one with zero": lambda n: "one" if n in (0, 1) else "many",
    "slavic": _slavic,
    "none": lambda n: "many",
}


def plural(key: str, n: int, lang: str = FALLBACK, **fields: Any) -> str:
    """The text of `key` for `n` things: ``key.one``, ``key.few`` or ``key.many``, as the language's rule chooses; ``{n}`` is the number."""
    category = PLURALS[text("language.plural", lang)](abs(n))
    return text(f"{key}.{category}", lang, n=n, **fields)


def parse_language(value: str) -> str | None:
    """The code of the language a user named by code or alias, in any case; None for a name no language goes by."""
    wanted = value.strip().lower()
    for code in languages():
        if wanted in (code, entries(code)["language.alias"]):
            return code
    return None
