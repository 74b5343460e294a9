"""``python -m torchlike_asg``, also installed as ``torchlike-asg``: train a character transformer on real text.

``python -m torchlike_asg port SCRIPT.py`` reports on a PyTorch script instead (see `port`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli.arguments import PROGRAM, check, parse
from .cli.problem import Problem
from .i18n.catalog import text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the main job; returns the exit status: 0, 1 when training diverged, 2 for a mistake of the user's, 130 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character must not end a training run
    given = sys.argv[1:] if argv is None else list(argv)
    if given[:1] == ["port"]:
        from .port.command import main as port

        return port(given[1:])
    args = parse(given)
    try:
        check(args)
        from .cli.job import run  # the tensor library is not needed to refuse a command line

        return run(args)
    except Problem as problem:
        print(f"{PROGRAM}: {text(f'ui.cli.{problem.key}', args.lang, **problem.fields)}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
