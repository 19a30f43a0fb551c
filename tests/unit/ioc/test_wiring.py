"""The service's own container: Celery with every task, the registry, the controllers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

import celeriac
import delivery.tasks.registry as registry_module
from celeriac import TaskContext, TaskController, task
from celeriac.exceptions import ConfigurationError, UnresolvableService
from celeriac.testing.recording import RecordingPublisher
from core.configs.settings import RedisSettings, Settings
from core.health.service import HealthService
from delivery.tasks.controllers.ping import PingTaskController
from ioc.container import Container, build_container, get_container

ServiceRegistry = registry_module.TasksRegistry
URL = "redis://:hunter2@localhost:6379/9"


@pytest.fixture
def settings() -> Settings:
    return Settings(redis_settings=RedisSettings(redis_url=SecretStr(URL)))


@pytest.fixture
def container(settings: Settings) -> Iterator[Container]:
    container = build_container(settings)
    yield container
    container.close()


@pytest.mark.proves("M-4")
def test_the_container_resolves_celery_the_controllers_and_the_registry(container: Container) -> None:
    app = container.resolve(Celery)
    assert isinstance(app, Celery)
    assert container.resolve(Celery) is app
    assert isinstance(container.resolve(ServiceRegistry), ServiceRegistry)
    assert container.resolve(ServiceRegistry) is container.resolve(ServiceRegistry)
    assert container.resolve(PingTaskController).ping() == {"result": "pong"}
    assert container.resolve(PingTaskController) is not container.resolve(PingTaskController)


@pytest.mark.proves("H-14")
def test_celery_alone_comes_with_every_task_and_the_schedule(container: Container) -> None:
    app = container.resolve(Celery)
    declared = {definition.name for definition in ServiceRegistry.definitions().values()}
    assert declared
    assert declared <= set(app.tasks)
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= declared
    assert app.conf.beat_schedule
    assert app.tasks["ping"].apply().get() == {"result": "pong"}


def test_the_app_is_named_main_and_lives_on_the_redis_of_the_settings(container: Container) -> None:
    app = container.resolve(Celery)
    assert app.main == "main"
    assert app.conf.broker_url == app.conf.result_backend == URL


def test_a_broker_of_celerys_own_variable_goes_before_redis(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://guest:guest@localhost:5672//")
    container = build_container(settings)
    app = container.resolve(Celery)
    assert app.conf.broker_url == "amqp://guest:guest@localhost:5672//"
    assert app.conf.result_backend == URL
    container.close()


def test_the_queues_of_the_service_are_declared(container: Container) -> None:
    assert {"default", "high_priority", "low_priority"} <= set(container.resolve(Celery).amqp.queues)


def test_resolving_the_registry_builds_no_controller_and_opens_no_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = Settings(redis_settings=RedisSettings(redis_url=SecretStr("redis://localhost:1/0")))
    container = build_container(unreachable)

    class Untouchable(PingTaskController):
        def __init__(self) -> None:
            pytest.fail("a producer needs no controller")

    container.override(PingTaskController, Untouchable)
    monkeypatch.setattr(
        "socket.socket.connect", lambda *_: pytest.fail("a producer that only resolves connects to nothing")
    )
    registry = container.resolve(ServiceRegistry)
    assert registry.ping.name == "ping"
    container.close()


def test_every_controller_of_the_registry_can_be_built(container: Container) -> None:
    for definition in ServiceRegistry.definitions().values():
        assert definition.controller is not None
        container.check(definition.controller)


def test_everything_in_the_container_can_be_built(container: Container) -> None:
    container.warm()


class Solitude:
    pass


class LonelyTaskController(TaskController):
    def __init__(self, lonely: Solitude) -> None:
        self.lonely = lonely

    @task("lonely")
    def lonely_task(self) -> None:
        """Needs what nobody registered."""


class LonelyRegistry(ServiceRegistry):
    lonely = LonelyTaskController.lonely_task


def test_a_controller_that_cannot_be_built_is_an_error_when_celery_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ioc.tasks.TasksRegistry", LonelyRegistry)
    container = build_container(settings)
    with pytest.raises(UnresolvableService) as raised:
        container.resolve(Celery)
    assert str(raised.value) == (
        "the container cannot build LonelyTaskController: Solitude is not registered\n"
        "LonelyTaskController\n"
        "  └─ lonely: Solitude  <- Solitude is not registered"
    )
    container.close()


def test_outside_a_task_there_is_no_task_context(container: Container) -> None:
    with container.scope() as scope, pytest.raises(LookupError, match="no task runs here"):
        scope.resolve(TaskContext)


def test_a_test_replaces_a_service_of_the_worker(settings: Settings) -> None:
    class Ill(HealthService):
        def ping(self) -> Any:
            return "ouch"

    container = build_container(settings)
    container.override(HealthService, Ill())
    with container.scope() as scope:
        assert scope.resolve(PingTaskController).ping() == {"result": "ouch"}
    container.close()
    healthy = build_container(settings)
    assert healthy.resolve(PingTaskController).ping() == {"result": "pong"}
    healthy.close()


def test_a_test_replaces_what_sends(settings: Settings) -> None:
    publisher = RecordingPublisher()
    container = build_container(settings)
    container.override(ServiceRegistry, ServiceRegistry(publisher))
    container.resolve(ServiceRegistry).ping.delay()
    assert [call.task for call in publisher.calls] == ["ping"]
    container.close()


def test_a_child_process_keeps_the_app_that_it_was_forked_with(container: Container) -> None:
    app, registry = container.resolve(Celery), container.resolve(ServiceRegistry)
    health = container.resolve(HealthService)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        kept = container.resolve(Celery) is app and container.resolve(ServiceRegistry) is registry
        os.write(writing, f"{kept} {container.resolve(HealthService) is health}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        assert answer.read() == "True False"
    os.waitpid(child, 0)


@pytest.mark.proves("S003-5")
def test_the_imports_of_a_caller_work_with_src_on_the_path() -> None:
    program = (
        "from ioc.container import get_container\n"
        "from delivery.tasks.registry import TasksRegistry\n"
        "print(get_container().resolve(TasksRegistry).ping.name)"
    )
    assert _python("-c", program) == "ping\n"


@pytest.mark.proves("S003-9")
def test_celery_reports_on_the_app_of_the_entry_point() -> None:
    report = _python("-m", "celery", "--app=delivery.tasks.app", "report")
    assert "software -> celery:5.7" in report
    assert "result_backend: 'redis" in report
    assert "hunter2" not in report


@pytest.mark.proves("S003-9")
def test_the_entry_point_is_the_containers_app_and_has_its_log() -> None:
    program = (
        "import logging\n"
        "from celery import Celery\n"
        "from delivery.tasks.app import app\n"
        "from ioc.container import get_container\n"
        "logging.getLogger('any').warning('hello')\n"
        "print(app is get_container().resolve(Celery))"
    )
    assert _python("-c", program, LOGGING_FORMAT="json") == "True\n"


def test_the_process_has_one_container_for_all_threads_and_takes_no_override(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ioc.container._container", None)
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1/0")
    barrier = threading.Barrier(8)

    def ask(_: int) -> Container:
        barrier.wait()
        return get_container()

    with ThreadPoolExecutor(8) as threads:
        (container,) = set(threads.map(ask, range(8)))
    with pytest.raises(ConfigurationError, match=r"ioc\.container\.build_container\(\)"):
        container.override(HealthService, HealthService())
    container.close()


def test_a_missing_redis_url_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    container = build_container()
    with pytest.raises(ValueError, match="REDIS_URL is not set"):
        container.resolve(Celery)
    container.close()


def _python(*arguments: str, **variables: str) -> str:
    """What a fresh interpreter prints, with the service's environment."""
    environment = os.environ | {"REDIS_URL": URL, "PYTHONPATH": str(Path(celeriac.__file__).parents[1])} | variables
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return done.stdout
