"""JSON in and out: quickly, and with bounds on what comes in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEEPEST", "JsonResponse", "depth_of", "dumped"]

DEEPEST: Final = 64
"""How deeply the JSON of a body may be nested."""
_QUOTE, _BACKSLASH = b'"\\'
_OPTIONS: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z


def dumped(value: Any) -> bytes:
    """A value as JSON; times in UTC, and what JSON does not know as text."""
    try:
        return orjson.dumps(value, default=str, option=_OPTIONS)
    except TypeError:  # a number of more than 64 bits, or half a surrogate pair, which Python's JSON carries
        return json.dumps(value, default=str).encode()


class JsonResponse(Response):
    """A response made of plain values."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        super().__init__(dumped(content), status_code, headers, media_type)


def depth_of(text: bytes) -> int:
    """How deeply JSON is nested. Most bodies have so few brackets that counting them is enough."""
    brackets = text.count(b"[") + text.count(b"{")
    if brackets <= DEEPEST:
        return brackets
    deepest = depth = 0
    quoted = escaped = False
    for byte in text:
        if quoted:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                quoted = False
        elif byte == _QUOTE:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
