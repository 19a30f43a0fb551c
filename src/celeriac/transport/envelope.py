"""What a message must look like before a worker touches it.

Celery reads some headers where an error ends the worker, or makes it reconnect for ever to read the same message again.
So every message is read here first, whole, and what cannot be read is refused with its reason.
"""

from __future__ import annotations

import base64
import bz2
import codecs
import json
import lzma
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from kombu.serialization import loads as loads_any
from kombu.utils.json import loads as loads_json
from pydantic_core import from_json

from celeriac.exceptions import MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["LONGEST_BODY", "Envelope", "read", "read_task"]

LONGEST_BODY: Final = 32 * 1024 * 1024
"""Bytes that a compressed body may grow to."""

# By kombu's names of content: each gives an object whose decompress() can be told where to stop.
_INFLATERS: Final[dict[str, Callable[[], Any]]] = {
    "application/x-gzip": zlib.decompressobj,  # kombu calls it gzip, and it is zlib
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lzma.LZMADecompressor,
}
_TEXT_OR_NOTHING: Final = ("root_id", "parent_id", "group", "lang", "origin", "argsrepr", "kwargsrepr", "shadow")


@dataclass(slots=True)
class Envelope:
    """A message taken apart. Bodies are inflated; ``payload`` is what the body says."""

    body: bytes
    payload: Any
    """``[args, kwargs, embed]`` of protocol 2, or the table of protocol 1."""
    headers: dict[str, Any]
    properties: dict[str, Any]
    content_type: str
    content_encoding: str
    eta: float | None = None
    """Not before this moment, seconds since the epoch."""
    expires: float | None = None
    """Not after this moment, seconds since the epoch."""


def read(raw: bytes, accept: Collection[str] | None = None) -> Envelope:
    """A task message as it lies in a list on Redis.

    Args:
        raw: the JSON that kombu's virtual transports write.
        accept: content types that may be decoded; ``None`` leaves it to kombu's own refusal of unsafe ones.

    Raises:
        MalformedMessage: what it is that cannot be read. Nothing was executed.
    """
    outer = _decoded("the envelope", raw)
    if not isinstance(outer, dict):
        raise MalformedMessage(part="the envelope", problem=f"is a JSON {_kind(outer)}, not an object")
    message = cast("dict[str, Any]", outer)
    properties = _table(message, "properties")
    properties["delivery_info"] = _table(properties, "delivery_info")
    return read_task(
        _plain_body(message.get("body"), properties.get("body_encoding")),
        _table(message, "headers"),
        properties,
        content_type=message.get("content-type"),
        content_encoding=message.get("content-encoding"),
        accept=accept,
    )


def read_task(
    body: bytes,
    headers: dict[str, Any],
    properties: dict[str, Any],
    *,
    content_type: Any,
    content_encoding: Any,
    accept: Collection[str] | None = None,
) -> Envelope:
    """A task message that a broker took apart already.

    Raises:
        MalformedMessage: as :func:`read`.
    """
    for name, value in (("content-type", content_type), ("content-encoding", content_encoding)):
        if not isinstance(value, str):
            raise MalformedMessage(part=f"the {name}", problem=f"is {_kind(value)}, not a text")
    if not _is_encoding(content_encoding):
        raise MalformedMessage(part="the content encoding", problem=f"{content_encoding!r} is not known")
    if accept is not None and content_type not in accept:
        raise MalformedMessage(part="the content type", problem=f"{content_type!r} is not accepted here")
    if (compression := headers.get("compression")) is not None:
        body = _inflated(body, compression)
        headers = {name: value for name, value in headers.items() if name != "compression"}
    payload = _payload(body, content_type, content_encoding, accept)
    envelope = Envelope(body, payload, headers, properties, content_type, content_encoding)
    if "task" in headers:
        _check_headers(headers)
        _check_payload(payload)
        envelope.eta, envelope.expires = _moment(headers, "eta"), _moment(headers, "expires")
    else:
        _check_protocol_1(payload)
        envelope.eta, envelope.expires = _moment(payload, "eta"), _moment(payload, "expires")
    return envelope


def _parse(text: bytes) -> Any:
    try:
        return from_json(text)  # twice as fast, and stricter: a lone surrogate, or 200 levels, are not for it
    except ValueError:
        return json.loads(text)


def _decoded(part: str, text: bytes) -> Any:
    try:
        return _parse(text)
    except RecursionError:
        raise MalformedMessage(part=part, problem="is nested too deeply to be read") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise MalformedMessage(part=part, problem=f"is not JSON: {error}") from None


def _table(message: dict[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedMessage(part=f"the part {name!r}", problem=f"is {_kind(value)}, not an object")
    return cast("dict[str, Any]", value)


def _plain_body(body: Any, encoding: Any) -> bytes:
    if not isinstance(body, str):
        raise MalformedMessage(part="the body", problem=f"is {_kind(body)}, not a text")
    if encoding == "base64":
        try:
            return base64.b64decode(body, validate=True)
        except ValueError as error:
            raise MalformedMessage(part="the body", problem=f"is not base64: {error}") from None
    if encoding in {None, "utf-8", "UTF-8"}:
        return body.encode("utf-8", "surrogatepass")
    raise MalformedMessage(part="the body encoding", problem=f"{encoding!r} is not known")


def _inflated(body: bytes, compression: Any) -> bytes:
    make = _INFLATERS.get(compression) if isinstance(compression, str) else None
    if make is None:
        raise MalformedMessage(part="the compression", problem=f"{compression!r} is not known")
    inflater = make()
    try:
        inflated: bytes = inflater.decompress(body, LONGEST_BODY)
    except (EOFError, OSError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise MalformedMessage(part="the body", problem=f"cannot be decompressed: {error}") from None
    if not inflater.eof:
        if len(inflated) >= LONGEST_BODY:
            raise MalformedMessage(part="the body", problem=f"decompresses to more than {LONGEST_BODY} bytes")
        raise MalformedMessage(part="the body", problem="ends in the middle of its compression")
    return inflated


def _payload(body: bytes, content_type: str, content_encoding: str, accept: Collection[str] | None) -> Any:
    try:
        if content_type == "application/json" and content_encoding in {"utf-8", "UTF-8"}:
            # The hook that rebuilds dates is called for each object: most bodies have nothing for it.
            return loads_json(body) if b"__type__" in body else _parse(body)
        return loads_any(body, content_type, content_encoding, accept=accept)
    except RecursionError:
        raise MalformedMessage(part="the body", problem="is nested too deeply to be read") from None
    except Exception as error:  # noqa: BLE001  whatever a decoder raises: kombu wraps most of it, and not all
        raise MalformedMessage(part="the body", problem=f"cannot be decoded: {error}") from None


def _check_headers(headers: dict[str, Any]) -> None:
    for name in ("task", "id"):
        value = headers.get(name)
        if not isinstance(value, str) or not value:
            raise MalformedMessage(part=f"the header {name!r}", problem=f"is {_kind(value)}, not a text")
    for name in _TEXT_OR_NOTHING:
        if (value := headers.get(name)) is not None and not isinstance(value, str):
            raise MalformedMessage(part=f"the header {name!r}", problem=f"is {_kind(value)}, not a text")
    if (retries := headers.get("retries")) is not None and not _is_count(retries):
        raise MalformedMessage(part="the header 'retries'", problem=f"is {_kind(retries)}, not a count")
    _check_limits(headers.get("timelimit"))


def _check_limits(limits: Any) -> None:
    if limits is None or limits == [None, None]:
        return
    pair = cast("list[Any]", limits) if isinstance(limits, list | tuple) else []
    if len(pair) != 2 or not all(each is None or _is_number(each) for each in pair):  # noqa: PLR2004  hard and soft
        raise MalformedMessage(part="the header 'timelimit'", problem="is not two numbers of seconds, or null")


def _check_payload(payload: Any) -> None:
    if not isinstance(payload, list | tuple) or len(cast("list[Any]", payload)) != 3:  # noqa: PLR2004  protocol 2
        raise MalformedMessage(part="the body", problem="is not [arguments, named arguments, embedded]")
    args, kwargs, embed = cast("list[Any]", payload)
    if not isinstance(args, list | tuple):
        raise MalformedMessage(part="the arguments", problem=f"are {_kind(args)}, not a list")
    if not isinstance(kwargs, dict):
        raise MalformedMessage(part="the named arguments", problem=f"are {_kind(kwargs)}, not an object")
    if embed is not None and not isinstance(embed, dict):
        raise MalformedMessage(part="the embedded part of the body", problem=f"is {_kind(embed)}, not an object")
    said = cast("dict[str, Any]", embed or {})
    if not any(said.values()):
        return
    for name in ("callbacks", "errbacks", "chain"):
        value = said.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):  # pyright: ignore[reportUnknownVariableType]
            raise MalformedMessage(part=f"the embedded {name!r}", problem="is not a list of signatures")
    if (chord := said.get("chord")) is not None and not isinstance(chord, dict):
        raise MalformedMessage(part="the embedded 'chord'", problem=f"is {_kind(chord)}, not a signature")


def _check_protocol_1(payload: Any) -> None:
    if not isinstance(payload, dict):
        raise MalformedMessage(part="the message", problem="has no header 'task', and its body is no table either")
    said = cast("dict[str, Any]", payload)
    for name in ("task", "id"):
        if not isinstance(said.get(name), str) or not said[name]:
            raise MalformedMessage(part=f"the field {name!r}", problem=f"is {_kind(said.get(name))}, not a text")
    if not isinstance(said.get("args", []), list | tuple):
        raise MalformedMessage(part="the arguments", problem="are not a list")
    if not isinstance(said.get("kwargs", {}), dict):
        raise MalformedMessage(part="the named arguments", problem="are not an object")
    _check_limits(said.get("timelimit"))


def _moment(said: dict[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, TypeError, ValueError):
        raise MalformedMessage(part=f"the header {name!r}", problem=f"{str(value)[:80]!r} is no time") from None


def _is_encoding(name: str) -> bool:
    if name in {"utf-8", "binary"}:
        return True
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        return False
    return True


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    kind = cast("Any", type(value))
    return kinds.get(kind) or str(kind.__name__)
