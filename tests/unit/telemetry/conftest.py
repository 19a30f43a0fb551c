"""Logging and tracing belong to the process; a test that configures them gives them back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from billiard.util import get_logger as get_billiard_logger
from celery import signals

import celeriac


@pytest.fixture
def own_logging() -> Iterator[None]:
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


@pytest.fixture
def run_program() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs a program in an interpreter of its own, which can import the kit."""

    def run(program: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(Path(celeriac.__file__).parents[1])}
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=60
        )

    return run
