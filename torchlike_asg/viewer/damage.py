"""What is wrong with a file or a message, told in any language: damage that we find, and errors of the operating system."""

from __future__ import annotations

import errno
from typing import Any

from ..i18n import catalog


class Damaged(ValueError):
    """Data that cannot be used. As a text it is English; `told` has it in any language.

    ``key`` names its text (``ui.viewer.damage.KEY``), ``fields`` are what stands in the text.
    """

    def __init__(self, key: str, **fields: Any) -> None:
        self.key, self.fields = key, fields
        super().__init__(told(self, catalog.FALLBACK))


def told(error: BaseException, lang: str) -> str:
    """Why something cannot be read or written, without the file's name. What nobody has translated stays as Python told it."""
    if isinstance(error, Damaged):
        return catalog.text(f"ui.viewer.damage.{error.key}", lang, **error.fields)
    if isinstance(error, OSError):
        known = catalog.find(f"ui.viewer.system.{errno.errorcode.get(error.errno or 0, '').lower()}", lang)
        return known or error.strerror or str(error)
    return str(error)
