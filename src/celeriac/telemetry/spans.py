"""The spans of tasks: one where a message is sent, one where a worker runs it, both in one trace."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import signals
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from celeriac.telemetry.masking import mask_url

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

__all__ = ["TaskSpans", "provider_for"]

_ID = "celeriac.tracing"
"""Under which our receivers are connected, so that a second configuration replaces the first."""
_HELD = "_celeriac_span"
"""The attribute of a task's request that holds its span: a request belongs to one run, in every pool."""
_carrier = TraceContextTextMapPropagator()


def provider_for(service_name: str, exporter: SpanExporter, *, at_once: bool = False) -> TracerProvider:
    """A provider that exports, made the process's own if it has none yet."""
    name = os.environ.get(OTEL_SERVICE_NAME, service_name)
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter))
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(provider)
    return provider


@dataclass(frozen=True, slots=True)
class _Running:
    """A span of a task that runs, and how to leave its context."""

    span: Span
    token: Token[Context]


class TaskSpans:
    """Opens and ends the spans of tasks by Celery's signals."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("celeriac")

    def connect(self) -> None:
        """Begin to trace, in place of any earlier one."""
        self.disconnect()
        for signal, receiver in self._receivers():
            signal.connect(receiver, weak=False, dispatch_uid=_ID)

    @classmethod
    def disconnect(cls) -> None:
        """Trace no longer."""
        for signal in (
            signals.before_task_publish,
            signals.task_prerun,
            signals.task_failure,
            signals.task_retry,
            signals.task_postrun,
            signals.worker_process_shutdown,
        ):
            signal.disconnect(dispatch_uid=_ID)

    def _receivers(self) -> list[tuple[Any, Any]]:
        return [
            (signals.before_task_publish, self._publish),
            (signals.task_prerun, self._start),
            (signals.task_failure, self._fail),
            (signals.task_retry, self._retry),
            (signals.task_postrun, self._end),
            (signals.worker_process_shutdown, self._flush),
        ]

    def _publish(
        self, sender: str, headers: MutableMapping[str, Any], routing_key: str | None = None, **_: Any
    ) -> None:
        """Put a producer's span into the message, as the W3C headers ``traceparent`` and ``tracestate``."""
        attributes = {
            "messaging.system": "celery",
            "messaging.operation.type": "send",
            "messaging.message.id": str(headers.get("id")),
            "messaging.destination.name": routing_key or "",
        }
        with self._tracer.start_as_current_span(f"send {sender}", kind=SpanKind.PRODUCER, attributes=attributes):
            _carrier.inject(headers)

    def _start(self, task: Any, task_id: str, **_: Any) -> None:
        request = task.request
        # A task that runs in place of its caller came without a message: its caller's span is the current one.
        headers: dict[str, Any] = request.headers or {}
        parent = _carrier.extract(headers, contexts.get_current())
        attributes = {
            "messaging.system": "celery",
            "messaging.operation.type": "process",
            "messaging.message.id": task_id,
            "celery.task": task.name,
            "celery.attempt": (request.retries or 0) + 1,
        }
        span = self._tracer.start_span(
            f"run {task.name}", context=parent, kind=SpanKind.CONSUMER, attributes=attributes
        )
        setattr(request, _HELD, _Running(span, contexts.attach(trace.set_span_in_context(span))))

    def _fail(self, sender: Any, exception: BaseException, **_: Any) -> None:
        if (running := _running(sender)) is not None:
            text = mask_url(str(exception))
            trace_text = mask_url("".join(traceback.format_exception(exception)))
            running.span.record_exception(exception, {"exception.message": text, "exception.stacktrace": trace_text})
            running.span.set_status(Status(StatusCode.ERROR, f"{type(exception).__name__}: {text}"))

    def _retry(self, sender: Any, reason: Any, **_: Any) -> None:
        if (running := _running(sender)) is not None:
            running.span.add_event("retry", {"reason": mask_url(str(reason))})

    def _end(self, task: Any, state: str | None = None, **_: Any) -> None:
        if (running := _running(task)) is not None:
            delattr(task.request, _HELD)
            contexts.detach(running.token)
            running.span.set_attribute("celery.state", state or "")
            running.span.end()

    def _flush(self, **_: Any) -> None:
        """A pool's process ends without Python's exit handlers, which would have sent the last batch."""
        self._provider.force_flush()


def _running(task: Any) -> _Running | None:
    return getattr(getattr(task, "request", None), _HELD, None)
