"""What an application says about the messages that its workers take."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any
from weakref import ref

from kombu.serialization import prepare_accept_content

from celeriac.transport.stream import HistoryStream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery
    from kombu import Queue

    from celeriac.transport.envelope import Envelope

__all__ = ["Rules"]

logger = logging.getLogger(__name__)


class Rules:
    """Which messages may be decoded, how often one may be delivered, and who hears of one that is given up."""

    def __init__(self, app: Celery) -> None:
        self._app = ref(app)
        self._accept: frozenset[str] | None = None

    def __repr__(self) -> str:
        return "<rules>"  # part of what kombu tells connections apart by

    def __json__(self) -> str:
        """What ``inspect stats`` shows of it, among the options of the connection."""
        return repr(self)

    @property
    def accept(self) -> frozenset[str] | None:
        """Content types that may be decoded."""
        if self._accept is None and (app := self._app()) is not None:
            self._accept = frozenset(prepare_accept_content(app.conf.accept_content) or ())
        return self._accept

    @property
    def check(self) -> Callable[[Envelope], None] | None:
        """What raises MalformedMessage for a message that is not signed; ``None`` where none has to be."""
        app = self._app()
        signer: Any = None if app is None else getattr(app.amqp, "signer", None)
        check: Callable[[Envelope], None] | None = None if signer is None else signer.check
        return check

    def knows(self, task: str) -> bool:
        """Whether the application has a task of that name."""
        app = self._app()
        return app is None or task in app.tasks

    def queue(self, name: str) -> Queue | None:
        """The application's own queue of that name, which holds nothing but tasks."""
        app = self._app()
        return None if app is None else app.amqp.queues.get(name)

    @property
    def delay_queue_type(self) -> str:
        """What RabbitMQ's delaying queues are, ``quorum`` or ``classic``."""
        app = self._app()
        return "quorum" if app is None else str(app.conf.broker_native_delayed_delivery_queue_type)

    def most_deliveries(self, task: str | None) -> int:
        """How often a message of the task may be delivered without being settled."""
        if (app := self._app()) is None:
            return sys.maxsize
        own = None if task is None else getattr(app.tasks.get(task), "max_deliveries", None)
        return int(own or app.conf.get("task_max_deliveries") or 5)

    def death_of(
        self, headers: Mapping[str, Any], queue: str, reason: str, detail: str, letter: str | None = None
    ) -> tuple[HistoryStream, bytes] | None:
        """What the history hears of a dead letter, and by which stream; ``None`` where it is none of its business."""
        task_id, app = headers.get("id"), self._app()
        if app is None or not isinstance(task_id, str):
            return None
        conf: Any = app.conf
        stream = HistoryStream.of(conf, conf.broker_transport_options or {})
        if stream is None:
            return None
        said = {"k": "d", "i": task_id, "t": headers.get("task"), "u": queue, "r": reason, "m": detail, "l": letter}
        return stream, json.dumps(said).encode()

    def tell(self, event: bytes) -> None:
        """Have the history hear of something that happened on a broker which has no stream."""
        app = self._app()
        journal: Any = None if app is None else getattr(app.backend, "journal", None)
        if journal is not None:
            journal.published(event)

    def give_up(self, envelope: Envelope, error: Exception) -> None:
        """Tell whoever waits for the task's result that it will not come."""
        app, task_id = self._app(), envelope.headers.get("id")
        if app is None or not isinstance(task_id, str):
            return
        try:
            backend: Any = app.backend
            backend.mark_as_failure(task_id, error, request=_request(envelope))
        except Exception as failure:  # noqa: BLE001  the dead letter stands, whatever becomes of the result
            logger.warning("the failure of %s was not stored: %s", task_id, failure)


def _request(envelope: Envelope) -> Any:
    from celery.app.task import Context  # noqa: PLC0415  the transport is imported before Celery is whole

    payload: Any = envelope.payload
    nothing: Any = (), {}, None
    args, kwargs, embedded = nothing if isinstance(payload, dict) else payload
    said: dict[str, Any] = {**envelope.headers, **(embedded or {}), "args": args, "kwargs": kwargs}
    return Context({**said, "called_directly": False})
