"""Where a page of tasks ended, as a text that callers hand back."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from celeriac.exceptions import InvalidCursor

__all__ = ["read_cursor", "write_cursor"]

_FORM: Final = re.compile(r"(\d{1,16}) (.{1,255})", re.DOTALL)
_LONGEST: Final = 1500


def write_cursor(created: int, task_id: str) -> str:
    """The cursor after a task."""
    return base64.urlsafe_b64encode(f"{created} {task_id}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[int, str]:
    """When the last task of the page was created, ms, and its id.

    Raises:
        InvalidCursor: it is none.
    """
    try:
        if len(cursor) > _LONGEST:
            raise ValueError  # noqa: TRY301  as whatever else is wrong with it
        text = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        found = _FORM.fullmatch(text)
        if found is None or "\x00" in text:
            raise ValueError  # noqa: TRY301  likewise
    except (ValueError, binascii.Error, UnicodeError):
        raise InvalidCursor(cursor=cursor[:80]) from None
    return int(found[1]), found[2]
