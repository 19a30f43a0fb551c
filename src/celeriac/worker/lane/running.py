"""Running tasks where their messages arrive: the two ways from a message to Celery's tracer and back."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from celery import signals
from celery.app import trace
from celery.app.task import Context, Task
from celery.concurrency.base import BasePool
from celery.utils.saferepr import saferepr
from celery.worker import state
from celery.worker import strategy as celery_strategy
from celery.worker.request import Request

from celeriac.tasks.guarded import failure_of
from celeriac.tasks.interruption import GivenBack
from celeriac.worker.given_back import give_back
from celeriac.worker.lane.crew import Crew
from celeriac.worker.records import described, einfo_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.worker.lane.desk import Desk
    from celeriac.worker.lane.slots import Slot
    from celeriac.worker.limits import Limits

__all__ = ["InPlacePool", "Runner", "Settling"]

logger = logging.getLogger("celery.worker.strategy")

_USUAL_STRATEGY: Final = "celery.worker.strategy:default"
_USUAL_REQUEST: Final = "celery.worker.request:Request"
_KNOWN: Final = frozenset({*vars(Context), "lang", "task", "argsrepr", "kwargsrepr", "compression"})
UNKNOWN: Final = 1.0
"""Seconds that a task is taken to last before it has run once."""


class Settling:
    """How the messages of one connection are acknowledged. Any thread may call it.

    Args:
        acknowledge: settles a message by its tag, at the next opportunity.
        flush: stores results and settles all that waits, now.
        give_back: lets others have a message, uncounted. Unless said, it goes back with the connection.
    """

    def __init__(
        self,
        acknowledge: Callable[[Any], None],
        flush: Callable[[], Any],
        give_back: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self.acknowledge = acknowledge
        self.flush = flush
        self.give_back = give_back


class InPlacePool(BasePool):
    """Runs Celery's requests in the thread that hands them over."""

    body_can_be_buffer = True

    def __init__(self, runner: Runner, limit: int) -> None:
        super().__init__(limit=limit, app=runner.app)
        self._does_debug = False
        self._runner = runner

    def on_apply(self, target: Any, args: Any, kwargs: Any, **options: Any) -> None:
        """Run a request's tracer now."""
        self._runner.run_request(target, args, kwargs, **options)


class Runner:
    """Runs messages, one after the other, and keeps the child's slot up to date.

    Args:
        app: the application.
        hostname: the worker's name.
        slot: what the parent sees of this child.
        limits: the worker's time limits.
        coroutines: how many run at once.
    """

    def __init__(self, app: Any, hostname: str, slot: Slot, limits: Limits, coroutines: int = 200) -> None:
        self.app = app
        self.hostname = hostname
        self.slot = slot
        self.limits = limits
        self.settling: Settling = None  # type: ignore[assignment]  # set when connected
        self.desk: Desk = None  # type: ignore[assignment]  # set when made
        self.handle_any: Callable[[Any], None] = _nobody
        self.records = False
        """Whether messages are described in the slot, because the broker could not show them to the parent."""
        self.expected: dict[str, float] = {}
        """Seconds that each task lasted, lately."""
        self.crew = Crew(self, coroutines)
        self.current: Any = None
        """The message whose task runs in the main thread."""
        self._lean: dict[str, Callable[[Any], None] | None] = {}

    def refresh(self) -> None:
        """Make ready for what tasks, limits, events and log levels say now."""
        self.desk.update_strategies()
        self.handle_any = self.desk.create_task_handler()
        self._lean = {name: self._lean_for(task) for name, task in self.app.tasks.items()}
        # Celery describes every result, for a log line and an event that usually nobody has asked for.
        shown = self.desk.event_dispatcher is not None or trace.logger.isEnabledFor(logging.INFO)
        tracing: Any = trace
        tracing.saferepr = saferepr if shown else _unseen

    def handle(self, message: Any) -> None:
        """Run what a message asks for. Raises nothing that a task raised."""
        name = message.headers.get("task") if message.headers else None
        lean = self._lean.get(name)  # type: ignore[arg-type]  # None finds nothing
        if lean is not None:
            lean(message)
        else:
            self.handle_any(message)

    # -- Celery's way: a request, for whatever is not plain -----------------------------------------------------------

    def run_request(
        self,
        target: Any,
        args: Any,
        kwargs: Any,
        *,
        accept_callback: Any,
        callback: Any,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> None:
        """Run one of Celery's requests."""
        request = accept_callback.__self__
        task = request.task
        soft, hard = soft_timeout or self.limits.soft, timeout or self.limits.hard
        if getattr(task, "is_coroutine", False):
            self.crew.start(request, lambda: target(*args, **(kwargs or {})), callback, soft, hard)
            return
        if not task.acks_late or self.records:
            self.slot.record(described(request.message))
        self.current = request.message
        try:
            started = self.slot.begin(request.id, request.name, int(request.message.delivery_tag), soft, hard)
            accept_callback(os.getpid(), started)
            if not task.acks_late:
                self.settling.flush()
            outcome = target(*args, **(kwargs or {}))
            self.slot.end()
            callback(outcome)
        except GivenBack as back:
            give_back(request, back, self.settling.give_back)
        except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
            self.aborted(request, error)
        finally:
            self.current = None
            if self.slot.busy:
                self.slot.end()

    def aborted(self, request: Any, error: BaseException) -> None:
        """Fail a task whose error came through Celery's tracer: it ends the task, not the worker."""
        failure = failure_of(request.task.name, error) or error
        try:
            request.on_failure(einfo_of(failure), return_ok=False)
        except Exception:
            logger.exception("the failure of %s[%s] could not be noted", request.name, request.id)

    # -- the short way ------------------------------------------------------------------------------------------------

    def _lean_for(self, task: Any) -> Callable[[Any], None] | None:  # noqa: C901, PLR0915  one closure, for its speed
        """What runs plain messages of a task without a request object, or ``None`` where none is plain."""
        desk = self.desk
        eventer = desk.event_dispatcher
        if (
            signals.task_received.receivers
            or (eventer and eventer.enabled and task.send_events)
            or (not desk.disable_rate_limits and desk.task_buckets[task.name])
            or (task.Strategy, task.Request) != (_USUAL_STRATEGY, _USUAL_REQUEST)
            or not task.acks_late
            or getattr(task, "is_coroutine", False)
            or type(task).start_strategy is not Task.start_strategy
        ):
            return None
        runner, slot, hostname, name = self, self.slot, self.hostname, task.name
        expected, settling = self.expected, self.settling
        tracer, limits_of = task.__trace__, self.limits.of
        revoked, revoked_stamps = state.revoked, state.revoked_stamps
        successes = state.successful_requests if self.app.conf.worker_deduplicate_successful_tasks else None
        does_info = logger.isEnabledFor(logging.INFO)
        records = self.records
        count, totals = state.all_total_count, state.total_count
        monotonic = time.monotonic

        def run(message: Any) -> None:
            headers = message.headers
            task_id = headers["id"]
            payload = message.payload
            if (
                headers.get("eta")
                or headers.get("expires")
                or message.content_type != "application/json"
                or task_id in revoked
                or (revoked_stamps and headers.get("stamped_headers"))
                or len(payload) != 3  # noqa: PLR2004  a protocol that is not the second
            ):
                runner.handle_any(message)
                return
            args, kwargs, embed = payload
            if does_info:
                _log_received(headers)
            delivery, properties = message.delivery_info, message.properties
            said = properties.get
            request = headers.copy()
            request.update(
                properties=properties,
                reply_to=said("reply_to"),
                correlation_id=said("correlation_id"),
                hostname=hostname,
                delivery_info={
                    "exchange": delivery.get("exchange"),
                    "routing_key": delivery.get("routing_key"),
                    "priority": said("priority"),
                    "redelivered": delivery.get("redelivered", False),
                },
                args=args,
                kwargs=kwargs,
                is_eager=False,
            )
            if embed:
                request.update(embed)
            # What callers passed as headers. Celery finds it by taking away all else, key by key, for each task.
            request["headers"] = {key: request[key] for key in request.keys() - _KNOWN}
            tag = message.delivery_tag
            soft, hard = limits_of(task, headers.get("timelimit"))
            count[0] += 1
            totals[name] += 1
            runner.current = message
            if records:
                slot.record(described(message))
            try:
                started = slot.begin(task_id, name, int(tag), soft, hard)
                outcome, failed, runtime, _ = tracer(task_id, args, kwargs, request)
                slot.end()
            except GivenBack as back:
                give_back(runner.request_for(message, task), back, settling.give_back)
                slot.end()
                return
            except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
                if slot.busy:
                    slot.end()
                runner.aborted(runner.request_for(message, task), error)
                return
            spent, usual = monotonic() - started, expected.get(name, UNKNOWN)
            # Nearer to the quick ones: a process that had to wait for the machine says nothing of the task.
            expected[name] = spent if usual >= UNKNOWN else usual + (spent - usual) * (0.3 if spent < usual else 0.05)
            if failed is None:
                settling.acknowledge(tag)
                if successes is not None:
                    successes.add(task_id)
            else:
                runner.failed(message, task, outcome, runtime)

        return run

    def reconfigure(self, *, events: bool | None) -> None:
        """Take over limits that changed, and whether events are wanted; in the main thread."""
        desk = self.desk
        desk.reset_rate_limits()
        if events is not None:
            desk.send_events(enabled=events)
        self.refresh()

    def running_now(self) -> list[dict[str, Any]]:
        """What the main thread runs, for the parent; from any thread."""
        message = self.current
        here = [] if message is None or not self.slot.busy else [self.told(message, "active", self.slot.started)]
        return here + [self.told(each, "active", started) for each, started in self.crew.running()]

    def told(self, message: Any, phase: str, started: float | None = None) -> dict[str, Any]:
        """A message as Celery's ``Request.info()`` has it, with what the parent needs besides."""
        headers: dict[str, Any] = message.headers or {}
        payload: Any = message.payload
        said: dict[str, Any] = payload if headers.get("task") is None else {}  # protocol 1
        args: Any = said.get("args", ()) if said else payload[0]
        kwargs: Any = said.get("kwargs", {}) if said else payload[1]
        task_name = headers.get("task") or said.get("task")
        delivery = message.delivery_info
        return {
            "phase": phase,
            "stamps": headers.get("stamps") or {},
            "argsrepr": headers.get("argsrepr", ""),
            "kwargsrepr": headers.get("kwargsrepr", ""),
            "info": {
                "id": headers.get("id") or said.get("id"),
                "name": headers.get("shadow") or task_name,
                "args": args,
                "kwargs": kwargs,
                "type": task_name,
                "hostname": self.hostname,
                "time_start": None if started is None else time.time() - (time.monotonic() - started),
                "acknowledged": bool(message.acknowledged),
                "delivery_info": {
                    "exchange": delivery.get("exchange"),
                    "routing_key": delivery.get("routing_key"),
                    "priority": message.properties.get("priority"),
                    "redelivered": delivery.get("redelivered", False),
                },
                "worker_pid": None if started is None else os.getpid(),
            },
        }

    def settle_running(self, task_id: str) -> bool:
        """Acknowledge the message of the task that runs: it is about to be ended for good."""
        message = self.current
        if message is None or (message.headers or {}).get("id") != task_id or message.acknowledged:
            return False
        message.ack()
        self.settling.flush()
        return True

    def request_for(self, message: Any, task: Any) -> Any:
        """Celery's request for a message, to let it decide what becomes of a failure."""
        desk = self.desk
        return Request(
            message,
            on_ack=lambda *args: desk.call_soon_ack(message.ack_log_error, *args),
            on_reject=lambda *args: desk.call_soon_ack(message.reject_log_error, *args),
            app=self.app,
            hostname=self.hostname,
            eventer=desk.event_dispatcher,
            task=task,
            connection_errors=desk.connection_errors,
            body=message.payload,
            headers=message.headers,
            decoded=True,
            utc=True,
        )

    def failed(self, message: Any, task: Any, outcome: Any, runtime: float) -> None:
        """The tracer noted a failure, a retry or a rejection: acknowledge or return the message as Celery would."""
        request = self.request_for(message, task)
        try:
            request.on_success((1, outcome, runtime))
        except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
            self.aborted(request, error)


def _unseen(*_: Any, **__: Any) -> str:
    return ""


def _nobody(message: Any) -> None:
    msg = f"nobody is there to handle {message!r}"
    raise RuntimeError(msg)


def _log_received(headers: dict[str, Any]) -> None:
    context = {
        "id": headers["id"],
        "name": headers.get("shadow") or headers["task"],
        "args": headers.get("argsrepr", ""),
        "kwargs": headers.get("kwargsrepr", ""),
        "eta": None,
    }
    celery_strategy.logger.info(trace.LOG_RECEIVED, context, extra={"data": context})
