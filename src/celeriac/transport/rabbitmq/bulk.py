"""Many messages of one task to RabbitMQ: hundreds under way before the first is confirmed."""

# py-amqp is typed for those who call it, not for those who build upon it.
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError
from kombu.utils.json import JSONEncoder

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.message import properties_of
from celeriac.transport.publishing.shown import shown_args, shown_kwargs
from celeriac.transport.publishing.template import Camera
from celeriac.transport.rabbitmq.budget import within
from celeriac.transport.rabbitmq.names import plain_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celeriac.transport.publishing.batch import BulkMessage, Outcome
    from celeriac.transport.publishing.template import Lineage
    from celeriac.transport.rabbitmq.amqp import RabbitAMQP

__all__ = ["RabbitBulk"]

UNDER_WAY: Final = 500
"""Messages that may wait for their confirms: enough to keep the server busy, and few to be unsure of."""
_encode: Final = JSONEncoder().encode


class RabbitBulk:
    """Publishes over one connection, and waits for confirms only when many are missing. To be closed.

    Args:
        amqp: whose connections, breaker and budget count.
        task: its name.
        options: of Celery's ``send_task``, without a delay.
        reply_to: the sender's own id.
        lineage: of calls made inside a task.
        outcome: told what became of what.
        promise: gives Celery's result object for an id.
    """

    def __init__(
        self,
        amqp: RabbitAMQP,
        task: str,
        options: Mapping[str, Any],
        *,
        reply_to: str,
        lineage: Lineage | None,
        outcome: Outcome,
        promise: Callable[[str], Any],
    ) -> None:
        self._amqp = amqp
        self._task = task
        self._options = options
        self._reply_to = reply_to
        self._lineage = lineage
        self._outcome = outcome
        self._promise = promise
        self._producer: Any = None
        self._channel: Any = None
        self._waiting: deque[tuple[int, int, int, bytes]] = deque()
        """Start and stop of what a message speaks for, its number on the channel, and what the history hears of it."""
        self._journal = getattr(amqp.app.backend, "journal", None) if amqp.told is not None else None
        conf: Any = amqp.app.conf
        self._sizes = amqp.argsrepr_maxsize, amqp.kwargsrepr_maxsize, conf.task_repr_maxlevels

    def write(self, messages: Sequence[BulkMessage], start: int, stop: int) -> None:
        """Publish a batch; confirms may still be missing when this returns.

        Raises:
            BrokerUnavailable: a message was not taken; the outcome was told what is known of all.
        """
        if (refusal := self._amqp.breaker.refusal()) is not None:
            raise self._failure(refusal, seconds=0.0)
        began = time.monotonic()
        try:
            with within(self._amqp.budget):
                self._open()
        except self._errors as error:
            self._give_up()
            raise self._failure(error, seconds=time.monotonic() - began) from error
        photo = self._photograph()
        for message in messages:
            self._publish(message, photo, start, stop if message is messages[-1] else message.position + 1)
            start = message.position + 1
            if len(self._waiting) >= UNDER_WAY:
                self._answer(UNDER_WAY // 2)

    def finish(self) -> None:
        """Wait for the confirms that are still missing.

        Raises:
            BrokerUnavailable: as :meth:`write`.
        """
        self._answer(0)

    def close(self) -> None:
        """Give the connection back. What is not confirmed by now is uncertain."""
        if self._waiting:
            self._give_up()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.release()

    def promise(self, task_id: str) -> Any:
        """Celery's result object of a task that was sent."""
        return self._promise(task_id)

    def _open(self) -> None:
        """See to it that there is a connection, and a queue."""
        if self._producer is None:
            self._producer = self._amqp.producer_pool.acquire(block=True, timeout=self._amqp.budget)
        elif self._channel.is_open:
            return
        producer = self._producer
        queues = self._photograph()["declare"] or ()

        def prepare() -> None:
            self._channel = producer.channel
            with suppress(TimeoutError):
                self._channel.connection.drain_events(timeout=0)  # or a connection that is gone would look alive
            for queue in queues:
                producer.maybe_declare(queue)

        producer.connection.ensure(producer, prepare, max_retries=1, interval_start=0)()

    def _photograph(self) -> dict[str, Any]:
        """What Celery would publish for a call now."""
        camera: Any = Camera()
        root, parent = (None, None) if self._lineage is None else self._lineage
        self._amqp.app.send_task(
            self._task,
            task_id=fresh_id(),
            root_id=root,
            parent_id=parent,
            reply_to=self._reply_to,
            producer=camera,
            add_to_parent=False,
            **self._options,
        )
        said: dict[str, Any] = camera.taken
        for name in ("serializer", "compression", "retry", "retry_policy", "timeout", "confirm_timeout"):
            said.pop(name, None)
        said["embedded"] = _encode(said.pop("body")[2])
        said["headers"] = plain_headers(said["headers"])
        said["exchange"] = getattr(said["exchange"], "name", said["exchange"])
        return said

    def _publish(self, message: BulkMessage, photo: dict[str, Any], start: int, stop: int) -> None:
        said = dict(photo)
        headers, embedded = dict(said.pop("headers")), said.pop("embedded")
        exchange, routing_key = said.pop("exchange"), said.pop("routing_key")
        queues = said.pop("declare")
        priority = said.pop("priority", None)
        _, task_id, args, kwargs, masked = message
        if masked is None:
            args_size, kwargs_size, levels = self._sizes
            masked = shown_args(args, args_size, levels), shown_kwargs(kwargs, kwargs_size, levels)
        headers["id"], headers["argsrepr"], headers["kwargsrepr"] = task_id, *masked
        if self._lineage is None or self._lineage.root is None:
            headers["root_id"] = task_id
        properties = properties_of(said.pop("delivery_mode"), None, {**said, "correlation_id": task_id})
        properties.pop("expiration", None)  # the worker looks at `expires`, and tells who waits
        try:
            made = self._channel.prepare_message(
                f"[{_encode(args)}, {_encode(kwargs)}, {embedded}]".encode(),
                priority=priority,
                content_type="application/json",
                content_encoding="utf-8",
                headers=headers,
                properties=properties,
            )
            number = self._channel.publish_noted(made, exchange, routing_key, timeout=self._amqp.budget)
        except self._errors as error:
            # Not all of it was written, so that the server cannot have it.
            self._give_up()
            raise self._failure(error) from error
        event = b""
        if self._journal is not None and self._amqp.told is not None:
            queue = queues[0].name if queues else routing_key
            event = self._amqp.told.of_message(headers, [args, kwargs], queue)
        self._waiting.append((start, stop, number, event))

    def _answer(self, most: int) -> None:
        """Wait until so many messages at most are not confirmed."""
        if not self._waiting:
            return
        budget = self._amqp.budget
        deadline = time.monotonic() + budget
        problem: Exception | None = None
        while len(self._waiting) > (0 if problem else most):
            start, stop, number, event = self._waiting[0]
            outcome = self._channel.outcome_of(number)
            if outcome is None:
                try:
                    self._channel.connection.drain_events(timeout=max(deadline - time.monotonic(), 0.001))
                except self._errors as error:
                    self._give_up()
                    raise self._failure(error, uncertain=True) from error
                continue
            deadline = time.monotonic() + budget
            self._waiting.popleft()
            if outcome is True:
                self._note_sent(start, stop, event)
            else:
                problem = problem or outcome or _refused()
        if problem is not None:
            raise self._failure(problem, answered=True) from problem
        self._amqp.breaker.succeeded()

    def _note_sent(self, start: int, stop: int, event: bytes) -> None:
        self._outcome.note_sent(start, stop)
        if event and self._journal is not None:
            self._journal.published(event)

    def _give_up(self) -> None:
        """The connection is gone, or has to go: say what is known of what was sent over it."""
        channel = self._channel
        while self._waiting:
            start, stop, number, event = self._waiting.popleft()
            outcome = channel.outcome_of(number)
            if outcome is True:
                self._note_sent(start, stop, event)
            elif outcome is None:
                self._outcome.note_unsure(start, stop)
        if channel is not None and channel.connection is not None:
            with suppress(OSError):
                channel.connection.collect()

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        made: Any = self._amqp.app.connection_for_write()
        return (OSError, OperationalError, *made.recoverable_connection_errors, *made.channel_errors)

    def _failure(
        self, error: Exception | str, *, seconds: float | None = None, uncertain: bool = False, answered: bool = False
    ) -> BrokerUnavailable:
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        if not answered and seconds != 0.0:
            self._amqp.breaker.failed(reason)
        where, spent = self._amqp.app.connection_for_write().as_uri(), self._amqp.budget
        return BrokerUnavailable(
            task=self._task,
            broker=where,
            seconds=spent if seconds is None else seconds,
            reason=reason,
            uncertain=uncertain,
        )


def _refused() -> OperationalError:
    return OperationalError("the server refused the message: its queue is full, or has no leader")
