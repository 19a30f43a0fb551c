"""kombu's channel on Redis, with leases instead of a visibility timeout."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from kombu.transport import redis, virtual
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from typing_extensions import override

from celeriac.exceptions import MalformedMessage, TooManyDeliveries
from celeriac.transport.envelope import Envelope, read
from celeriac.transport.redis.broker import LEASE
from celeriac.transport.redis.intake import Intake
from celeriac.transport.redis.keys import WAITS, queue_of
from celeriac.transport.redis.message import LeasedMessage
from celeriac.transport.results import writer as results

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from celeriac.transport.redis.broker import Delivery
    from celeriac.transport.rules import Rules

__all__ = ["BATCH", "LeasedChannel", "LeasedQoS", "LeasedSentinelChannel"]

logger = logging.getLogger(__name__)

BATCH: Final = 64
"""Messages that are claimed at once, where the prefetch limit allows."""
_SKEW: Final = 1.0
"""Seconds that clocks may differ before a message's times are translated."""
_OUT_OF_REACH: Final = (RedisConnectionError, RedisTimeoutError, ResponseError)

_intakes: dict[tuple[Any, ...], Intake] = {}


class _Client(Redis):
    """Pipelines are no transactions unless asked: a server without memory refuses whatever comes in one."""

    @override
    def pipeline(self, transaction: bool = False, shard_hint: Any = None) -> Any:
        return super().pipeline(transaction, shard_hint)


class _PrefixedClient(redis.PrefixedStrictRedis):
    @override
    def pipeline(self, transaction: bool = False, shard_hint: Any = None) -> Any:
        return super().pipeline(transaction, shard_hint)


class LeasedQoS(redis.QoS):
    """Acknowledgements of leased messages; those of plain ``basic_get`` stay kombu's."""

    channel: Any

    @override
    def append(self: Any, message: Any, delivery_tag: str) -> None:
        if not isinstance(message, LeasedMessage):
            redis.QoS.append(self, message, delivery_tag)
        else:
            virtual.QoS.append(self, message, delivery_tag)

    @override
    def ack(self: Any, delivery_tag: str) -> None:
        if not self.channel.leases(delivery_tag):
            redis.QoS.ack(self, delivery_tag)
            return
        self.channel.intake.acknowledge(delivery_tag)
        self._quick_ack(delivery_tag)

    @override
    def reject(self: Any, delivery_tag: str, requeue: bool = False) -> None:
        if not self.channel.leases(delivery_tag):
            redis.QoS.reject(self, delivery_tag, requeue=requeue)
            return
        if requeue:
            self.channel.intake.give_back([delivery_tag], count=True)
        else:
            self.channel.reject_for_good(delivery_tag, self._delivered.get(delivery_tag))
        self._quick_ack(delivery_tag)

    def restore_unacked(self: Any, client: Any = None) -> Any:
        """Let others have what was not acknowledged, but for what runs here and is going to be finished."""
        stock: Any = redis.QoS
        self._flush()
        leased = [tag for tag in self._delivered if self.channel.leases(tag)]
        for tag in leased:
            del self._delivered[tag]
        if self._delivered:
            stock.restore_unacked(self, client)
            self._delivered.clear()
        if leased:
            running = _running()
            self.channel.intake.give_back([tag for tag in leased if tag not in running], count=False)
        return []

    def restore_visible(self: Any, start: int = 0, num: int | None = None, interval: int = 1) -> None:
        """Take over what a stock worker left behind: the way from kombu's transport to this one."""
        del interval  # the channel knows when it looked last
        stock: Any = redis.QoS
        self.channel.adopt(lambda: stock.restore_visible(self, start, num, 1))

    def take(self: Any, delivery_tags: Iterable[str]) -> None:
        """Forget messages that went back."""
        for tag in delivery_tags:
            self._quick_ack(tag)


class LeasedChannel(redis.Channel):
    """Claims messages instead of popping them, from the same lists.

    Channels that acknowledge nothing, such as those for remote control and its replies, work as kombu's do.
    """

    QoS = LeasedQoS
    # kombu's own leave a table of the connection's options on every channel.
    from_transport_options = (*redis.Channel.from_transport_options, "lease", "adopt_every", "rules")
    lease: float = LEASE
    adopt_every: float = 60.0
    """Seconds between two looks for what stock workers left behind."""
    rules: Rules | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._intake: Intake | None = None
        self._receivers: dict[str, Any] = {}
        self._adopted = -math.inf
        self._complained = -60.0
        super().__init__(*args, **kwargs)

    # -- consuming

    @property
    def leasing(self) -> bool:
        """Whether this channel consumes messages that it will acknowledge."""
        return bool(self._receivers)

    @property
    def intake(self) -> Intake:
        """What this process takes from the server; made at the first use."""
        if self._intake is None or self._intake.pid != os.getpid():
            self._intake = self._shared_intake()
            self._intake.users += 1
        return self._intake

    @property
    def owner(self) -> str:
        """Under which name the leases are held."""
        return self.intake.owner

    def leases(self, token: str) -> bool:
        """Whether a delivery tag is the token of a lease; kombu's own are UUIDs."""
        return self._intake is not None and token.isdecimal()

    @override
    def basic_consume(
        self: Any, queue: str, no_ack: bool, callback: Any, consumer_tag: str | None, **kwargs: Any
    ) -> Any:
        if not no_ack and queue not in self._fanout_queues:
            self._receivers[queue] = callback
        stock: Any = redis.Channel
        return stock.basic_consume(self, queue, no_ack, callback, consumer_tag, **kwargs)

    def _basic_cancel(self: Any, consumer_tag: str) -> Any:
        self._receivers.pop(self._tag_to_queue.get(consumer_tag, ""), None)
        stock: Any = redis.Channel
        return stock._basic_cancel(self, consumer_tag)  # noqa: SLF001

    def claim(self: Any, limit: int = BATCH) -> list[LeasedMessage]:
        """Take up to ``limit`` messages and settle what is done, in one round trip; ``[]`` if there are none.

        Those that cannot be read, or were delivered too often, are dead letters by then; those that are not due yet
        wait on the server.

        Raises:
            redis.exceptions.ConnectionError: the server is out of reach; what is held stays held.
        """
        if not self._receivers or limit < 1:
            return []
        order: list[str] = self._queue_cycle.consume(len(self._active_queues))
        queues = [queue for queue in order if queue in self._receivers]
        lists = [
            f"{self.global_keyprefix}{self._q_for_pri(queue, step)}" for step in self.priority_steps for queue in queues
        ]
        intake = self.intake
        deliveries = intake.claim(lists, limit)
        if not deliveries:
            return []
        self._queue_cycle.rotate(queue_of(deliveries[-1].list_key, self.global_keyprefix))
        try:
            messages: list[LeasedMessage] = self._checked(deliveries)
        except BaseException:  # the server went away while some were parked or buried
            tokens = [delivery.token for delivery in deliveries]
            self.qos.take(tokens)
            intake.let_go(tokens)
            raise
        return messages

    def _checked(self, deliveries: list[Delivery]) -> list[LeasedMessage]:
        intake = self.intake
        accept = None if self.rules is None else self.rules.accept
        check = None if self.rules is None else self.rules.check
        messages: list[LeasedMessage] = []
        early: dict[str, float] = {}
        waiting: dict[str, tuple[Delivery, Envelope]] = {}
        for delivery in deliveries:
            try:
                envelope = read(delivery.raw, accept)
                if check is not None:
                    check(envelope)
            except MalformedMessage as error:
                self._bury(delivery, "malformed", str(error), None)
                continue
            if delivery.deliveries and self._is_spent(delivery, envelope):
                continue
            if envelope.eta is not None and envelope.eta > intake.now:
                early[delivery.token] = envelope.eta
                if WAITS in envelope.headers:
                    waiting[delivery.token] = delivery, envelope
                continue
            messages.append(self._taken(delivery, envelope))
        if early:
            names = {token: str(each.headers[WAITS]).partition("|")[2] for token, (_, each) in waiting.items()}
            messages.extend(self._taken(*waiting[token]) for token in intake.park(early, names))
        return messages

    def _taken(self, delivery: Delivery, envelope: Envelope) -> LeasedMessage:
        if envelope.eta is not None or envelope.expires is not None:
            self._translate(envelope)
        queue = queue_of(delivery.list_key, self.global_keyprefix)
        message = LeasedMessage(envelope, delivery, queue=queue, channel=self)
        self.qos.append(message, delivery.token)
        return message

    def _is_spent(self, delivery: Delivery, envelope: Envelope) -> bool:
        """Bury a message that was delivered as often as it may be."""
        task: str | None = envelope.headers.get("task")
        most = sys.maxsize if self.rules is None else self.rules.most_deliveries(task)
        if delivery.deliveries < most:
            return False
        error = TooManyDeliveries(task=task, deliveries=delivery.deliveries)
        self._bury(delivery, "too-many-deliveries", str(error), envelope)
        if self.rules is not None:
            self.rules.give_up(envelope, error)
        return True

    def _translate(self, envelope: Envelope) -> None:
        """Celery compares a message's times with the clock of this machine; it is the server's that counts."""
        headers, now = envelope.headers, self.intake.now
        if envelope.eta is not None:
            headers["eta"] = None  # due, or it would be parked
        if envelope.expires is not None and "task" in headers and abs(now - time.time()) > _SKEW:
            here = envelope.expires - self.intake.clock_offset
            headers["expires"] = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(here))

    def wait(self, timeout: float) -> bool:
        """Block until there may be something to claim, at most ``timeout`` seconds; whether there may be."""
        return self.intake.wait(timeout)

    def flush(self) -> None:
        """Store results and settle what is done, now.

        Raises:
            redis.exceptions.ConnectionError: the server is out of reach; it is tried again.
        """
        if self._intake is not None:
            self._intake.flush()

    def give_back(self: Any, messages: Iterable[LeasedMessage]) -> None:
        """Let others have messages that were claimed and not begun."""
        tokens = [cast("str", message.delivery_tag) for message in messages]
        self.intake.give_back(tokens, count=False)
        self.qos.take(tokens)

    def deliver(self: Any, messages: Iterable[LeasedMessage]) -> int:
        """Hand messages to the consumers of their queues; returns how many there were."""
        delivered = 0
        for message in messages:
            receiver = self._receivers.get(message.queue)
            if receiver is None:  # cancelled meanwhile
                self.give_back([message])
                continue
            receiver(message)
            delivered += 1
        return delivered

    def claim_and_deliver(self: Any) -> int:
        """One claim, as far as the prefetch limit allows."""
        if not self.qos.can_consume():
            return 0
        room = self.qos.can_consume_max_estimate()
        return int(self.deliver(self.claim(BATCH if room is None else min(BATCH, room))))

    # -- what is not delivered

    def reject_for_good(self, token: str, message: LeasedMessage | None) -> None:
        """A task, or Celery, does not want the message, now or ever: a dead letter."""
        if message is None or token not in self.intake.held:
            return
        task = str(message.headers.get("task") or "")
        unknown = bool(task) and self.rules is not None and not self.rules.knows(task)
        reason, detail = (
            ("unknown-task", f"no task is named {task!r} here") if unknown else ("rejected", "the worker rejected it")
        )
        deliveries = int(message.delivery_info["deliveries"])
        try:
            self._write_dead_letter(
                token, message.queue, reason, detail, deliveries=deliveries + 1, headers=message.headers
            )
        except _OUT_OF_REACH as error:
            logger.warning("a message of queue %r is no dead letter yet, and comes again: %s", message.queue, error)
            self.intake.give_back([token], count=True)

    def _bury(self, delivery: Delivery, reason: str, detail: str, envelope: Envelope | None) -> None:
        queue = queue_of(delivery.list_key, self.global_keyprefix)
        logger.error("a message of queue %r is a dead letter (%s): %s", queue, reason, detail)
        headers = {} if envelope is None else envelope.headers
        deliveries = delivery.deliveries + (envelope is None)
        self._write_dead_letter(delivery.token, queue, reason, detail, deliveries=deliveries, headers=headers)

    def _write_dead_letter(
        self, token: str, queue: str, reason: str, detail: str, *, deliveries: int, headers: dict[str, Any]
    ) -> None:
        letter = f"{self.intake.owner}:{token}"
        self.intake.bury(
            token,
            None if self.rules is None else self.rules.death_of(headers, queue, reason, detail[:2000], letter),
            queue=queue,
            reason=reason,
            detail=detail[:2000],
            deliveries=deliveries,
            worker=self.intake.owner,
            task=str(headers.get("task") or ""),
            task_id=str(headers.get("id") or ""),
        )

    def adopt(self, restore: Any) -> None:
        """Look, now and then, for what a stock worker claimed and never acknowledged within its visibility timeout."""
        if (now := time.monotonic()) - self._adopted < self.adopt_every:
            return
        self._adopted = now
        with suppress(*_OUT_OF_REACH):  # another look comes
            restore()

    def _queue_bind(self, *args: Any) -> None:
        # Whoever publishes needs the binding; who consumes has to begin with it.
        with self._where_memory_lasts():
            stock: Any = super()
            stock._queue_bind(*args)  # noqa: SLF001  kombu's own

    def _refresh_bindings(self, queues: Any) -> None:
        with self._where_memory_lasts():
            stock: Any = super()
            stock._refresh_bindings(queues)  # noqa: SLF001  kombu's own

    @contextmanager
    def _where_memory_lasts(self) -> Generator[None]:
        """Go on without the bindings that a full server does not take: messages are drained without them."""
        try:
            yield
        except OutOfMemoryError as error:
            if (now := time.monotonic()) - self._complained > 60:  # noqa: PLR2004  seconds
                self._complained = now
                logger.warning("queues cannot be bound, the server has no memory left: %s", error)

    # -- connections

    def _get_client(self) -> Any:
        if self.global_keyprefix:
            return partial(_PrefixedClient, global_keyprefix=self.global_keyprefix)
        return _Client

    def _shared_intake(self: Any) -> Intake:
        """This process's intake from this server: a channel that takes the place of a broken one finds it again."""
        known = (os.getpid(), self.connection.client.as_uri(include_password=True), self.global_keyprefix, self.lease)
        intake = _intakes.get(known)
        if intake is None or intake.keeper.stopped:
            pool = self._get_pool()
            pool.connection_kwargs["protocol"] = 3

            def connect() -> Any:
                # Past the pool, which counts what it makes and has no way to be told that it is gone.
                connection = pool.connection_class(**pool.connection_kwargs)
                connection.connect()
                return connection

            intake = _intakes[known] = Intake(
                connect,
                prefix=self.global_keyprefix,
                lease=self.lease,
                timeout=self.socket_timeout or 5.0,
                barrier=results,
            )
            results.coalesce()
        return intake

    def close(self) -> None:
        """Close, and let others have what was not begun.

        What runs now stays claimed when a connection was lost: the worker is about to come back.
        """
        entered = not self.closed and self._intake is not None
        self._receivers.clear()
        try:
            super().close()
        finally:
            if entered and self._intake is not None:  # which late acknowledgements still go through
                self._intake.leave()

    def _on_connection_disconnect(self: Any, connection: Any) -> None:
        # A broker that restarts leaves a channel without its connection: kombu 5.7 asks it for one.
        if self.connection is not None:
            stock: Any = redis.Channel
            stock._on_connection_disconnect(self, connection)  # noqa: SLF001

    def _connparams(self: Any, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002  kombu's
        if self.connection is None:
            msg = "the channel is closed"
            raise RedisConnectionError(msg)  # kombu 5.7: AttributeError, which ends the worker
        stock: Any = super()
        return stock._connparams(asynchronous=asynchronous)  # noqa: SLF001  kombu's own


class LeasedSentinelChannel(LeasedChannel, redis.SentinelChannel):
    """The same, with the master found by Sentinels."""

    from_transport_options = (*redis.SentinelChannel.from_transport_options, "lease", "adopt_every", "rules")


def _running() -> set[str]:
    """Tokens of the tasks that a Celery worker runs in this process and is going to finish."""
    state: Any = sys.modules.get("celery.worker.state")
    if state is None or state.should_terminate is not None or state.should_stop is not None:
        return set()
    return {str(request._message.delivery_tag) for request in tuple(state.active_requests)}  # noqa: SLF001  it has no public name
