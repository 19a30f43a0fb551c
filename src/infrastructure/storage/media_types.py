"""What a file is, by its first bytes."""

from __future__ import annotations

import codecs
from typing import Any, Final

import puremagic

__all__ = ["PureMagicMediaTypes"]

_UNKNOWN: Final = "application/octet-stream"
_SURE: Final = 0.3
"""From here on a signature has more than two bytes: ``BM`` begins bitmaps, and sentences."""


class PureMagicMediaTypes:
    """Fulfils :class:`core.uploads.ports.MediaTypes` by puremagic's table of signatures."""

    def identify(self, head: bytes) -> str:
        """See :meth:`core.uploads.ports.MediaTypes.identify`."""
        if head.startswith(b"PK\x03\x04"):
            # Word's documents and many others are archives, too: the first bytes do not tell which.
            return "application/zip"
        matches = _matches(head)
        if matches and matches[0].confidence >= _SURE:
            return str(matches[0].mime_type)
        if _is_text(head):
            return "text/plain"
        return str(matches[0].mime_type) if matches else _UNKNOWN


def _matches(head: bytes) -> list[Any]:
    """What it may be, the likeliest first."""
    try:
        return [match for match in puremagic.magic_string(head) if match.mime_type]
    except (puremagic.PureError, ValueError):  # nothing matches, or there is nothing to match
        return []


def _is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8, but for a last letter that may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and not any(letter < " " and letter not in "\t\n\r\f\x1b" for letter in text)
