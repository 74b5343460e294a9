"""Bring the list of supported names in PORTING.md up to date: ``python docs/list_names.py`` (``--check`` only says whether it is)."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

PAGE = Path(__file__).parent / "PORTING.md"
START, END = "<!-- names: written by docs/list_names.py -->\n", "<!-- end of names -->\n"
NAMESPACES = (
    ("torch", ""),
    ("torch.Tensor", ""),
    ("torch.nn", "nn"),
    ("torch.nn.functional", "nn.functional"),
    ("torch.nn.init", "nn.init"),
    ("torch.nn.utils", "nn.utils"),
    ("torch.optim", "optim"),
    ("torch.optim.lr_scheduler", "optim.lr_scheduler"),
    ("torch.autograd", "autograd"),
    ("torch.utils.data", "utils.data"),
    ("torch.linalg", "linalg"),
    ("torch.special", "special"),
)
#: attributes of a tensor that PyTorch's does not have
OURS = frozenset({"geometry"})


def names_of(label: str, module: str) -> list[str]:
    """The public names of one namespace, without modules and without what it merely imported from elsewhere."""
    package = importlib.import_module("torchlike_asg")
    if label == "torch.Tensor":
        return sorted(
            name for name in dir(package.Tensor) if name[0] != "_" and name not in OURS and not _refuses(getattr(package.Tensor, name))
        )
    space = importlib.import_module(f"torchlike_asg.{module}".rstrip("."))
    public = getattr(space, "__all__", None) or [name for name in vars(space) if not name.startswith("_")]
    return sorted(name for name in public if not name.startswith("_") and _belongs(getattr(space, name)))


def _refuses(value: object) -> bool:
    """Whether a function or property is there only to say what to use instead."""
    return getattr(value.fget if isinstance(value, property) else value, "refuses", False)


def _belongs(value: object) -> bool:
    if isinstance(value, types.ModuleType | str | list | tuple) or _refuses(value):
        return False
    return getattr(value, "__module__", "torchlike_asg").startswith("torchlike_asg") or isinstance(value, int | float)


def section() -> str:
    parts = []
    for label, module in NAMESPACES:
        names = names_of(label, module)
        parts.append(f"**`{label}`** ({len(names)}): " + " · ".join(f"`{name}`" for name in names) + "\n")
    return "\n".join(parts)


def main(argv: list[str]) -> int:
    """Write the section, or with ``--check`` compare it; returns 1 if it was out of date."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    new = before + START + "\n" + section() + "\n" + END + after
    if "--check" not in argv:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
