"""The message catalogue: lookup, fallback, and that every language has every text."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path

import pytest

from torchlike_asg.i18n import catalog

FOLDER = Path(catalog.__file__).parent


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_languages() -> None:
    assert catalog.languages() == ("en", "ru")


@pytest.mark.parametrize("lang", catalog.languages()[1:])
def test_every_text_is_translated(lang: str) -> None:
    english, other = catalog.entries("en"), catalog.entries(lang)
    assert sorted(english) == sorted(other)


@pytest.mark.parametrize("lang", catalog.languages()[1:])
def test_translations_keep_the_placeholders(lang: str) -> None:
    for key, english in catalog.entries("en").items():
        if key.startswith(("ui.", "role.")):
            assert fields_of(english) == fields_of(catalog.entries(lang)[key]), key


def test_russian_is_russian() -> None:
    """No text was left in English: every Russian sentence of the interface has Cyrillic letters."""
    for key, text in catalog.entries("ru").items():
        if key.startswith(("ui.", "role.")):
            assert any("а" <= letter <= "я" for letter in text.lower()), key


@pytest.mark.parametrize("lang", catalog.languages())
def test_files_are_the_same_in_every_language(lang: str) -> None:
    files = [{path.relative_to(FOLDER / code) for path in (FOLDER / code).rglob("*.toml")} for code in (lang, "en")]
    assert files[0] == files[1]


def test_text_fills_placeholders() -> None:
    assert catalog.text("ui.cli.summary_resumed", "en", step=7) == "Resumed after step 7."
    assert catalog.text("ui.cli.summary_resumed", "ru", step=7) == "Продолжение после шага 7."


def test_text_without_fields_is_verbatim() -> None:
    assert catalog.text("ui.cli.summary_resumed") == "Resumed after step {step}."


def test_missing_translation_falls_back_to_english(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for lang, content in {"en": 'a = "one"\n[b]\nc = "two"', "xx": 'a = "eins"'}.items():
        (tmp_path / lang).mkdir()
        (tmp_path / lang / "ui.toml").write_text(content, encoding="utf-8")
    monkeypatch.setattr(catalog, "_ROOT", tmp_path)
    try:
        clear_caches()
        assert catalog.languages() == ("en", "xx")
        assert catalog.text("a", "xx") == "eins"
        assert catalog.text("b.c", "xx") == "two"
        assert catalog.find("nowhere", "xx") is None
    finally:
        monkeypatch.undo()
        clear_caches()


def clear_caches() -> None:
    catalog.languages.cache_clear()
    catalog.entries.cache_clear()


def test_unknown_key_and_language_raise() -> None:
    with pytest.raises(KeyError, match="no text for"):
        catalog.text("ui.nothing")
    with pytest.raises(ValueError, match="unknown language 'fr'; there are en, ru"):
        catalog.entries("fr")


@pytest.mark.parametrize(
    ("name", "code"), [("en", "en"), ("English", "en"), ("RU", "ru"), ("russian", "ru"), (" Russian ", "ru"), ("fr", None), ("", None)]
)
def test_parse_language(name: str, code: str | None) -> None:
    assert catalog.parse_language(name) == code


def test_files_have_no_text_but_strings() -> None:
    for path in FOLDER.rglob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
    for lang in catalog.languages():
        assert all(isinstance(text, str) and text.strip() for text in catalog.entries(lang).values())
