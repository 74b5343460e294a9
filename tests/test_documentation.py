"""What the documents say is so: the README's example runs, its flags and packages exist, and both languages agree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from torchlike_asg.cli.arguments import parse

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ru.md")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def without_comments(code: str) -> str:
    return re.sub(r"\s*#.*", "", code)


@pytest.mark.parametrize("name", READMES)
def test_the_readme_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = code_blocks(read(name), "python")
    assert len(example.splitlines()) <= 20
    exec(compile(example, name, "exec"), {"__name__": "readme"})
    lines = capsys.readouterr().out.splitlines()
    assert "[0.0, 1.0, 1.0, 0.0]" in lines
    assert "nodes" in lines[-1]


def test_the_translation_has_the_same_code_and_structure() -> None:
    english, russian = (read(name) for name in READMES)
    for language in ("bash", "python", "diff"):
        blocks = [[without_comments(code) for code in code_blocks(text, language)] for text in (english, russian)]
        assert blocks[0] == blocks[1]
    for pattern in (r"^(##?) ", r"^\|([^|]*)\|"):
        count = len(re.findall(pattern, english, re.MULTILINE))
        assert count == len(re.findall(pattern, russian, re.MULTILINE))
    assert sorted(re.findall(r"`(--[a-z-]+|-v)", english)) == sorted(re.findall(r"`(--[a-z-]+|-v)", russian))


@pytest.mark.parametrize("name", READMES)
def test_the_readme_names_every_flag_and_its_default(name: str) -> None:
    text = read(name)
    defaults = vars(parse([]))
    named = {flag.lstrip("-").replace("-", "_") for flag in re.findall(r"`(--[a-z-]+)", text)}
    assert named == set(defaults)
    for row in re.findall(r"^\| (`--.*)$", text, re.MULTILINE):
        flags, shown = row.split(" | ")[:2]
        numbers = re.findall(r"[\d.]+", shown)
        expected = [str(defaults[f.replace("-", "_")]) for f in re.findall(r"--([a-z-]+)", flags)]
        assert numbers == [value for value in expected if value[0].isdigit()], row


@pytest.mark.parametrize("name", READMES)
def test_the_readme_lists_the_packages_that_ci_installs(name: str) -> None:
    listed = re.search(r"`(python3-venv .*?)`", read(name), re.DOTALL)
    installed = re.search(r"^packages=\((.*?)^\)", read(".ci/run"), re.DOTALL | re.MULTILINE)
    assert listed is not None and installed is not None
    assert listed[1].split() == installed[1].split()


@pytest.mark.parametrize("name", [*READMES, "CONTRIBUTING.md", "docs/porting.md"])
def test_linked_and_named_files_exist(name: str) -> None:
    text = read(name)
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (folder / target).exists(), target
    for path in re.findall(r"`((?:examples|tests|docs|torchlike_asg)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
    if name in READMES:
        for script in re.findall(r"^\| `([a-z_]+(?:\.py|/))`", text, re.MULTILINE):
            assert (ROOT / "examples" / script).exists(), script


def test_the_list_of_supported_names_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "docs/list_names.py", "--check"], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60
    )
    assert done.returncode == 0, "run `python docs/list_names.py`"
