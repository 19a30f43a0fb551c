"""Traces: one trace from the caller's span, over the message, to the task and what it does.

Off, it costs nothing: no signal is connected and OpenTelemetry is not imported. ``OTEL_TRACES_EXPORTER`` turns it on.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from celeriac.exceptions import InvalidSetting

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["configure_tracing", "install_tracing"]

_VARIABLE = "OTEL_TRACES_EXPORTER"
_SDK = "opentelemetry-sdk"
_OTLP_PACKAGE = "opentelemetry-exporter-otlp-proto-http"
_OTLP = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
)


def configure_tracing(service_name: str) -> None:
    """Trace tasks as OpenTelemetry's own variables say.

    ``OTEL_TRACES_EXPORTER`` is ``none`` (the default), ``console`` or ``otlp``; ``OTEL_SDK_DISABLED=true`` beats it.
    Every other ``OTEL_*`` variable is read by OpenTelemetry itself, such as ``OTEL_EXPORTER_OTLP_ENDPOINT``.

    Args:
        service_name: the resource's ``service.name``, unless ``OTEL_SERVICE_NAME`` says otherwise.

    Raises:
        InvalidSetting: another exporter, or one whose package is not installed.
    """
    chosen = os.environ.get(_VARIABLE, "").strip().lower()
    if chosen in ("", "none") or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return
    install_tracing(service_name, _exporter(chosen))


def install_tracing(service_name: str, exporter: SpanExporter, *, at_once: bool = False) -> None:
    """Trace tasks with an exporter of your own.

    Args:
        service_name: the resource's ``service.name``, unless ``OTEL_SERVICE_NAME`` says otherwise.
        exporter: where finished spans go.
        at_once: export each span when it ends instead of in batches; for tests.

    Raises:
        InvalidSetting: the OpenTelemetry SDK is not installed.
    """
    try:
        from celeriac.telemetry.spans import TaskSpans, provider_for  # noqa: PLC0415 - imported only when it is on
    except ModuleNotFoundError as error:
        raise _missing(_SDK) from error
    TaskSpans(provider_for(service_name, exporter, at_once=at_once)).connect()


def _exporter(chosen: str) -> SpanExporter:
    if chosen == "console":
        return _console()
    if chosen == "otlp":
        return _otlp()
    raise InvalidSetting(setting=_VARIABLE, problem="it must be none, console or otlp")


def _console() -> SpanExporter:
    try:
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415 - imported only when it is on
    except ModuleNotFoundError as error:
        raise _missing(_SDK) from error
    return ConsoleSpanExporter(out=sys.__stdout__ or sys.stdout)


def _otlp() -> SpanExporter:
    """The OTLP exporter that is installed, HTTP before gRPC."""
    for module in _OTLP:
        try:
            exporter: SpanExporter = import_module(module).OTLPSpanExporter()
        except ModuleNotFoundError:
            continue
        return exporter
    raise _missing(_OTLP_PACKAGE)


def _missing(package: str) -> InvalidSetting:
    return InvalidSetting(setting=_VARIABLE, problem=f"it needs one more package: pip install {package}")
