"""Celery's AMQP layer for an application whose broker is RabbitMQ."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery.app.routes import MapRoute
from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu import Exchange
from kombu.exceptions import OperationalError
from typing_extensions import override

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.publishing.amqp import PublishingAMQP
from celeriac.transport.publishing.template import is_kombus_json
from celeriac.transport.rabbitmq.budget import Unconfirmed, within
from celeriac.transport.rabbitmq.bulk import RabbitBulk
from celeriac.transport.rabbitmq.names import DELAYS
from celeriac.transport.rabbitmq.queues import QUORUM, SafeQueues
from celeriac.transport.rabbitmq.topology import bind_delays, declare_delays, key_behind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from celeriac.transport.publishing.batch import BulkWriter, Outcome
    from celeriac.transport.publishing.template import Lineage

__all__ = ["RabbitAMQP"]


class RabbitAMQP(PublishingAMQP):
    """Queues that keep what they take, and a bound for every publish of a task."""

    def queues_cls(self, *said: Any, **options: Any) -> SafeQueues:  # type: ignore[override]  # a class, to Celery
        """The table of queues, as Celery makes it."""
        conf: Any = self.app.conf
        usual = conf.task_default_queue_type or QUORUM
        return SafeQueues(*said, usual_type=usual, max_deliveries=conf.get("task_max_deliveries") or 5, **options)

    def held_until(self, countdown: float | None, eta: datetime | str | None) -> str | None:
        """When a task is due that is due within a second, else None: Celery has RabbitMQ delay for whole seconds.

        Celery rounds less than a second down to none, and refuses that.
        """
        app: Any = self.app
        now: datetime = app.now()
        if countdown:
            due = now + timedelta(seconds=float(countdown))
        else:
            due = maybe_make_aware(maybe_iso8601(eta) or now, app.timezone)
        return due.isoformat() if timedelta(0) < due - now < timedelta(seconds=1) else None

    @override
    def bulk(
        self,
        task: str,
        options: Mapping[str, Any],
        outcome: Outcome,
        promise: Callable[[str], Any],
        *,
        masked: bool,
        lineage: Lineage | None,
    ) -> BulkWriter | None:
        """See :meth:`PublishingAMQP.bulk`; what is delayed goes Celery's whole way, call by call."""
        conf: Any = self.app.conf
        said: dict[str, Any] = conf.broker_transport_options or {}
        plain: bool = (
            not (self.observed or self.signer is not None or options.get("eta") or options.get("countdown"))
            and all(isinstance(router, MapRoute) for router in self.routes)
            and is_kombus_json(options.get("serializer") or conf.task_serializer)
            and not (options.get("compression") or conf.task_compression)
            and bool(said.get("confirm_publish"))
        )
        if not plain:
            return None
        return RabbitBulk(
            self, task, options, reply_to=self.app.thread_oid, lineage=lineage, outcome=outcome, promise=promise
        )

    def _create_task_sender(self) -> Callable[..., Any]:
        conf: Any = self.app.conf
        send: Any = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            started = time.monotonic()
            try:
                with within(float(conf.get("publish_timeout") or 2)):
                    exchange = options.get("exchange")
                    if (exchange.name if isinstance(exchange, Exchange) else exchange) == DELAYS:
                        self._prepare_delay(producer, str(options.get("routing_key")))
                    return send(producer, name, message, **options)
            except (OperationalError, *producer.connection.recoverable_connection_errors) as error:
                if isinstance(error, BrokerUnavailable):
                    raise
                raise BrokerUnavailable(
                    task=name,
                    broker=producer.connection.as_uri(),
                    seconds=time.monotonic() - started,
                    reason=str(error) or type(error).__name__,
                    uncertain=isinstance(error, Unconfirmed),
                ) from error

        return send_task_message

    def _prepare_delay(self, producer: Any, routing_key: str) -> None:
        """See to it that a delayed message finds its way, though no worker may ever have run here."""
        key = key_behind(routing_key)
        queues = [queue for queue in self.queues.values() if queue.routing_key == key]
        connection = producer.connection
        done = ("celeriac-delays", key)
        if done in connection.declared_entities:  # kombu forgets them with the connection
            return

        def prepare() -> None:
            declare_delays(connection, self.app.conf.broker_native_delayed_delivery_queue_type)
            with connection.channel() as channel:
                for queue in queues:
                    bind_delays(channel, queue)

        connection.ensure(producer, prepare, max_retries=1, interval_start=0)()
        connection.declared_entities.add(done)
