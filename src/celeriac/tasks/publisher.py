"""Sending calls through Celery. Tests send them elsewhere: see ``celeriac.testing``."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import chain, group
from kombu.exceptions import OperationalError
from kombu.utils.url import maybe_sanitize_url

from celeriac.exceptions import BrokerUnavailable, UnknownQueue, nearest
from celeriac.tasks.context import current_context
from celeriac.tasks.queues import transport_of
from celeriac.tasks.workflow import CallStep, ChainStep, GroupStep

if TYPE_CHECKING:
    from collections.abc import Generator

    from celery import Celery

    from celeriac.tasks.call import Call
    from celeriac.tasks.workflow import Step

__all__ = ["CeleryPublisher"]


class CeleryPublisher:
    """Sends through a Celery app: its routing, its signals, its message protocol 2."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.transport = transport_of(app)

    def publish(self, call: Call) -> Any:
        """See :meth:`celeriac.tasks.workflow.Publisher.publish`."""
        options = self._options(call)
        task = self.app.tasks[call.task]
        if self.app.conf.task_always_eager:
            return task.apply_async(tuple(call.args), call.kwargs, **options)
        options.setdefault("ignore_result", task.ignore_result)
        with self._reachable(call.task):
            return self.app.send_task(call.task, call.args, call.kwargs, **options)

    def start(self, step: Step[Any]) -> Any:
        """See :meth:`celeriac.tasks.workflow.Publisher.start`."""
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
            return signature.set(**self._options(call, lineage=False))
        if isinstance(step, GroupStep):
            return group([self.signature(part) for part in step.steps], app=self.app)
        if isinstance(step, ChainStep):
            return chain(*(self.signature(part) for part in step.steps), app=self.app)
        msg = f"{type(step).__name__} is no step that {type(self).__name__} can send"
        raise TypeError(msg)

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
