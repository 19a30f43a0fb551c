from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from billiard.util import get_logger as get_billiard_logger
from celery import signals

pytest_plugins = ["celeriac.testing.fixtures", "tests.features"]

TESTS = Path(__file__).parent
SHARING = ("integration", "docs")
"""Where the tests of a module share what takes long to start."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep such tests in one process, or each process would start a worker of its own for them."""
    for item in items:
        module = item.path.relative_to(TESTS)
        if module.parts[0] in SHARING and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(module)))


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
