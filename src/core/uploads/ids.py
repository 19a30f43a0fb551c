"""Names of files."""

from __future__ import annotations

import re
from typing import Final

from core.uploads.errors import InvalidFileIdError

__all__ = ["inbox_of"]

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def inbox_of(file_id: str) -> str:
    """Where in the storage a file lies that was sent under this id.

    Raises:
        InvalidFileIdError: it is no id.
    """
    if _ID.fullmatch(file_id) is None:
        msg = (
            f"{file_id[:40]!r} is no id of a file: it has 1 to 128 letters, digits, dots, dashes and underscores,"
            " and begins with a letter or a digit"
        )
        raise InvalidFileIdError(msg)
    return f"inbox/{file_id}"
