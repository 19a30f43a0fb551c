"""What a process sets up before anything else: its log and its traces."""

from __future__ import annotations

from celeriac.telemetry.logging import configure_logging
from celeriac.telemetry.tracing import configure_tracing
from core.configs.settings import LoggingSettings

__all__ = ["configure_infrastructure"]


def configure_infrastructure(service_name: str) -> None:
    """Configure log and traces from the environment, once per process and before the container is built.

    Args:
        service_name: what this process is, as logs and traces name it: ``celery-worker``, ``celery-beat``, ``http``.

    Raises:
        SettingsError: ``LOGGING_LEVEL`` or ``LOGGING_FORMAT`` cannot be used.
        InvalidSetting: ``OTEL_TRACES_EXPORTER`` cannot be used.
    """
    logging = LoggingSettings()
    configure_logging(logging.level, logging.format, service_name)
    configure_tracing(service_name)
