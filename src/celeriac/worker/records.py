"""A message in a form that outlives the process that held it."""

from __future__ import annotations

import json
from typing import Any

from billiard.einfo import ExceptionInfo
from kombu.message import Message

__all__ = ["described", "einfo_of", "from_raw", "restored"]


def einfo_of(error: BaseException) -> Any:
    """An error as Celery's requests take it, with a traceback though nobody raised it."""
    try:
        raise error  # noqa: TRY301  so that it has a traceback
    except BaseException:  # noqa: BLE001  it is what was asked for
        return ExceptionInfo()


def described(message: Any) -> bytes:
    """What :func:`restored` makes the message of again; its body only if it is text or plain JSON."""
    try:
        payload = message.payload
        return json.dumps(
            {
                "payload": payload,
                "headers": message.headers,
                "properties": {key: value for key, value in message.properties.items() if key != "application_headers"},
                "delivery_info": message.delivery_info,
                "tag": str(message.delivery_tag),
            },
            default=str,
        ).encode()
    except (TypeError, ValueError):
        return b""


def from_raw(envelope: Any, token: str, queue: str = "") -> Any:
    """The message of an envelope, without a channel."""
    properties = envelope.properties
    delivery: dict[str, Any] = {"exchange": "", "routing_key": queue, **properties.get("delivery_info", {})}
    message: Any = Message(
        body=envelope.body,
        delivery_tag=token,
        content_type=envelope.content_type,
        content_encoding=envelope.content_encoding,
        headers=envelope.headers,
        properties=properties,
        delivery_info=delivery,
    )
    message._decoded_cache = envelope.payload  # noqa: SLF001  as the transport's own messages have it
    return message


def restored(record: bytes) -> Any:
    """The message that was described, without a channel, or ``None`` where nothing was."""
    if not record:
        return None
    said: dict[str, Any] = json.loads(record)
    message: Any = Message(
        body=json.dumps(said["payload"]),
        delivery_tag=said["tag"],
        content_type="application/json",
        content_encoding="utf-8",
        headers=said["headers"],
        properties=said["properties"],
        delivery_info=said["delivery_info"],
    )
    message._decoded_cache = said["payload"]  # noqa: SLF001  as the transport's own messages have it
    return message
