"""What an import brings along, seen from a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import celeriac

ROOT = Path(__file__).parents[2]
EXTRAS = {"structlog", "opentelemetry", "punq", "typer", "rich", "watchfiles", "pytest", "testcontainers"}
SERVICE = {"core", "infrastructure", "delivery", "ioc"}


def brought_by(statement: str) -> set[str]:
    """The top-level modules that a statement imports, directly or not."""
    show = "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    program = f"import sys, json; {statement}; {show}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


@pytest.mark.parametrize(
    "statement",
    [
        "import celeriac",
        "import celeriac.tasks",
        "from celeriac import create_celery_app; create_celery_app()",
        "import celeriac.schedule",
        "import celeriac.reference.settings, celeriac.reference.tasks",
    ],
)
def test_the_kits_heart_needs_no_extra_and_no_service(statement):
    assert brought_by(statement) & (EXTRAS | SERVICE) == set()


@pytest.mark.proves("M-1")
def test_core_brings_nothing_that_it_must_not_know():
    statement = "import core.health.service, core.data.service"
    assert brought_by(statement) & {"celery", "kombu", "redis", "punq", "celeriac", "fastapi", "sqlalchemy"} == set()


@pytest.mark.proves("M-5")
@pytest.mark.parametrize("way_in", ["delivery.tasks.app", "delivery.http.app"])
def test_what_only_the_bot_needs_is_loaded_by_the_bot_alone(way_in, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1/0")
    monkeypatch.setenv("ENVIRONMENT", "test")
    assert brought_by(f"import {way_in}") & {"aiogram", "aiohttp"} == set()


@pytest.mark.proves("M-5")
def test_the_bot_has_the_registry_without_http_and_builds_no_controller():
    program = (
        "import sys, delivery.bot.app, delivery.tasks.controllers.ping as ping;"
        "from ioc.container import build_container; from ioc.bot import register_bot;"
        "ping.PingTaskController.__init__ = lambda self: sys.exit('a producer needs no controller');"
        "container = build_container(); register_bot(container);"
        "from delivery.tasks.registry import TasksRegistry;"
        "print(container.resolve(TasksRegistry).ping.name, 'delivery.http' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "REDIS_URL": "redis://localhost:1/0"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["ping", "False"]


def test_importing_opens_nothing_and_makes_no_app_current():
    program = "import celeriac, threading, celery._state as s; print(threading.active_count(), s.default_app)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "None"]


@pytest.mark.proves("S000-7")
def test_the_factory_has_no_global_side_effects():
    program = (
        "import celery._state as s; from celeriac import create_celery_app;"
        "one, two = create_celery_app(), create_celery_app();"
        "print(one is two, s.default_app, s._tls.current_app, one._pool)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "None", "None", "None"]


def test_the_public_names_are_those_that_are_there():
    there = {
        name
        for name, value in vars(celeriac).items()
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("celeriac.")
    }
    assert set(celeriac.__all__) == there
    assert sorted(celeriac.__all__) == list(celeriac.__all__)


def test_every_public_name_says_what_it_is():
    undocumented = [name for name in celeriac.__all__ if not (getattr(celeriac, name).__doc__ or "").strip()]
    assert undocumented == []
