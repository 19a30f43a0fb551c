"""kombu's channel on RabbitMQ: confirmed and routed on the way out, checked and counted on the way in."""

# py-amqp is typed for those who call it, not for those who build upon it.
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import PreconditionFailed, RecoverableConnectionError
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp
from typing_extensions import override

from celeriac.exceptions import QueueMismatch, UnroutableMessage
from celeriac.transport.rabbitmq.budget import Unconfirmed, remaining
from celeriac.transport.rabbitmq.intake import Intake
from celeriac.transport.rabbitmq.names import CONSUMER_TIMEOUT, plain_headers
from celeriac.transport.rabbitmq.settling import Settler
from celeriac.transport.results import writer as results

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqp import Message

__all__ = ["SafeChannel"]

logger = logging.getLogger(__name__)

_Channel: Any = pyamqp.Channel  # typed more narrowly than what it is called with
_STRICT_PRIORITIES: Final = (4, 3)
"""The first version whose quorum queues have more than two priorities."""
_QUEUE: Final = "queue"
_EXCHANGE: Final = "exchange"
_LEVELS: Final = 9
_TUNABLE: Final = frozenset({"x-delivery-limit", "x-max-priority", "x-consumer-timeout"})
"""Arguments whose value in a queue that exists already is as good as ours, as the rest of it is."""
_INEQUIVALENT: Final = re.compile(r"inequivalent arg '([\w-]+)' for (\w+) '(.*)' in vhost")


class SafeChannel(_Channel):  # type: ignore[misc]
    """Publishes nothing without knowing what became of it, and takes no task that could harm its worker."""

    connection: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._sequence = 0
        self._awaited: dict[int, bool | Exception | None] = {}
        self._returned: dict[int, Exception] = {}
        self._numbers: dict[str, int] = {}
        self._taken: dict[int, tuple[Intake, Any]] = {}
        self._confirm_selected = False
        acknowledge: Any = super().basic_ack
        self.settler = Settler(acknowledge, self._has_news)
        super().__init__(*args, **kwargs)

    # -- publishing

    def basic_publish_confirm(  # noqa: PLR0917  amqp's
        self,
        msg: Message,
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,  # noqa: FBT001, FBT002  amqp's
        immediate: bool = False,  # noqa: FBT001, FBT002  amqp's
        timeout: float | None = None,
        confirm_timeout: float | None = None,
    ) -> Any:
        """Publish; a task, or what is mandatory, is in its queue when this returns.

        Events and answers of remote control are not waited for, as nobody may be there to hear them.

        Raises:
            UnroutableMessage: no queue takes it.
            kombu.exceptions.OperationalError: the server refused it, or did not confirm it in time.
        """
        properties: dict[str, Any] = msg.properties
        headers: dict[str, Any] = properties.get("application_headers") or {}
        awaited = mandatory or "task" in headers
        if "task" in headers:
            # The worker looks at `expires` itself, and tells who waits; RabbitMQ would drop the task without a word.
            properties.pop("expiration", None)
            properties["application_headers"] = plain_headers(headers)
        if not self._confirm_selected:
            self._confirm_selected = True
            self.confirm_select()
        if not awaited:
            return self.publish_unconfirmed(msg, exchange, routing_key, immediate=immediate, timeout=timeout)
        number = self._sequence + 1
        self._awaited[number] = None
        try:
            self.publish_unconfirmed(
                msg, exchange, routing_key, mandatory=True, immediate=immediate, timeout=timeout or remaining()
            )
            self._await(number, confirm_timeout or timeout)
        finally:
            self._awaited.pop(number, None)
        return None

    def publish_noted(self, msg: Message, exchange: str, routing_key: str, *, timeout: float) -> int:
        """Publish a task, and give the number by which :meth:`outcome_of` tells whether the server has it."""
        if not self._confirm_selected:
            self._confirm_selected = True
            self.confirm_select()
        number = self._sequence + 1
        self._awaited[number] = None
        self._numbers[msg.properties["application_headers"]["id"]] = number
        try:
            self.publish_unconfirmed(msg, exchange, routing_key, mandatory=True, timeout=timeout)
        except BaseException:
            self._awaited.pop(number, None)
            raise
        return number

    def outcome_of(self, number: int) -> bool | Exception | None:
        """Whether the server took a noted message, why it did not, or ``None``: ask again."""
        outcome = self._awaited.get(number)
        if outcome is not None:
            del self._awaited[number]
            if not self._awaited:
                self._numbers.clear()
        return outcome

    def publish_unconfirmed(self, msg: Message, exchange: str, routing_key: str, **options: Any) -> Any:
        """Publish, and leave it to others to find out what became of it."""
        self._sequence += 1
        return self._basic_publish(msg, exchange, routing_key, **options)

    @override
    def confirm_select(self, nowait: bool = False) -> Any:
        self._sequence = 0  # the server counts from here, too
        return super().confirm_select(nowait=nowait)

    def _await(self, number: int, timeout: float | None) -> None:
        patience = min(each for each in (timeout, remaining(), self.connection.confirm_timeout) if each is not None)
        deadline = time.monotonic() + patience
        while (outcome := self._awaited[number]) is None:
            connection = self.connection
            if connection is None:
                msg = "the connection was lost before the message was confirmed"
                raise RecoverableConnectionError(msg)
            try:
                connection.drain_events(timeout=max(deadline - time.monotonic(), 0.001))
            except TimeoutError:
                if time.monotonic() >= deadline:
                    self._give_up(f"it did not confirm the message within {patience:.1f} s")
        if isinstance(outcome, Exception):
            raise outcome
        if not outcome:
            msg = "the server refused the message: its queue is full, or has no leader"
            raise OperationalError(msg)

    def _give_up(self, problem: str) -> None:
        """Leave a connection that does not answer: the next publish makes a new one."""
        self.connection.collect()
        # Not sent again: it may have arrived, and would run twice.
        raise Unconfirmed(problem)

    @override
    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, **kwargs: Any) -> Any:
        left = remaining()
        if left is None:
            return super().wait(method, callback=callback, timeout=timeout, **kwargs)
        try:
            return super().wait(method, callback=callback, timeout=max(left, 0.001), **kwargs)
        except TimeoutError:
            self._give_up("it did not answer in time")

    def _on_basic_ack(self, delivery_tag: int, multiple: bool) -> None:  # noqa: FBT001  amqp's
        self._conclude(delivery_tag, multiple=multiple, outcome=True)
        super()._on_basic_ack(delivery_tag, multiple)

    def _on_basic_nack(self, delivery_tag: int, multiple: bool) -> None:  # noqa: FBT001  amqp's
        self._conclude(delivery_tag, multiple=multiple, outcome=False)
        super()._on_basic_nack(delivery_tag, multiple)

    def _conclude(self, tag: int, *, multiple: bool, outcome: bool) -> None:
        for number in list(self._awaited) if multiple else (tag,):
            if number > tag:
                break
            if self._awaited.get(number, outcome) is None:
                self._awaited[number] = self._returned.pop(number, outcome)

    def _on_basic_return(self, reply_code: int, reply_text: str, exchange: str, routing_key: str, message: Any) -> None:
        headers: dict[str, Any] = message.headers or {}
        number = self._numbers.get(str(headers.get("id")))
        if number is None:  # of those that are waited for at once there is one alone
            number = next((each for each, known in self._awaited.items() if known is None), None)
        if number is None:
            super()._on_basic_return(reply_code, reply_text, exchange, routing_key, message)
            return
        self._returned[number] = UnroutableMessage(  # its acknowledgement follows
            task=headers.get("task"), exchange=exchange, routing_key=routing_key, reason=reply_text
        )

    # -- consuming

    def basic_consume(  # noqa: PLR0917  amqp's
        self,
        queue: str = "",
        consumer_tag: str = "",
        no_local: bool = False,  # noqa: FBT001, FBT002  amqp's
        no_ack: bool = False,  # noqa: FBT001, FBT002  amqp's
        exclusive: bool = False,  # noqa: FBT001, FBT002  amqp's
        nowait: bool = False,  # noqa: FBT001, FBT002  amqp's
        callback: Callable[[Any], Any] | None = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Consume; messages of the application's own queues are looked at first."""
        rules = self.connection.rules
        if not no_ack and callback is not None and rules is not None and rules.queue(queue) is not None:
            courier = self.connection.courier_for(queue)
            callback = Intake(self, courier, queue, callback, rules)
            arguments = {"x-consumer-timeout": CONSUMER_TIMEOUT} | (arguments or {})
            results.coalesce()
        elif not no_ack:
            self.settler.singly = True
        consume: Any = super().basic_consume
        return consume(queue, consumer_tag, no_local, no_ack, exclusive, nowait, callback, arguments, **kwargs)

    def basic_get(self, queue: str = "", no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  amqp's
        """Fetch a message; those that others consume here are acknowledged one by one from now on."""
        self.settler.singly = self.settler.singly or not no_ack
        return super().basic_get(queue, no_ack, **kwargs)

    def basic_qos(self, prefetch_size: int, prefetch_count: int, a_global: bool, **kwargs: Any) -> Any:  # noqa: FBT001  amqp's
        """Say how many messages the server may hand out ahead."""
        self.settler.window = prefetch_count
        return super().basic_qos(prefetch_size, prefetch_count, a_global, **kwargs)

    def take(self, intake: Intake, message: Any) -> None:
        """Remember a message that was handed on, until it is settled: it may turn out that nobody wants it."""
        self._taken[message.delivery_tag] = (intake, message)

    @override
    def basic_ack(self, delivery_tag: int, multiple: bool = False, **kwargs: Any) -> Any:
        """Acknowledge a message; a task's, once its result is stored: see :class:`Settler`."""
        if self._taken.pop(delivery_tag, None) is not None and not multiple:
            self.settler.acknowledge(delivery_tag)
            return
        super().basic_ack(delivery_tag, multiple, **kwargs)
        self.settler.release(delivery_tag)

    @override
    def basic_reject(self, delivery_tag: int, requeue: bool, **kwargs: Any) -> Any:
        intake, message = self._taken.pop(delivery_tag, (None, None))
        if intake is None or requeue:
            super().basic_reject(delivery_tag, requeue, **kwargs)
            self.settler.release(delivery_tag)
        else:
            intake.unwanted(message)

    def _has_news(self) -> bool:
        connection = self.connection
        return connection is not None and connection.has_news()

    @override
    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close, once what is done was acknowledged; the server gives to others what was not."""
        self.settler.finish()
        return super().close(*args, **kwargs)

    @override
    def collect(self) -> None:
        self._taken.clear()
        self.settler.close()
        super().collect()

    # -- declaring

    def queue_declare(self, queue: str = "", passive: bool = False, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002  amqp's
        """Declare a queue; one that exists already with a limit or a number of priorities of its own is taken as it is.

        Raises:
            QueueMismatch: a queue of this name exists, and is of another kind.
        """
        arguments: dict[str, Any] = kwargs.get("arguments") or {}
        if arguments.get("x-queue-type") == "quorum" and self.connection.version >= _STRICT_PRIORITIES:
            kwargs["arguments"] = {"x-max-priority": _LEVELS} | arguments
        try:
            return super().queue_declare(queue, passive, *args, **kwargs)
        except PreconditionFailed as error:
            found = _INEQUIVALENT.search(str(error))
            if found and found[1] in _TUNABLE:
                logger.warning("queue %r is used as it is: %s", queue, error.reply_text)
                return super().queue_declare(queue, passive=True)
            raise _mismatch(_QUEUE, queue, error) from error

    def exchange_declare(self, exchange: str, *args: Any, **kwargs: Any) -> Any:
        """Declare an exchange.

        Raises:
            QueueMismatch: an exchange of this name exists, and is of another type.
        """
        try:
            return super().exchange_declare(exchange, *args, **kwargs)
        except PreconditionFailed as error:
            raise _mismatch(_EXCHANGE, exchange, error) from error


def _mismatch(kind: str, name: str, error: PreconditionFailed) -> QueueMismatch:
    return QueueMismatch(kind=kind, name=name, problem=str(error.reply_text))
