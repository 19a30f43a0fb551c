"""Keeping credentials out of what people read."""

from __future__ import annotations

import re

__all__ = ["mask_url"]

# scheme://user:password@ - the password ends at the last "@" before a blank, a quote or the next URL. Digits and a
# slash are a port, not a password, so `redis://host:6379/0 or a@b.c` stays as it is.
_IN_AUTHORITY = re.compile(
    r"""(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@"'<>]*:)(?!\d{1,5}(?:[/?#\s,;"'<>)\]]|$))(?:(?!://)(?:\\.|[^\s"'<>\\]))+@""",
    re.IGNORECASE,
)
_IN_QUERY = re.compile(r"""(?P<head>[?&][\w-]*(?:password|passwd|secret|token|api_?key)=)[^&#\s"'<>]+""", re.IGNORECASE)


def mask_url(text: str) -> str:
    """The text with the password of every URL in it replaced: ``redis://user:***@host/0``."""
    if "://" not in text:
        return text
    return _IN_QUERY.sub(r"\g<head>***", _IN_AUTHORITY.sub(r"\g<head>***@", text))
