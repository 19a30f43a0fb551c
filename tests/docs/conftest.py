from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from billiard.util import get_logger as get_billiard_logger
from celery import signals
from tests.docs.blocks import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A warning of any kind fails the build."""
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return directory


@pytest.fixture
def own_logging() -> Iterator[None]:
    """The log belongs to the process: a page that configures it gives it back."""
    loggers = (logging.getLogger(), get_billiard_logger())
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
    structlog.reset_defaults()
    for signal in (signals.setup_logging, signals.celeryd_after_setup):
        signal.disconnect(dispatch_uid="celeriac")
