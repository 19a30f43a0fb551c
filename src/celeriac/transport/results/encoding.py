"""A result as the bytes that are stored: letter for letter Celery's JSON, in a tenth of its time."""

from __future__ import annotations

from datetime import UTC, datetime
from json import encoder
from typing import TYPE_CHECKING, Any, Final

from celery import states
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import JSONEncoder, dumps

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SUCCEEDED", "MetaEncoder"]

SUCCEEDED: Final = b'{"status": "SUCCESS"'
"""How a success begins."""


_quoted: Callable[[str], str] = encoder.encode_basestring_ascii


def _encoder() -> Callable[[Any], str] | None:
    """The encoder of kombu, made once instead of for each value; ``None`` where Python has no encoder in C."""
    make: Any = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return None
    # No markers: what contains itself ends in a RecursionError here, and gets its proper error from kombu.
    default = JSONEncoder().default
    flags = (False, False, True)  # unsorted, no key skipped, NaN allowed: json's defaults, and so kombu's
    encode: Any = make(None, default, _quoted, None, ": ", ", ", *flags)
    return lambda value: "".join(encode(value, 0))


class MetaEncoder:
    """Encodes what a backend stores for a task.

    Args:
        backend: Celery's backend, whose settings count and which encodes what this cannot.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._zone = backend.app.timezone
        self._extended = bool(backend.app.conf.find_value_for_key("extended", "result"))
        plain = backend.encoder is dumps and not backend.compression
        self._json = _encoder() if plain else None
        self.recognizable = plain
        """Whether a success can be told by its first bytes."""

    def encode(self, task_id: Any, result: Any, state: str, traceback: Any, request: Any) -> bytes:
        """The bytes to store.

        Raises:
            kombu.exceptions.EncodeError: the result cannot be encoded.
        """
        json = self._json
        if json is not None and not self._extended and type(task_id) is str:
            try:
                return self._quickly(json, task_id, result, state, traceback, request)
            except (TypeError, ValueError, RecursionError, KeyError, AttributeError):
                pass  # and kombu says what is wrong
        backend = self._backend
        meta = backend._get_result_meta(result=result, state=state, traceback=traceback, request=request)  # noqa: SLF001  Celery's hook
        payload: Any = backend.encode({**meta, "task_id": bytes_to_str(task_id)})
        return payload.encode() if isinstance(payload, str) else bytes(payload)

    def _quickly(  # noqa: PLR0917  called once a task
        self, json: Callable[[Any], str], task_id: str, result: Any, state: str, traceback: Any, request: Any
    ) -> bytes:
        children = "[]" if request and not request.children else json(self._backend.current_task_children(request))
        date = "null"
        if state in states.READY_STATES:
            now = datetime.now(UTC)
            date = f'"{(now if self._zone is UTC else now.astimezone(self._zone)).isoformat()}"'
        more = ""
        if request:
            if request.group:
                more = f', "group_id": {json(request.group)}'
            if request.parent_id:
                more += f', "parent_id": {json(request.parent_id)}'
        told = "null" if traceback is None else json(traceback)
        return (
            f'{{"status": {_quoted(state)}, "result": {json(result)}, "traceback": {told}, "children": {children}, '
            f'"date_done": {date}{more}, "task_id": {_quoted(task_id)}}}'
        ).encode()
