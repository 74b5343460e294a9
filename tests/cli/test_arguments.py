"""The command line: defaults, refusals with status 2, and both languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchlike_asg.__main__ import main
from torchlike_asg.cli.arguments import check, parse
from torchlike_asg.cli.problem import Problem
from torchlike_asg.i18n import catalog
from torchlike_asg.version import __version__


def test_defaults() -> None:
    args = parse([])
    assert (args.steps, args.seed, args.lang, args.data) == (300, 0, "en", None)
    assert not (args.gpu or args.visualize or args.no_progress)
    assert args.save is args.resume is args.json is None
    check(args)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *((v, "ru") for v in ("ru", "RU", "russian", "Russian", "RUSSIAN")),
        *((v, "en") for v in ("en", "EN", "english", "English", "ENGLISH")),
    ],
)
def test_language_aliases(value: str, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--lang", value]).lang == code
    assert parse([f"--lang={value}"]).lang == code
    assert capsys.readouterr().err == ""


def test_unknown_language_warns_and_falls_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--lang", "fr"]).lang == "en"
    assert capsys.readouterr().err == "Unknown --lang value 'fr', falling back to English. Try `en` or `ru`.\n"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--gpu"], "No GPU was found"),
        (["--gpu", "--lang", "ru"], "Не найдена видеокарта"),
    ],
)
def test_a_gpu_that_is_not_there(
    argv: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHLIKE_ASG_ADAPTER", "no such adapter")
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--steps", "many"], "argument --steps: expected a whole number of at least 0, got 'many'"),
        (["--steps", "-1"], "argument --steps: expected a whole number of at least 0, got '-1'"),
        (["--layers", "0"], "argument --layers: expected a whole number of at least 1, got '0'"),
        (["--lr", "0"], "argument --lr: expected a number above 0, got '0'"),
        (["--lr", "nan"], "argument --lr: expected a number above 0, got 'nan'"),
        (["--temperature", "inf"], "argument --temperature: expected a number above 0, got 'inf'"),
        (["--lang"], "argument --lang: expected one argument"),
        (["--quick"], "unrecognized arguments: --quick"),
        (["--lang", "ru", "--steps", "x"], "ошибка: аргумент --steps: нужно целое число не меньше 0, получено 'x'"),
        (["--lang", "ru", "--quick", "-q"], "ошибка: неизвестные аргументы: --quick -q"),
        (["--lang", "ru", "--save"], "ошибка: аргумент --save: нужно значение"),
    ],
)
def test_malformed_command_lines(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_width_must_be_divisible_by_heads() -> None:
    with pytest.raises(Problem) as problem:
        check(parse(["--width", "10", "--heads", "4"]))
    assert (problem.value.key, problem.value.fields) == ("heads_do_not_divide", {"width": 10, "heads": 4})


def test_paths_are_checked_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Problem, match="no_parent_folder"):
        check(parse(["--json", str(tmp_path / "nowhere" / "report.json")]))
    with pytest.raises(Problem, match="is_folder"):
        check(parse(["--json", str(tmp_path)]))
    with pytest.raises(Problem, match="not_writable"):
        check(parse(["--save", str(tmp_path / "file")]))
    check(parse(["--save", str(tmp_path / "a" / "b")]))
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize(("lang", "heading"), [("en", "usage: torchlike-asg"), ("ru", "использование: torchlike-asg")])
def test_help(lang: str, heading: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as stop:
        main(["--lang", lang, "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(heading)
    assert "{default}" not in shown
    for key, text in catalog.entries(lang).items():
        if key.startswith("ui.cli.help_"):
            assert text.split(" (")[0] in shown, key


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"torchlike-asg {__version__}\n"
