"""The command line of ``python -m torchlike_asg port``."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..cli.arguments import PROGRAM, language
from ..i18n.catalog import FALLBACK, text
from ..serialization.atomic import atomic_write
from .names import status
from .notebook import Notebook
from .rewrite import hosted, rewrite
from .scan import scan

__all__ = ["main"]

#: as a script: what comes through standard input, and with ``--write`` goes to standard output
_PIPED = Path("-")
_STATES = ("missing", "unknown", "shimmed", "supported")


def main(argv: Sequence[str]) -> int:
    """Report on the scripts, and with ``--write`` rewrite their imports.

    The exit status is 0 if everything they use is here, 1 if something is missing, 2 if a file cannot be read or is no Python, or if there
    is none in a folder.
    """
    lang = language(list(argv))
    args = _parser(lang).parse_args(argv)
    worst = 0
    for path in args.paths:
        found = list(_files(path))
        if not found:
            print(text("ui.port.empty", lang, path=path), file=sys.stderr)
            worst = 2
        for script in found:
            worst = max(worst, _report(script, args, lang))
    return worst


def _parser(lang: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"{PROGRAM} port", description=text("ui.port.description", lang), allow_abbrev=False)
    parser.add_argument("paths", nargs="+", type=Path, metavar="SCRIPT", help=text("ui.port.help_paths", lang))
    parser.add_argument("--write", action="store_true", help=text("ui.port.help_write", lang))
    parser.add_argument("--quiet", "-q", action="store_true", help=text("ui.port.help_quiet", lang))
    parser.add_argument("--lang", default=FALLBACK, metavar="LANG", help=text("ui.cli.help_lang", lang))
    return parser


def _files(path: Path) -> Iterator[Path]:
    """A script or notebook itself, or those in a folder, without hidden ones."""
    if path.is_dir():
        found = [p for p in path.rglob("*") if p.suffix in (".py", ".ipynb") and p.is_file()]
        yield from sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts))
    else:
        yield path


def _report(path: Path, args: argparse.Namespace, lang: str) -> int:
    def say(key: str, **fields: object) -> str:
        return text(f"ui.port.{key}", lang, **fields)

    piped = path == _PIPED
    out = sys.stderr if piped and args.write else sys.stdout
    try:
        content = sys.stdin.buffer.read() if piped else path.read_bytes()
        notebook = Notebook.read(content) if path.suffix == ".ipynb" else None
        script = content if notebook is None else notebook.script.encode()
        uses = scan(script, str(path))
        guests = hosted(ast.parse(script, str(path))) if uses else []
        rewritten = rewrite(script) if args.write else script
        changed = content if rewritten == script else rewritten if notebook is None else notebook.written(rewritten.decode())
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        print(say("unreadable", path=path, reason=reason), file=sys.stderr)
        return 2
    lines: dict[str, list[str]] = {}
    for use in uses:
        lines.setdefault(use.name, []).append(str(use.line) if notebook is None else notebook.place(use.line))
    found = {name: status(name) for name in lines}
    counts = {state: sum(s.state == state for s in found.values()) for state in _STATES}
    if not lines:
        print(say("nothing", path=path), file=out)
    else:
        print(say("summary", path=path, **counts), file=out)
    for state in _STATES[:3] if args.quiet else _STATES:
        for name in sorted(name for name in found if found[name].state == state):
            places = say("lines" if notebook is None else "cells", lines=", ".join(dict.fromkeys(lines[name])))
            note = f": {found[name].note}" if found[name].note else ""
            print(f"  {say(state):{_width(lang)}} {name} ({places}){note}", file=out)
    for name, statement in reversed(dict(reversed(guests)).items()):
        line = str(statement.lineno) if notebook is None else notebook.place(statement.lineno)
        place = say("lines" if notebook is None else "cells", lines=line)
        print(f"  {say('alias'):{_width(lang)}} {name} ({place}): {say('hosted')}", file=out)
    if piped and args.write:
        sys.stdout.buffer.write(changed)
    elif changed != content:
        try:
            with atomic_write(path) as stream:
                stream.write(changed)
        except (OSError, RuntimeError) as error:
            print(say("unwritable", path=path, reason=error), file=sys.stderr)
            return 2
        print(say("written", path=path))
    return int(bool(counts["missing"] or counts["unknown"]))


def _width(lang: str) -> int:
    """Of the column of states."""
    return max(len(text(f"ui.port.{state}", lang)) for state in _STATES)
