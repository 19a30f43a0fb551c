from __future__ import annotations

import re
from pathlib import Path

import pytest

from celeriac import CelerySettings
from celeriac.options.table import CeleryOptions
from celeriac.options.variables import refuse_unknown, values_from, variables_of
from celeriac.reference.settings import settings_table
from core.configs.settings import Settings

EXAMPLE = Path(__file__).parents[3] / ".env.example"


def test_the_reference_has_every_setting_with_all_its_variables():
    page = settings_table()
    for name in CelerySettings.model_fields:
        for variable in variables_of(name):
            assert f"`{variable}`" in page
    for option in CeleryOptions.model_fields:
        assert f"[{option}](" in page


@pytest.mark.proves("S001-18")
def test_the_reference_shows_the_defaults_of_the_code():
    rows = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in _rows()}
    assert rows["`CELERY_BROKER`"][:2] == ["redis or rabbitmq", "**`redis`**"]
    assert rows["`CELERY_TASK_MAX_RETRIES`"][:2] == ["whole number", "**5**"]
    options = {cells[0].strip("`"): cells[1:] for key, cells in rows.items() if key.startswith("[")}
    assert options["CELERY_RESULT_EXPIRES"] == ["seconds", "**86400**"]
    assert options["CELERY_TASK_PROTOCOL"] == ["1 or 2", "2"]
    assert options["CELERY_BROKER_PASSWORD"] == ["text (secret)", "none"]


def test_every_row_of_the_reference_says_what_its_setting_takes():
    for row in _rows():
        assert all(cell.strip() for cell in row.split("|")[1:-1]), row


def test_a_copy_of_the_example_of_an_environment_changes_nothing_until_a_line_is_switched_on(environ):
    text = EXAMPLE.read_text(encoding="utf-8")
    assert re.findall(r"^[^#\n].*", text, re.MULTILINE) == []
    environ(**dict(re.findall(r"^#([A-Z_]+)=(.*)$", text.partition("# --- mail")[0], re.MULTILINE)))
    assert str(Settings().environment) == "production"
    assert CelerySettings().broker_link() == "redis://localhost:6379/0"
    everything = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    environ(**everything)
    refuse_unknown(everything, CelerySettings.model_fields)
    assert CelerySettings().broker_link() == "amqp://guest:guest@localhost:5672//"


def test_the_example_of_an_environment_repeats_the_defaults(environ):
    defaults = CelerySettings()
    text = EXAMPLE.read_text(encoding="utf-8")
    commented = dict(re.findall(r"^#([A-Z_]+)=(.*)$", text, re.MULTILINE))
    environ(**commented)
    changed = {"broker_url", "imports", "include", "autodiscover", "task_queues", "worker_concurrency"}
    changed |= {"result_backend", "result_backend_pool_limit", "history_database_url", "redis_url"}
    given = CelerySettings()
    for name in set(values_from(commented, CelerySettings.model_fields)) - changed:
        assert getattr(given, name) == getattr(defaults, name), name


def _rows():
    return [line for line in settings_table().splitlines() if line.startswith(("| `", "| ["))]
