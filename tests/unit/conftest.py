from __future__ import annotations

import os
import re

import pytest

OURS = re.compile(
    r"(RAPIDKIT_)?CELERY_|REDIS_|LOGGING_|HTTP_(AUTH|RATE|JWT)|MARKET_|STORAGE_|COMPLETIONS_|DATA_(DIRECTORY|MAX_BYTES)$"
    r"|ENVIRONMENT$|DATETIME_TIMEZONE$"
)


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for variable in [name for name in os.environ if OURS.match(name)]:
        monkeypatch.delenv(variable)


@pytest.fixture
def environ(monkeypatch):
    """Sets variables: ``environ(REDIS_URL="...")``."""

    def set_all(**variables):
        for name, text in variables.items():
            monkeypatch.setenv(name, text)

    return set_all
