"""Reading and numbering the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchlike_asg.cli.data import Corpus, read_file, standard_library_text
from torchlike_asg.cli.problem import Problem


def test_standard_library_text_is_bounded_and_repeatable() -> None:
    text = standard_library_text(200_000)
    assert len(text) == 200_000
    assert text == standard_library_text(200_000)
    assert standard_library_text(300_000).startswith(text)
    assert "import " in text
    assert "\r" not in text


def test_standard_library_without_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(Problem, match="no_library_source"):
        standard_library_text()


def test_undecodable_modules_are_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"# coding: latin-1\n# caf\xe9\n")
    (tmp_path / "b.py").write_bytes(b"# not utf-8: \xff\n")
    (tmp_path / "c.py").write_bytes(b"x = 1\r\n")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    assert standard_library_text() == "# coding: latin-1\n# café\nx = 1\n"


@given(st.text(min_size=40, max_size=400), st.integers(1, 3))
def test_corpus_round_trip(text: str, block: int) -> None:
    corpus = Corpus.of(text, block)
    assert corpus.vocabulary == "".join(sorted(set(text)))
    assert corpus.decode(corpus.train.tolist()) + corpus.decode(corpus.held_out.tolist()) == text
    assert len(corpus.held_out) == len(text) // 10
    assert corpus.train.dtype == corpus.held_out.dtype == np.int64


def test_corpus_needs_a_window_in_the_held_out_part() -> None:
    assert len(Corpus.of("ab" * 45, 8).held_out) == 9
    with pytest.raises(Problem) as problem:
        Corpus.of("ab" * 44, 8)
    assert problem.value.fields == {"length": 88, "block": 8, "minimum": 90}


def test_digest_tells_texts_apart() -> None:
    assert Corpus.of("a" * 100, 4).digest == Corpus.of("a" * 100, 4).digest
    assert Corpus.of("a" * 100, 4).digest != Corpus.of("b" * 100, 4).digest


@pytest.mark.parametrize(
    ("content", "expected"), [(b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"), (b"\xef\xbb\xbftext", "text"), ("ж\n".encode(), "ж\n")]
)
def test_read_file(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content)
    assert read_file(tmp_path / "text") == expected


@pytest.mark.parametrize(
    ("content", "key"),
    [(b"", "data_empty"), (b"\x89PNG\r\n\x00", "data_binary"), (b"a\0b", "data_binary"), ("x".encode("utf-16"), "data_binary")],
)
def test_read_file_refuses_what_is_not_text(content: bytes, key: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(Problem) as problem:
        read_file(tmp_path / "text")
    assert (problem.value.key, problem.value.fields) == (key, {"path": tmp_path / "text"})


def test_read_file_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="data_missing"):
        read_file(tmp_path / "nothing")
    with pytest.raises(Problem, match="data_is_folder"):
        read_file(tmp_path)
