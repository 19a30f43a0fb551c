"""One trace leads from the caller's span over the message to the task and its log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from celery import Celery, signals
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from celeriac.exceptions import InvalidSetting
from celeriac.telemetry.logging import configure_logging
from celeriac.telemetry.spans import TaskSpans
from celeriac.telemetry.tracing import configure_tracing, install_tracing


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    install_tracing("celery-worker", exporter, at_once=True)
    yield exporter
    TaskSpans.disconnect()


@pytest.fixture
def app() -> Celery:
    app = Celery("traced", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(shared=False, name="add")
    def add(x: int, y: int) -> int:
        structlog.get_logger("body").info("adding")
        return x + y

    @app.task(shared=False, name="fail")
    def fail() -> None:
        msg = "redis://app:hunter2@cache is gone"
        raise ConnectionError(msg)

    return app


def _receive(app: Celery) -> dict[str, Any]:
    """The headers of the message that waits in the default queue."""
    with app.connection_for_read() as connection:
        message = connection.SimpleQueue("celery").get(timeout=5)
        message.ack()
        return dict(message.headers)


def _run(app: Celery, headers: dict[str, Any], *args: Any) -> None:
    """Run a task as a worker does once it has taken a message with these headers."""
    app.tasks[headers["task"]].apply(args, task_id=headers["id"], headers=headers)


def _span(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    return next(span for span in exporter.get_finished_spans() if span.name == name)


def _attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_the_callers_span_and_the_tasks_span_share_one_trace(app: Celery, exporter: InMemorySpanExporter) -> None:
    with trace.get_tracer("http").start_as_current_span("POST /users") as caller:
        app.send_task("add", args=[1, 2])
    headers = _receive(app)
    _run(app, headers, 1, 2)
    sent, ran = _span(exporter, "send add"), _span(exporter, "run add")
    assert sent.context is not None
    assert ran.context is not None
    assert sent.parent is not None
    assert ran.parent is not None
    assert sent.parent.span_id == caller.get_span_context().span_id
    assert ran.parent.span_id == sent.context.span_id
    assert ran.context.trace_id == caller.get_span_context().trace_id
    assert headers["traceparent"].startswith(f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-")


def test_a_tasks_span_says_what_ran(app: Celery, exporter: InMemorySpanExporter) -> None:
    app.send_task("add", args=[1, 2])
    headers = _receive(app)
    _run(app, headers, 1, 2)
    span = _span(exporter, "run add")
    assert span.resource.attributes["service.name"] == "celery-worker"
    assert _attributes(span) == {
        "messaging.system": "celery",
        "messaging.operation.type": "process",
        "messaging.message.id": headers["id"],
        "celery.task": "add",
        "celery.attempt": 1,
        "celery.state": "SUCCESS",
    }


def test_a_failure_is_recorded_without_its_password(app: Celery, exporter: InMemorySpanExporter) -> None:
    app.tasks["fail"].apply()
    span = _span(exporter, "run fail")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ConnectionError: redis://app:***@cache is gone"
    (event,) = span.events
    assert event.name == "exception"
    assert "hunter2" not in span.to_json()
    assert "ConnectionError: redis://app:***@cache is gone" in str((event.attributes or {})["exception.stacktrace"])


def test_tasks_in_eight_threads_each_have_their_own_span(app: Celery, exporter: InMemorySpanExporter) -> None:
    app.finalize()

    def call(number: int) -> int:
        with trace.get_tracer("http").start_as_current_span("caller") as caller:
            headers: dict[str, Any] = {"task": "add", "id": str(number)}
            signals.before_task_publish.send(sender="add", headers=headers, routing_key="celery")
        _run(app, headers, number, 1)
        assert not trace.get_current_span().get_span_context().is_valid
        return caller.get_span_context().trace_id

    with ThreadPoolExecutor(8) as threads:
        callers = list(threads.map(call, range(8)))
    ran = {
        _attributes(span)["messaging.message.id"]: span.context.trace_id
        for span in exporter.get_finished_spans()
        if span.name == "run add" and span.context is not None
    }
    assert ran == {str(number): trace_id for number, trace_id in enumerate(callers)}


@pytest.mark.usefixtures("own_logging")
def test_a_line_of_the_log_names_its_span(
    app: Celery, exporter: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("INFO", "json")
    app.tasks["add"].apply((1, 2))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    line = next(line for line in lines if line["event"] == "adding")
    context = _span(exporter, "run add").context
    assert context is not None
    assert (line["trace_id"], line["span_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")


def test_configuring_twice_traces_once(app: Celery, exporter: InMemorySpanExporter) -> None:
    second = InMemorySpanExporter()
    install_tracing("again", second, at_once=True)
    app.tasks["add"].apply((1, 2))
    assert [span.name for span in second.get_finished_spans()] == ["run add"]
    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("variables", [{}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}])
def test_off_nothing_is_connected(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    if "OTEL_SDK_DISABLED" in variables:
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    before = len(signals.task_prerun.receivers), len(signals.before_task_publish.receivers)
    configure_tracing("celery-worker")
    assert (len(signals.task_prerun.receivers), len(signals.before_task_publish.receivers)) == before


def test_another_exporter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with pytest.raises(InvalidSetting, match="OTEL_TRACES_EXPORTER cannot be used: it must be none, console or otlp"):
        configure_tracing("celery-worker")


def test_an_exporter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    for module in ("http", "grpc"):
        monkeypatch.setitem(sys.modules, f"opentelemetry.exporter.otlp.proto.{module}.trace_exporter", None)
    with pytest.raises(InvalidSetting, match="pip install opentelemetry-exporter-otlp-proto-http"):
        configure_tracing("celery-worker")


CONSOLE = """
from celery import Celery
from celeriac.telemetry.tracing import configure_tracing

configure_tracing("celery-worker")
app = Celery("main", set_as_current=False)

@app.task(shared=False, name="ping")
def ping():
    return "pong"

ping.apply()
"""


def test_the_console_exporter_prints_spans_when_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, run_program: Callable[[str], subprocess.CompletedProcess[str]]
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "named-by-otel")
    done = run_program(CONSOLE)
    span = json.loads(done.stdout)
    assert span["name"] == "run ping"
    assert span["resource"]["attributes"]["service.name"] == "named-by-otel"
