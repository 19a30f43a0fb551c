"""What can be told of a file while it streams by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

__all__ = ["Scan"]

_HEAD: Final = 8192
_TAIL: Final = 66_000
"""Bytes: the end mark of a ZIP may be followed by a comment of 65,535."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of file that says where it ends."""

    name: str
    begins: bytes
    ends: bytes


# Only kinds whose specification demands the mark near the end, so that no whole file is refused. Others, such as JPEG
# and MP4, may be followed by anything, or say nothing of their end.
_KINDS: Final = (
    _Kind("a PNG image", b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    _Kind("a PDF document", b"%PDF-", b"%%EOF"),
    _Kind("a ZIP archive", b"PK\x03\x04", b"PK\x05\x06"),
)


class Scan:
    """Size, checksum, first bytes and end of a file, from its pieces; holds no more than 74 KB of it."""

    def __init__(self) -> None:
        self.size = 0
        self.head = b""
        self._tail = b""
        self._digest = hashlib.sha256()

    def feed(self, piece: bytes) -> None:
        """Look at the next piece."""
        self.size += len(piece)
        self._digest.update(piece)
        if len(self.head) < _HEAD:
            self.head += piece[: _HEAD - len(self.head)]
        self._tail = piece[-_TAIL:] if len(piece) >= _TAIL else (self._tail + piece)[-_TAIL:]

    @property
    def sha256(self) -> str:
        """Of what came by so far."""
        return self._digest.hexdigest()

    @property
    def cut_off(self) -> str | None:
        """What the file begins as, if it is a PNG, PDF or ZIP whose end is missing."""
        kinds = (kind for kind in _KINDS if self.head.startswith(kind.begins))
        return next((kind.name for kind in kinds if kind.ends not in self._tail), None)
