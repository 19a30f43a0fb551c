"""Celery's ``app.amqp`` with a publisher of our own for everything that goes to a Redis list."""

from __future__ import annotations

from asyncio import get_running_loop
from functools import cached_property
from os import getpid
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from celery import signals
from celery.app.routes import MapRoute
from celery.backends.base import Backend
from kombu.exceptions import OperationalError
from typing_extensions import override

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.amqp import LosslessAMQP
from celeriac.transport.connector import connector, leads_to_redis
from celeriac.transport.holds.hold import HEADER
from celeriac.transport.publishing.admission import Admission
from celeriac.transport.publishing.breaker import Breaker
from celeriac.transport.publishing.bulk import RedisBulk
from celeriac.transport.publishing.crowd import Crowd
from celeriac.transport.publishing.held import HeldSender
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.letter import Letter
from celeriac.transport.publishing.message import Layout, envelope, properties_of
from celeriac.transport.publishing.sender import Sender
from celeriac.transport.publishing.template import HELD, Camera, Template, Untemplated
from celeriac.transport.publishing.told import Told
from celeriac.transport.signing import Signer
from celeriac.transport.stream import HistoryStream

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Mapping

    from celeriac.transport.holds.holds import Holds
    from celeriac.transport.publishing.batch import BulkWriter, Outcome
    from celeriac.transport.publishing.message import Binding
    from celeriac.transport.publishing.template import Lineage

__all__ = ["PublishingAMQP"]

_SIGNALS: Final = (signals.before_task_publish, signals.after_task_publish, signals.task_sent)
_NOT_PROPERTIES: Final = ("confirm_timeout", "declare", "exchange", "immediate", "mandatory", "routing_key", "timeout")


class PublishingAMQP(LosslessAMQP):
    """Every publish of the app passes here: registries, ``send_task``, ``apply_async``, canvas, retries and beat.

    What goes to one queue behind a direct exchange of a Redis server, which is nearly everything, is sent by
    :attr:`sender`. The rest is kombu's: other exchanges and brokers, batches, connections that the caller brings.
    """

    @cached_property
    def breaker(self) -> Breaker:
        """Refuses publishes while the broker is out of reach."""
        return Breaker()

    @cached_property
    def budget(self) -> float:
        """Seconds that a publish may take."""
        return float(self.app.conf.get("publish_timeout") or 2.0)

    @cached_property
    def layout(self) -> Layout:
        """How messages are written."""
        return Layout(self.app.conf.broker_transport_options or {})

    @cached_property
    def sender(self) -> Sender | None:
        """What sends to Redis; ``None`` with any other broker."""
        conf: Any = self.app.conf
        said = conf.broker_write_url or conf.broker_url or ""
        url = said if isinstance(said, str) else ";".join(said)
        if not leads_to_redis(url):
            return None
        options: dict[str, Any] = {**(conf.broker_transport_options or {}), "ssl": conf.broker_use_ssl}
        made = connector(url, options=options, protocol=2)
        sender = Sender(made, self.breaker, budget=self.budget, idle=conf.broker_pool_limit or 0)
        if high_water := conf.get("broker_memory_high_water"):
            sender.admission = Admission(high_water, sender)
        return sender

    @cached_property
    def told(self) -> Told | None:
        """What tells the history of each message; ``None`` where none is kept."""
        conf: Any = self.app.conf
        stream = HistoryStream.of(conf, conf.broker_transport_options or {})
        return None if stream is None else Told(self.app, stream, int(conf.get("history_value_size") or 4096))

    @cached_property
    def signer(self) -> Signer | None:
        """What signs each message; ``None`` where nobody asks for it."""
        conf: Any = self.app.conf
        keys: str = conf.get("task_signing_keys") or ""
        return Signer([key.strip() for key in keys.split(",") if key.strip()]) if keys else None

    def held_sender(self, places: Holds) -> HeldSender | None:
        """What sends messages that need a place; ``None`` where places are kept on another server than messages."""
        if self._held is None and (sender := self.sender) is not None and places.whereto == sender.whereto:
            self._held = HeldSender(sender, places, None if self.told is None else self.told.stream)
        return self._held

    _held: HeldSender | None = None

    def crowd(self, sender: Sender) -> Crowd:
        """What sends for the coroutines of the running event loop."""
        loop, crowds = get_running_loop(), self._crowds
        found = crowds.get(loop)
        if found is None:
            found = crowds[loop] = Crowd(sender)
        return found

    @cached_property
    def _crowds(self) -> WeakKeyDictionary[AbstractEventLoop, Crowd]:
        return WeakKeyDictionary()

    def close(self) -> None:
        """Close the connections to Redis; the next publish opens what it needs."""
        if (sender := vars(self).get("sender")) is not None:
            sender.close()

    # -- templates

    def template(self, task: str, *, masked: bool = False, held: bool = False) -> Template | None:
        """The task's message as it is without options, or ``None`` where a call has to go Celery's whole way.

        That is where somebody listens to Celery's signals, where a router of the app's own looks at the arguments, and
        where the message is no plain one. One that is ``held`` names its place in a header: see
        :mod:`celeriac.transport.holds`.
        """
        if self.observed:
            return None
        templates = self._templates
        if templates.process != getpid():  # the sender's name in it is the parent's
            templates = self._templates = _Templates()
        try:
            return templates[task, masked, held]
        except KeyError:
            known = self.app.tasks.get(task)
            flow: Any = getattr(known, "flow", None)
            if flow is not None and (flow.stamps or (flow.publishes and not held)):
                templates[task, masked, held] = None  # each call is looked at
                return None
            said: dict[str, Any] = {"ignore_result": bool(known is not None and known.ignore_result)}
            if held:
                said["headers"] = {HEADER: HELD}
            made = self.template_with(task, said, masked=masked)
            templates[task, masked, held] = found = None if made is None or made.timed else made
            return found

    @property
    def observed(self) -> bool:
        """Whether somebody wants to hear of each publish: by Celery's signals, or by its events."""
        before, after, sent = _SIGNALS
        heard = before.receivers or after.receivers or sent.receivers
        conf: Any = self.app.conf
        return bool(heard or conf.maps[0].get("task_send_sent_event"))

    def template_with(self, task: str, options: Mapping[str, Any], *, masked: bool = False) -> Template | None:
        """A task's message with options of :meth:`celery.Celery.send_task`, or ``None`` where it is no plain one."""
        if self.sender is None or not all(isinstance(router, MapRoute) for router in self.routes):
            return None
        if not (options.get("ignore_result") or _is_deaf(self.app.backend)):
            return None
        try:
            return Template(self.app, self.layout, task, options, masked=masked, told=self.told)
        except Untemplated:
            return None

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
        """What sends many calls of a task at once, or ``None`` where each has to go Celery's whole way.

        Args:
            task: its name.
            options: of :meth:`celery.Celery.send_task`.
            outcome: told what became of what.
            promise: gives Celery's result object for an id.
            masked: whether each call says itself how its arguments are shown.
            lineage: of calls made inside a task.
        """

        def make() -> Template | None:
            return self.template_with(task, options, masked=masked)

        if self.sender is None or self.observed or (template := make()) is None:
            return None
        return RedisBulk(
            self.sender,
            task,
            template,
            lambda: make() or template,
            reply_to=self.app.thread_oid,
            lineage=lineage,
            outcome=outcome,
            promise=promise,
        )

    @cached_property
    def _templates(self) -> _Templates:
        return _Templates()

    @override
    def flush_routes(self) -> None:
        super().flush_routes()
        vars(self).pop("_templates", None)

    def _handle_conf_update(self, *args: Any, **kwargs: Any) -> None:
        celerys: Any = super()
        celerys._handle_conf_update(*args, **kwargs)  # noqa: SLF001  so that templates follow routes and options
        vars(self).pop("_templates", None)

    # -- Celery's way

    def _create_task_sender(self) -> Callable[..., Any]:
        celerys: Any = super()
        stock = celerys._create_task_sender()  # noqa: SLF001  the seam that Celery has for this
        stamped: dict[str, Any] = vars(self.app).setdefault("_celeriac_stamps", {})

        def send_task_message(producer: Any, name: str, message: Any, *args: Any, **kwargs: Any) -> Any:
            ours = producer if isinstance(producer, Camera) else _Producer(self, producer, name)
            if stamped and (flow := stamped.get(name)) is not None:
                for header, value in flow.stamp().items():
                    message.headers.setdefault(header, value)
            return stock(ours, name, message, *args, **kwargs)

        return send_task_message

    def is_own(self, connection: Any) -> bool:
        """Whether a connection of kombu's leads where :attr:`sender` sends."""
        try:
            return self._known[connection]
        except KeyError:
            own = self._known[connection] = _whereto(connection) == _whereto(self.app.connection_for_write())
            return own

    @cached_property
    def _known(self) -> WeakKeyDictionary[Any, bool]:
        return WeakKeyDictionary()


class _Templates(dict[tuple[str, bool, bool], "Template | None"]):
    """The templates of one process."""

    def __init__(self) -> None:
        super().__init__()
        self.process = getpid()


class _Producer:
    """Stands before kombu's producer for one message of a task."""

    def __init__(self, amqp: PublishingAMQP, producer: Any, task: str) -> None:
        self._amqp = amqp
        self._producer = producer
        self._task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def publish(self, body: Any, **said: Any) -> Any:
        """As kombu's: by our sender where it can, else by kombu itself.

        Raises:
            BrokerUnavailable: the broker did not take it in time.
        """
        sender = self._amqp.sender
        if sender is None:
            return self._by_kombu(body, said)
        binding = self._amqp.layout.destination(said.get("exchange"), said.get("routing_key"), said.get("declare"))
        batch = getattr(getattr(self._producer, "_batch_local", None), "current", None)
        if binding is None or batch is not None or not self._amqp.is_own(self._producer.connection):
            return self._by_kombu(body, said)
        return self._by_link(sender, binding, body, **said)

    def _by_link(
        self,
        sender: Sender,
        binding: Binding,
        body: Any,
        *,
        headers: dict[str, Any],
        serializer: str | None = None,
        compression: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        priority: Any = 0,
        delivery_mode: Any = None,
        expiration: float | None = None,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        **said: Any,
    ) -> None:
        for name in _NOT_PROPERTIES:
            said.pop(name, None)
        written = body
        if (signer := self._amqp.signer) is not None:
            made = signer.sign(body, headers, serializer, (content_type, content_encoding))
            written, headers, (content_type, content_encoding) = made
        content = self._producer._prepare(  # noqa: SLF001  what kombu's publish() does first
            written, serializer, content_type, content_encoding, compression, headers
        )
        layout = self._amqp.layout
        text = envelope(
            layout,
            layout.encode(content[0]),
            content=content[1:],
            headers=headers,
            properties=properties_of(delivery_mode, expiration, said),
            priority=priority or 0,
            queue=binding.queue,
            delivery_tag=fresh_id(),
        )
        key = layout.key(binding.queue, priority or 0)
        policy = retry_policy if retry else None
        told = self._amqp.told
        event = None if told is None else told.stream.add(told.of_message(headers, body, binding.queue))
        sender.send(Letter(key, text.encode(), self._task, binding, policy, event))

    def _by_kombu(self, body: Any, said: dict[str, Any]) -> Any:
        breaker = self._amqp.breaker
        if (refusal := breaker.refusal()) is not None:
            where = self._producer.connection.as_uri()
            raise BrokerUnavailable(task=self._task, broker=where, seconds=0.0, reason=refusal, uncertain=False)
        written, sent = body, said
        if (signer := self._amqp.signer) is not None:
            sent = {**said}
            content = sent.get("content_type"), sent.get("content_encoding")
            written, sent["headers"], content = signer.sign(
                body, sent.get("headers") or {}, sent.get("serializer"), content
            )
            sent["content_type"], sent["content_encoding"] = content
        try:
            answer = self._producer.publish(written, **sent)
        except Exception as error:
            if isinstance(error, (OperationalError, *self._producer.connection.recoverable_connection_errors)):
                breaker.failed(str(error))
            raise
        breaker.succeeded()
        self._tell(body, said)
        return answer

    def _tell(self, body: Any, said: dict[str, Any]) -> None:
        """Have the history hear of a message that went elsewhere than to Redis: by way of the results' server."""
        told = self._amqp.told
        journal = None if told is None else getattr(self._amqp.app.backend, "journal", None)
        if told is not None and journal is not None:
            declared = said.get("declare") or ()
            queue = getattr(declared[0], "name", None) if declared else said.get("routing_key")
            journal.published(told.of_message(said.get("headers") or {}, body, str(queue or "")))


def _is_deaf(backend: Any) -> bool:
    """Whether a result backend does nothing when a task is sent."""
    kind: Any = backend.__class__
    celerys: Any = Backend
    return bool(kind.on_task_call is celerys.on_task_call or kind.on_task_call.__module__.startswith("celeriac."))


def _whereto(connection: Any) -> tuple[Any, ...]:
    """The server, database and prefix that a connection of kombu's leads to."""
    options: dict[str, Any] = connection.transport_options or {}
    hosts: tuple[Any, ...] = tuple(connection.alt) or (connection.hostname, connection.port)
    who = connection.userid, connection.password
    return hosts, connection.transport_cls, connection.virtual_host, who, options.get("global_keyprefix")
