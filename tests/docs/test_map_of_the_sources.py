"""Every name that the map of the sources leads to is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pkgutil import resolve_name

import pytest
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr
from tests.docs.blocks import ROOT
from tests.docs.test_commands import TARGETS, parse_celery

from celeriac import CelerySettings
from celeriac.options.variables import variables_of
from core.configs.settings import Environment, RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from ioc.container import build_container
from ioc.http import register_http

PAGE = ROOT / "docs/reference/map-of-the-sources.md"
VARIABLES = {variable for setting in CelerySettings.model_fields for variable in variables_of(setting)} | {
    "LOGGING_LEVEL"
}
TASKS = (
    "ping add process_data send_email email_send process_upload send_welcome_email send_notification_email "
    "process_ai_completion export_user_data cleanup_expired_data generate_daily_report fetch_data save_results "
    "process_item aggregate_results refresh_market_data compute_index generate_report cleanup_old_data"
)
_NAME = re.compile(r"(celeriac|core|delivery|infrastructure|ioc)(\.\w+)*")


def names() -> Iterator[tuple[str, str]]:
    """Where each name stands, and the name: whatever is marked in a last column that is headed ``Here``."""
    here = False
    section = ""
    for line in PAGE.read_text(encoding="utf-8").partition("## Where the sources are not followed")[0].splitlines():
        if line.startswith("## "):
            section = line[3:]
        here = (here or line.endswith("| Here |")) and line.startswith("|")
        if here:
            for name in re.findall(r"`([^`]+)`", line.strip("| ").rpartition(" | ")[2]):
                yield section, name


@cache
def known() -> tuple[frozenset[str], frozenset[str]]:
    """The routes of the service, and the entries of its schedule."""
    settings = Settings(
        environment=Environment.TEST, redis_settings=RedisSettings(redis_url=SecretStr("redis://nowhere"))
    )
    container = build_container(settings)
    try:
        register_http(container)
        paths = container.resolve(FastAPI).openapi()["paths"]
        routes = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
        return frozenset(routes), frozenset(container.resolve(Celery).conf.beat_schedule)
    finally:
        container.close()


def is_there(name: str) -> bool:
    """Whether something of that name exists: what kind of thing it is, the name tells."""
    definitions = TasksRegistry.definitions()
    match name.split():
        case ["make", target]:
            found = target in TARGETS
        case ["celery", "--app=delivery.tasks.app", *arguments]:
            parse_celery(arguments)  # ends with an error where it cannot be read
            found = True
        case ["GET" | "POST" | "DELETE", _]:
            found = name in known()[0]
        case [path] if "/" in path or (ROOT / path).is_file():
            found = (ROOT / path).exists()
        case [attribute] if attribute.startswith("registry."):
            found = attribute.removeprefix("registry.") in definitions
        case [dotted] if _NAME.fullmatch(dotted):
            found = resolve_name(dotted) is not None
        case _:
            tasks = {definition.name for definition in definitions.values()}
            found = name in VARIABLES | set(CelerySettings.model_fields) | tasks | known()[1]
    return found


@pytest.mark.parametrize(("section", "name"), sorted(set(names())))
def test_a_name_of_the_map_is_there(section: str, name: str):
    assert section
    assert is_there(name)


def test_the_map_covers_all_five_sources_and_their_tasks():
    found = list(names())
    assert len({section for section, _ in found}) == 5
    mapped = {name.removeprefix("registry.") for _, name in found if name.startswith("registry.")}
    assert mapped == set(TASKS.split())


def test_a_name_that_is_not_there_is_found_out():
    for name in ("make nothing", "POST /nowhere", "registry.nothing", "src/nothing.py", "NOTHING_AT_ALL", "nothing"):
        assert not is_there(name)
    with pytest.raises((ImportError, AttributeError)):
        is_there("celeriac.Nothing")
