"""Sending calls through Celery. Tests send them elsewhere: see ``celeriac.testing``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import celery._state
from celery import chain, group
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url

from celeriac.error import nearest
from celeriac.exceptions import BrokerUnavailable, UnknownQueue
from celeriac.tasks.bulk import OneByOne
from celeriac.tasks.call import Call
from celeriac.tasks.context import current_context
from celeriac.tasks.queues import transport_of
from celeriac.tasks.threads import in_thread
from celeriac.tasks.workflow import CallStep, ChainStep, GroupStep
from celeriac.transport.holds.hold import HEADER, STEP
from celeriac.transport.publishing.budget import asked_now
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.publishing.letter import Letter
from celeriac.transport.publishing.result import SentResult
from celeriac.transport.publishing.template import Lineage

if TYPE_CHECKING:
    from collections.abc import Generator

    from celery import Celery

    from celeriac.flow.frame import Flow
    from celeriac.tasks.call import CallOptions
    from celeriac.tasks.report import BulkReport
    from celeriac.tasks.workflow import Step
    from celeriac.transport.publishing.amqp import PublishingAMQP
    from celeriac.transport.publishing.batch import BulkWriter
    from celeriac.transport.publishing.template import Template

__all__ = ["CeleryPublisher"]

_state: Any = celery._state  # noqa: SLF001  where Celery keeps which task runs
_running: Any = _state._task_stack  # noqa: SLF001  looked at for each call


class CeleryPublisher:
    """Sends through a Celery app: its routing, its signals, its message protocol 2."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.transport = transport_of(app)

    def publish(self, call: Call) -> Any:
        """See :meth:`celeriac.tasks.workflow.Publisher.publish`."""
        template = self._template_of(call)
        if template is not None:
            letter, result = self._fill(template, call)
            amqp: Any = self.app.amqp
            amqp.sender.send(letter)
            return result
        options = self._options(call)
        task = self.app.tasks[call.task]
        if self._eager:
            return task.apply_async(tuple(call.args), call.kwargs, **options)
        options.setdefault("ignore_result", task.ignore_result)
        flow: Flow | None = getattr(task, "flow", None)
        if flow is not None and flow.publishes:
            with self._reachable(call.task):
                return flow.post(self.app, task, call.args, call.kwargs, options)
        with self._reachable(call.task):
            return self.app.send_task(call.task, tuple(call.args), call.kwargs, **options)

    async def apublish(self, call: Call) -> Any:
        """The same for coroutines: what several send at the same moment travels together."""
        template = self._template_of(call)
        if template is None:
            with asked_now():
                return await in_thread(self.publish, call)
        letter, result = self._fill(template, call)
        amqp: Any = self.app.amqp
        await amqp.crowd(amqp.sender).send(letter)
        return result

    def on_commit(self, session: Any, call: Call) -> Any:
        """Have a call sent once the transaction of a session has committed: see :mod:`celeriac.transport.outbox`.

        Raises:
            TypeError: it is no session.
            UnknownQueue: the call names one that is not declared.
        """
        from celeriac.transport.outbox.writing import put, put_call  # noqa: PLC0415  SQLAlchemy comes by an extra

        app: Any = self.app
        row: dict[str, Any] = {"task": call.task, "created": int(time.time() * 1000)}
        template = self._template_of(call)
        if template is not None:
            letter, result = self._fill(template, call, packs=False)
            row |= {"id": result.id, "queue": letter.binding.queue, "key": letter.key}
            put(session, {**row, "payload": letter.payload, "event": letter.event})
            return result
        options = self._options(call)
        task_id = str(options.pop("task_id", None) or fresh_id())
        if (countdown := options.pop("countdown", None)) is not None:
            options["eta"] = app.now() + timedelta(seconds=float(countdown))
        options.setdefault("ignore_result", app.tasks[call.task].ignore_result)
        flow: Flow | None = getattr(app.tasks[call.task], "flow", None)
        if flow is not None:  # what it waits in the outbox counts
            flow.stamp_into(options)
        row |= {"id": task_id, "queue": options.get("queue"), "call": put_call(call.args, call.kwargs, options)}
        put(session, row)
        return SentResult(app, task_id, ignored=options["ignore_result"])

    def _template_of(self, call: Call) -> Template | None:
        """What the call's message is made from, where it is a plain one."""
        # Inside a worker's task, Celery's own way notes the child in its parent.
        if call.options or _running.top is not None or self._eager or self._amqp is None:
            return None
        return self._amqp.template(call.task, masked=call.masked is not None)

    def _fill(self, template: Template, call: Call, *, packs: bool = True) -> tuple[Letter, SentResult]:
        """Fill in a message that was rendered before; ``packs`` says whether its event is a whole command."""
        app: Any = self.app
        task_id = fresh_id()
        context = current_context()
        lineage = None if context is None else Lineage(context.root_id, context.id)
        payload, told = template.render_told(
            task_id, call.args, call.kwargs, reply_to=app.thread_oid, lineage=lineage, masked=call.masked
        )
        event = template.event(told, packs=packs) if told else None
        letter = Letter(template.key, payload, call.task, template.binding, template.policy, event)
        return letter, SentResult(app, task_id, ignored=template.ignores)

    def bulk(self, task: str, options: CallOptions, report: BulkReport[Any], *, masked: bool) -> BulkWriter:
        """See :meth:`celeriac.tasks.bulk.BulkPublisher.bulk`."""
        app: Any = self.app
        promise = partial(SentResult, app, ignored=bool(options.get("ignore_result")))
        said = self._options(Call(task, [], {}, options), lineage=False)
        said.setdefault("ignore_result", app.tasks[task].ignore_result)
        flow: Flow | None = getattr(app.tasks[task], "flow", None)
        if flow is not None:
            flow.stamp_into(said)
        bulk = None if flow is not None and flow.publishes else getattr(app.amqp, "bulk", None)
        if not self._eager and bulk is not None:
            lineage = self._bulk_lineage()
            writer: BulkWriter | None = bulk(task, said, report, promise, masked=masked, lineage=lineage)
            if writer is not None:
                return writer
        kept = self._eager or (bulk is None and flow is not None)  # then the result may be another call's
        return OneByOne(self, task, options, report, None if kept else promise)

    @cached_property
    def _amqp(self) -> PublishingAMQP | None:
        amqp: Any = self.app.amqp
        return amqp if getattr(amqp, "sender", None) is not None else None

    @property
    def _eager(self) -> bool:
        # Read past the chain of defaults, which costs more than rendering a message.
        conf: Any = self.app.conf
        return bool(conf.maps[0].get("task_always_eager", self._usually_eager))

    @cached_property
    def _usually_eager(self) -> bool:
        return bool(self.app.conf.task_always_eager)

    @staticmethod
    def _bulk_lineage() -> Lineage | None:
        if (context := current_context()) is not None:
            return Lineage(context.root_id, context.id)
        if (task := _state.get_current_worker_task()) is not None:
            return Lineage(task.request.root_id or task.request.id, task.request.id)
        return None

    def start(self, step: Step[Any]) -> Any:
        """See :meth:`celeriac.tasks.workflow.Publisher.start`."""
        if isinstance(step, CallStep) and self._passes_policies(step.call.task):
            return self.publish(step.call)
        signature = self.signature(step)
        if self.app.conf.task_always_eager:
            return signature.apply()
        with self._reachable(step.name):
            return signature.apply_async(**self._lineage())

    def signature(self, step: Step[Any]) -> Any:
        """The workflow in Celery's own terms.

        Raises:
            UnknownQueue: a step names a queue that is not declared.
            TypeError: the step is of a class that this publisher does not know.
        """
        if isinstance(step, CallStep):
            call = step.call
            signature = self.app.tasks[call.task].signature(tuple(call.args), call.kwargs, app=self.app)
            options = self._options(call, lineage=False)
            if self._passes_policies(call.task):  # what others wait for is not dropped
                options["headers"] = {**options.get("headers", {}), HEADER: STEP}
            return signature.set(**options)
        if isinstance(step, GroupStep):
            return group([self.signature(part) for part in step.steps], app=self.app)
        if isinstance(step, ChainStep):
            return chain(*(self.signature(part) for part in step.steps), app=self.app)
        msg = f"{type(step).__name__} is no step that {type(self).__name__} can send"
        raise TypeError(msg)

    def _passes_policies(self, task: str) -> bool:
        flow: Flow | None = getattr(self.app.tasks[task], "flow", None)
        return flow is not None and flow.publishes

    def _options(self, call: Call, *, lineage: bool = True) -> dict[str, Any]:
        """Celery's options for a call; one that says nothing costs next to nothing."""
        options: dict[str, Any] = {}
        if call.options or call.masked:
            options = call.celery_options(self.transport, self.app.tasks[call.task].soft_time_limit)
        if "queue" in options and options["queue"] not in self.app.amqp.queues:
            declared = sorted(self.app.amqp.queues)
            hint = nearest(options["queue"], declared)
            raise UnknownQueue(queue=options["queue"], declared=", ".join(declared), hint=hint)
        if lineage:
            options.update(self._lineage())
        return options

    @staticmethod
    def _lineage() -> dict[str, str]:
        """Parent and root, for a call made inside a task; Celery itself misses them on the coroutines' thread."""
        context = current_context()
        return {} if context is None else {"parent_id": context.id, "root_id": context.root_id}

    @contextmanager
    def _reachable(self, task: str) -> Generator[None]:
        """Connection errors of whatever library as the one that says what to look at."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            ours = error if isinstance(error, BrokerUnavailable) else error.__cause__
            if isinstance(ours, BrokerUnavailable):  # Celery may have made one of its own of it
                raise type(ours)(**{**vars(ours), "task": task}) from ours.__cause__
            if not self._is_about_the_connection(error):
                raise
            raise BrokerUnavailable(
                task=task,
                broker=maybe_sanitize_url(str(self.app.conf.broker_url)),
                seconds=time.monotonic() - started,
                reason=_root(error),
            ) from error

    def _is_about_the_connection(self, error: Exception) -> bool:
        known: tuple[Any, ...] = self.app.connection_for_write().recoverable_connection_errors
        return isinstance(error, (OperationalError, OSError, *known))


def _root(error: BaseException) -> str:
    """What lies at the bottom of a chain of errors, in one line."""
    while (deeper := error.__cause__) is not None:
        error = deeper
    return (str(error).strip() or type(error).__name__).partition("\n")[0]
