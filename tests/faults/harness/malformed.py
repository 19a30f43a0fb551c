"""Messages that no worker should choke on: 38 broken by hand, and any number with random bytes changed."""

from __future__ import annotations

import base64
import json
import pickle
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

DEEP = 50_000
"""Levels of nesting, far more than Python's own limit."""


class _Danger:
    """What a pickle would do if anybody loaded it."""

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os._exit, (66,)


def _body(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _with(message: dict[str, Any], part: str, **values: Any) -> dict[str, Any]:
    return {**message, part: {**message[part], **values}}


def _without(message: dict[str, Any], part: str, *names: str) -> dict[str, Any]:
    return {**message, part: {name: value for name, value in message[part].items() if name not in names}}


Break = Callable[[dict[str, Any]], "dict[str, Any] | bytes"]

MALFORMED: dict[str, Break] = {
    # the envelope
    "not JSON": lambda m: b"this is no JSON",
    "binary": lambda m: bytes(range(256)),
    "empty": lambda m: b"",
    "a list": lambda m: b"[1, 2, 3]",
    "null": lambda m: b"null",
    "a number": lambda m: b"42",
    "nested deeply": lambda m: (_nested(DEEP)).encode(),
    "cut in two": lambda m: json.dumps(m).encode()[: len(json.dumps(m)) // 2],
    # the body
    "body not base64": lambda m: {**m, "body": "%%% no base64 %%%"},
    "body an object": lambda m: {**m, "body": {"a": 1}},
    "body missing": lambda m: {name: value for name, value in m.items() if name != "body"},
    "body not JSON": lambda m: {**m, "body": base64.b64encode(b"{not json").decode()},
    "body too short": lambda m: {**m, "body": _body([[]])},
    "body of another shape": lambda m: {**m, "body": _body({"args": []})},
    "body nested deeply": lambda m: {**m, "body": base64.b64encode(_nested(DEEP).encode()).decode()},
    "arguments a text": lambda m: {**m, "body": _body(["text", {}, {}])},
    "named arguments a list": lambda m: {**m, "body": _body([[], [], {}])},
    "callbacks no signatures": lambda m: {**m, "body": _body([["x"], {}, {"callbacks": ["nonsense"]}])},
    # properties
    "body encoding unknown": lambda m: _with(m, "properties", body_encoding="rot13"),
    "properties missing": lambda m: {name: value for name, value in m.items() if name != "properties"},
    "delivery tag missing": lambda m: _without(m, "properties", "delivery_tag"),
    "delivery info missing": lambda m: _without(m, "properties", "delivery_info"),
    "priority a text": lambda m: _with(m, "properties", priority="high"),
    # content
    "content type pickle": lambda m: {
        **m,
        "content-type": "application/x-python-serialize",
        "content-encoding": "binary",
        "body": base64.b64encode(pickle.dumps(_Danger())).decode(),
    },
    "content type unknown": lambda m: {**m, "content-type": "application/nonsense"},
    "content encoding unknown": lambda m: {**m, "content-encoding": "klingon"},
    "compression of garbage": lambda m: _with(m, "headers", compression="application/x-gzip"),
    "compression unknown": lambda m: _with(m, "headers", compression="application/nonsense"),
    # headers
    "headers missing": lambda m: {name: value for name, value in m.items() if name != "headers"},
    "id missing": lambda m: _without(m, "headers", "id"),
    "id an object": lambda m: _with(m, "headers", id={"a": 1}),
    "task missing": lambda m: _without(m, "headers", "task"),
    "task a list": lambda m: _with(m, "headers", task=["faults.work"]),
    "task unknown": lambda m: _with(m, "headers", task="nobody.knows.it"),
    "time limits a text": lambda m: _with(m, "headers", timelimit="xx"),
    "eta no time": lambda m: _with(m, "headers", eta="tomorrow"),
    "expires no time": lambda m: _with(m, "headers", expires={"when": "soon"}),
    "retries a text": lambda m: _with(m, "headers", retries="many"),
}


def broken(message: bytes) -> Iterator[tuple[str, bytes]]:
    """Every way to break a good message, by name."""
    for name, change in MALFORMED.items():
        result = change(json.loads(message))
        yield name, result if isinstance(result, bytes) else json.dumps(result).encode()


def flipped(message: bytes, chance: random.Random) -> bytes:
    """A good message with one to four of its bytes changed, or one taken out, or its end cut off."""
    data = bytearray(message)
    match chance.randrange(10):
        case 0:
            del data[chance.randrange(len(data))]
        case 1:
            del data[chance.randrange(len(data)) :]
        case _:
            for _ in range(chance.randrange(1, 5)):
                data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def bomb(message: bytes, size: int) -> bytes:
    """A message whose compressed body inflates to ``size`` bytes."""
    made = json.loads(message)
    packer = zlib.compressobj(9)
    piece = b" " * (1 << 20)
    packed = b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()
    made["body"] = base64.b64encode(packed).decode()
    made["headers"]["compression"] = "application/x-gzip"
    return json.dumps(made).encode()
