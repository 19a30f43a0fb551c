"""One log for everything that a process says: structlog for our code, the same renderer for Celery's and libraries'.

>>> configure_logging("INFO", "json", service_name="celery-worker")
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, replace
from logging.handlers import WatchedFileHandler
from typing import Any, Literal

from billiard.util import get_logger as get_billiard_logger
from celery import signals
from celery.utils.log import LoggingProxy

from celeriac.exceptions import InvalidSetting
from celeriac.telemetry.masking import mask_url
from celeriac.telemetry.plain_structlog import structlog
from celeriac.telemetry.records import LineFormatter

__all__ = ["Format", "configure_logging", "mask_url"]

Format = Literal["console", "json"]

_OWN = "celeriac"
"""The name of our handler, by which a second configuration finds it."""


@dataclass(frozen=True, slots=True)
class _Log:
    """How this process logs."""

    level: int
    format: Format
    service_name: str
    file: str | None = None
    colors: bool = True


def configure_logging(level: str = "INFO", format: Format = "console", service_name: str = "celeriac") -> None:  # noqa: A002
    """Send every record of this process through one handler to stderr. Calling it again replaces what it set up.

    Celery leaves logging alone from then on; its ``--loglevel`` and ``--logfile`` are honoured where they are given.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``.
        format: ``console`` for people, in colours on a terminal; ``json`` for machines, one object per line.
        service_name: stands in every line as ``service``.

    Raises:
        InvalidSetting: a level or format of another name.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise InvalidSetting(setting="LOGGING_LEVEL", problem="it must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    if format not in ("console", "json"):
        raise InvalidSetting(setting="LOGGING_FORMAT", problem="it must be console or json")
    log = _Log(number, format, service_name)
    _configure_structlog()
    _install(log)

    def take_over(loglevel: int | None = None, logfile: Any = None, colorize: bool | None = None, **_: Any) -> None:  # noqa: FBT001
        given = loglevel if loglevel and _was_given(loglevel) else log.level
        _install(replace(log, level=given, file=logfile, colors=colorize is not False))

    # Being connected is what tells Celery to configure nothing; the id replaces an earlier configuration.
    signals.setup_logging.disconnect(dispatch_uid=_OWN)
    signals.setup_logging.connect(take_over, weak=False, dispatch_uid=_OWN)
    signals.celeryd_after_setup.connect(_redirect_stdouts, weak=False, dispatch_uid=_OWN)


def _configure_structlog() -> None:
    """Hand structlog's events to logging.

    All that depends on our configuration is in the handler, so this never changes, and loggers may be cached.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _install(log: _Log) -> None:
    """Make our handler the root's, in place of the one it may have had."""
    handler = _handler(log)
    handler.set_name(_OWN)
    handler.setFormatter(_formatter(log, colors=log.colors and log.file is None and _wants_colors(handler.stream)))
    root = logging.getLogger()
    for logger in (root, get_billiard_logger()):
        for old in [each for each in logger.handlers if each.get_name() == _OWN]:
            logger.removeHandler(old)
            old.close()  # a file, if it had one; never stderr
        logger.addHandler(handler)
    root.setLevel(log.level)
    # billiard's logger keeps its records to itself, and tells of every process at INFO.
    get_billiard_logger().setLevel(max(log.level, logging.ERROR))


def _handler(log: _Log) -> logging.StreamHandler[Any]:
    if log.file is not None:
        return WatchedFileHandler(log.file, encoding="utf-8")
    # Once Celery has redirected stderr into the log, writing the log to it would go round in circles.
    redirected = isinstance(sys.stderr, LoggingProxy)
    return logging.StreamHandler(sys.__stderr__ if redirected else sys.stderr)


def _formatter(log: _Log, *, colors: bool) -> logging.Formatter:
    if log.format == "json":
        to_json = structlog.processors.JSONRenderer()

        def for_machines(said: dict[str, Any]) -> str:
            return str(to_json(None, "", structlog.processors.format_exc_info(None, "", said)))

        return LineFormatter(log.service_name, for_machines)
    to_text = structlog.dev.ConsoleRenderer(
        colors=colors, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
    )

    def for_people(said: dict[str, Any]) -> str:
        said["timestamp"] = f"{said['timestamp'][11:23]}Z"  # a person at a terminal knows the date, and the service
        del said["service"]
        return to_text(None, "", said)

    return LineFormatter(log.service_name, for_people)


def _wants_colors(stream: Any) -> bool:
    return not os.environ.get("NO_COLOR") and stream is not None and stream.isatty()


def _was_given(level: int) -> bool:
    """Whether the running ``celery`` command was told a level, as opposed to passing on its default."""
    import click  # noqa: PLC0415 - Celery's own dependency, of which only its command needs this
    from click.core import ParameterSource  # noqa: PLC0415

    context = click.get_current_context(silent=True)
    if context is None:
        return level != logging.WARNING  # what Celery passes on when nobody says anything
    return context.get_parameter_source("loglevel") in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def _redirect_stdouts(instance: Any = None, **_: Any) -> None:
    """What Celery leaves undone once its logging is not its own: ``worker_redirect_stdouts``."""
    if instance is not None and instance.redirect_stdouts:
        instance.app.log.redirect_stdouts(instance.redirect_stdouts_level)
