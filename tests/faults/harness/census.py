"""What a Redis broker holds: stock kombu's layout and ours."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_SEPARATOR = b"\x06\x16"


@dataclass(slots=True)
class Census:
    """The tasks' keys by where their messages are; ``unreadable`` counts messages that hold none."""

    queued: list[str] = field(default_factory=list)
    in_flight: list[str] = field(default_factory=list)
    delayed: list[str] = field(default_factory=list)
    unacked: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    unreadable: int = 0

    @property
    def owned(self) -> set[str]:
        """Everything that may yet be run."""
        return {*self.queued, *self.in_flight, *self.delayed, *self.unacked}

    def __str__(self) -> str:
        counts = {name: len(getattr(self, name)) for name in ("queued", "in_flight", "delayed", "unacked", "dead")}
        return " ".join(f"{name}={count}" for name, count in counts.items() if count) or "empty"

    @classmethod
    def of(cls, client: Any, queue: str = "default") -> Census:
        """Look at everything that the server has."""
        census = cls()
        lists = [queue.encode(), *(queue.encode() + _SEPARATOR + step for step in (b"3", b"6", b"9"))]
        for name in lists:
            if client.type(name) == b"list":
                census._note(census.queued, client.lrange(name, 0, -1))
        for name in client.scan_iter(match="*celeriac.*", count=1000):
            census._look(client, name)
        if client.type("unacked") == b"hash":
            census._note(census.unacked, (json.dumps(json.loads(each)[0]).encode() for each in client.hvals("unacked")))
        return census

    def _look(self, client: Any, name: bytes) -> None:
        if client.type(name) != b"hash":
            return
        if b"celeriac.inflight:" in name:
            self._note(self.in_flight, (_without_key(each) for each in client.hvals(name)))
        elif name.endswith(b"celeriac.delayed.messages"):
            self._note(self.delayed, (_without_key(each) for each in client.hvals(name)))
        elif b"celeriac.dead:" in name:
            self._note(self.dead, [client.hget(name, "raw") or b""])

    def _note(self, keys: list[str], messages: Any) -> None:
        for message in messages:
            key = key_of(message)
            if key is None:
                self.unreadable += 1
            else:
                keys.append(key)


def _without_key(value: bytes) -> bytes:
    """``<length>:<list key><message>`` without what stands before the message."""
    length, _, rest = value.partition(b":")
    return rest[int(length) :] if length.isdigit() else value


def key_of(message: bytes) -> str | None:
    """The key that the producer gave the task: its first argument."""
    try:
        envelope = json.loads(message)
        body = envelope["body"]
        if envelope["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        first = json.loads(body)[0][0]
    except (ValueError, TypeError, LookupError, AttributeError, binascii.Error, RecursionError):
        return None
    return first if isinstance(first, str) else None


def dead_letters(client: Any) -> Iterator[dict[str, str]]:
    """Every dead letter of a server, as text; ``raw`` with what cannot be decoded replaced."""
    for name in client.scan_iter(match="*celeriac.dead:*", count=1000):
        yield {field.decode(): value.decode(errors="replace") for field, value in client.hgetall(name).items()}
