"""Command-line arguments, with help and messages in the language that ``--lang`` asks for."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..accelerator import is_available
from ..i18n.catalog import FALLBACK, parse_language, text
from ..version import __version__
from .problem import Problem

PROGRAM = "torchlike-asg"
#: argparse's own messages, which are English, and the keys of ours
_ARGPARSE = (
    ("bad_argument", r"argument (?P<argument>[^:]*): (?P<reason>.*)"),
    ("unknown_arguments", r"unrecognized arguments: (?P<arguments>.*)"),
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments, checked. `lang` is a language code; a flag that is not built yet raises Problem.

    A malformed command line ends the program with status 2, as argparse does.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    lang = language(argv)
    parser = _parser(lang)
    args = parser.parse_args(argv)
    args.lang = lang
    return args


def check(args: argparse.Namespace) -> None:
    """Raises Problem for what no single argument shows: flags not built yet, settings that contradict each other, unusable paths."""
    if args.gpu and not is_available():
        raise Problem("no_gpu")
    if args.shot is not None and not args.shot.absolute().parent.is_dir():
        raise Problem("no_parent_folder", path=args.shot)
    if args.width % args.heads:
        raise Problem("heads_do_not_divide", width=args.width, heads=args.heads)
    if args.json is not None and not args.json.absolute().parent.is_dir():
        raise Problem("no_parent_folder", path=args.json)
    if args.json is not None and args.json.is_dir():
        raise Problem("is_folder", path=args.json)
    if args.save is not None:
        try:
            args.save.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem("not_writable", path=args.save, reason=error.strerror) from error


def language(argv: list[str]) -> str:
    """The language of `argv`, found before the parser whose help it decides; an unknown one warns and falls back to English."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--lang", nargs="?")  # a missing value is for the real parser to report
    value = early.parse_known_args(argv)[0].lang
    if value is None:
        return FALLBACK
    code = parse_language(value)
    if code is None:
        print(f"Unknown --lang value '{value}', falling back to English. Try `en` or `ru`.", file=sys.stderr)
        return FALLBACK
    return code


class _Parser(argparse.ArgumentParser):
    """argparse whose own headings and error prefix are in the user's language too."""

    def __init__(self, lang: str) -> None:
        self.say: Callable[..., str] = lambda key, **fields: text(f"ui.cli.{key}", lang, **fields)
        super().__init__(PROGRAM, description=self.say("description"), epilog=self.say("epilog"), add_help=False, allow_abbrev=False)

    def format_usage(self) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups, self.say("usage_prefix"))
        return formatter.format_help()

    def format_help(self) -> str:
        usage, _, rest = super().format_help().partition("\n\n")
        return f"{self.format_usage()}\n{rest}" if usage else rest

    def error(self, message: str) -> NoReturn:
        for key, pattern in _ARGPARSE:
            if found := re.match(pattern, message, re.DOTALL):
                inner = found.groupdict()
                if inner.get("reason") == "expected one argument":
                    inner["reason"] = self.say("expects_value")
                message = self.say(key, **inner)
                break
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {self.say('error', message=message)}\n")


def _parser(lang: str) -> _Parser:
    parser = _Parser(lang)
    whole = partial(_whole, parser.say)
    positive = partial(_positive, parser.say)

    def group(name: str) -> Callable[..., Any]:
        add = parser.add_argument_group(parser.say(f"group_{name}")).add_argument

        def argument(*flags: str, default: Any = None, **options: Any) -> None:
            message = parser.say("help_" + flags[0].lstrip("-").replace("-", "_"))
            add(*flags, default=default, help=message.replace("{default}", str(default)), **options)

        return argument

    general = group("general")
    general("--help", "-h", action="help", default=argparse.SUPPRESS)
    general("--version", action="version", version=f"{PROGRAM} {__version__}", default=argparse.SUPPRESS)
    general("--lang", default=FALLBACK, metavar="LANG")
    general("--gpu", action="store_true", default=False)
    general("--visualize", "-v", action="store_true", default=False)
    general("--shot", type=Path, metavar="FILE.png")
    general("--no-progress", action="store_true", default=False)

    data = group("data")
    data("--data", type=Path, metavar="FILE")
    data("--steps", type=whole(0), default=300, metavar="N")
    data("--seed", type=whole(0), default=0, metavar="N")
    data("--sample-length", type=whole(0), default=300, metavar="N")
    data("--temperature", type=positive, default=0.8, metavar="T")

    model = group("model")
    model("--layers", type=whole(1), default=2, metavar="N")
    model("--width", type=whole(1), default=96, metavar="N")
    model("--heads", type=whole(1), default=4, metavar="N")
    model("--block", type=whole(1), default=64, metavar="N")

    optimisation = group("optimisation")
    optimisation("--batch", type=whole(1), default=16, metavar="N")
    optimisation("--lr", type=positive, default=3e-3, metavar="RATE")
    optimisation("--warmup", type=whole(0), default=20, metavar="N")
    optimisation("--decay-steps", type=whole(1), default=1000, metavar="N")

    files = group("files")
    files("--save", type=Path, metavar="DIR")
    files("--save-every", type=whole(1), default=100, metavar="N")
    files("--resume", type=Path, metavar="DIR")
    files("--json", type=Path, metavar="FILE")
    return parser


def _whole(say: Callable[..., str], minimum: int) -> Callable[[str], int]:
    def convert(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            number = minimum - 1
        if number < minimum:
            raise argparse.ArgumentTypeError(say("invalid_integer", minimum=minimum, value=value))
        return number

    return convert


def _positive(say: Callable[..., str], value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(say("invalid_positive", value=value))
    return number
