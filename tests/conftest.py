from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from billiard.util import get_logger as get_billiard_logger
from celery import signals

pytest_plugins = ["celeriac.testing.fixtures", "tests.features"]


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The log belongs to the process: a test that configures it gives it back."""
    loggers = (logging.getLogger(), get_billiard_logger())
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        for handler in set(logger.handlers).difference(handlers):
            handler.close()
        logger.handlers[:] = handlers
    structlog.reset_defaults()
    signals.setup_logging.disconnect(dispatch_uid="celeriac")
    signals.celeryd_after_setup.disconnect(dispatch_uid="celeriac")
