"""``python -m torchlike_asg.viewer FILE``: open a recording (``.asgtrace``) or a saved graph (``.asg.json``)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..i18n.catalog import languages, parse_language, text
from .damage import told


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 for a file that cannot be shown."""
    parser = argparse.ArgumentParser("python -m torchlike_asg.viewer", description="Open a recording or a saved graph.")
    parser.add_argument("file", type=Path, help="a recording (.asgtrace) or a graph (.asg.json)")
    parser.add_argument("--lang", default=None, help=f"language of the window: {', '.join(languages())}")
    parser.add_argument("--theme", default=None, choices=("auto", "dark", "light"))
    parser.add_argument("--shot", default="", metavar="FILE.png", help="save a picture of the window and leave")
    args = parser.parse_args(argv)
    lang = parse_language(args.lang) if args.lang else None
    if not args.file.is_file():
        print(text("ui.viewer.file.missing", lang or "en", path=args.file), file=sys.stderr)
        return 2
    try:
        from .gui.app import run
    except ImportError:
        print(text("ui.viewer.file.no_qt", lang or "en"), file=sys.stderr)
        return 2
    try:
        return run(str(args.file), lang, args.theme, args.shot)
    except (ValueError, OSError) as error:
        print(text("ui.viewer.file.damaged", lang or "en", path=args.file, reason=told(error, lang or "en")), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
