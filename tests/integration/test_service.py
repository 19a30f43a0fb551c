"""The service itself: its container, its registry, its entry point, on each pool."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from tests.integration.conftest import POOLS
from tests.kit.clients import disconnect

from celeriac import TaskController
from celeriac.exceptions import InvalidArguments
from celeriac.testing.worker import WorkerProcess
from core.configs.settings import RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from ioc.container import Container, build_container

WAIT = 20
pytestmark = pytest.mark.timeout(90)


@pytest.fixture(scope="module")
def settings(second_url: str) -> Settings:
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    return Settings(redis_settings=RedisSettings(redis_url=SecretStr(second_url)))


@pytest.fixture(scope="module")
def container(settings: Settings) -> Generator[Container]:
    container = build_container(settings)
    try:
        yield container
    finally:
        disconnect(container.resolve(Celery))
        container.close()


@pytest.fixture
def registry(container: Container) -> TasksRegistry:
    return container.resolve(TasksRegistry)


@pytest.fixture(scope="module", params=POOLS)
def service_worker(request, settings, second_url) -> Generator[WorkerProcess]:
    with WorkerProcess("delivery.tasks.app", redis_url=second_url, pool=request.param) as worker:
        yield worker


@pytest.mark.proves("S003-6", "S000-37")
def test_the_registry_of_the_container_reaches_a_worker(service_worker, registry):
    result = registry.ping.delay()
    assert result.get(timeout=10) == {"result": "pong"}


@pytest.mark.proves("S001-9", "S001-11", "S000-37")
def test_its_tasks_do_what_they_say(service_worker, registry):
    assert registry.add.delay(2, 3).get(timeout=WAIT) == 5
    assert registry.total.delay([1, 2, 3]).get(timeout=WAIT) == 6
    assert registry.flaky.delay(0).get(timeout=WAIT) == 1
    assert registry.process_data.delay([1, {"a": None}, "x"]).get(timeout=WAIT) == {"processed": 3}


@pytest.mark.proves("S001-9")
def test_bad_types_are_rejected_before_anything_is_sent(registry):
    with pytest.raises(InvalidArguments) as refused:
        registry.add.delay("2", 3)
    assert str(refused.value) == "example.add(x: int, y: int) -> int: x: Input should be a valid integer"


def test_coroutines_reach_it_too(service_worker, registry):
    async def main() -> object:
        return await (await registry.ping.adelay()).aget(timeout=WAIT)

    assert asyncio.run(main()) == {"result": "pong"}


@pytest.mark.proves("S002-3", "H-14")
def test_three_groups_of_tasks_are_registered(container):
    """The groups that the sources name, each by a task of it: email, ai and export."""
    definitions = {definition.name: definition for definition in TasksRegistry.definitions().values()}
    groups = [definitions[name].controller for name in ("email.send", "process_ai_completion", "export_user_data")]
    assert all(group is not None and issubclass(group, TaskController) for group in groups)
    assert len({group.__module__ for group in groups}) == 3, "each group is a module of its own"
    assert definitions.keys() <= set(container.resolve(Celery).tasks)


def test_resolving_the_registry_builds_no_controller_and_opens_no_connection(settings):
    fresh = build_container(settings)
    try:
        registry = fresh.resolve(TasksRegistry)
        assert registry.ping.name == "ping"
        app = fresh.resolve(Celery)
        assert vars(app).get("_pool") is None
        assert app.backend.__dict__.get("client") is None
    finally:
        fresh.close()
