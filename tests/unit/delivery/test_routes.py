"""Which queue each task of the service goes to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from tests.kit.clients import disconnect

from core.configs.settings import Environment, RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from ioc.container import build_container


@pytest.fixture(scope="module")
def app(redis_url: str) -> Iterator[Celery]:
    redis = RedisSettings(redis_url=SecretStr(redis_url))
    container = build_container(Settings(redis_settings=redis, environment=Environment.TEST))
    yield container.resolve(Celery)
    disconnect(container.resolve(Celery))
    container.close()


def waiting_in(url: str) -> list[str]:
    """The queue of each message that waits there."""
    with Redis.from_url(url) as redis:
        lists = list(redis.scan_iter(_type="list"))
        return [key.decode().partition("\x06")[0] for key in lists for _ in range(redis.llen(key))]


@pytest.mark.proves("S004-4")
@pytest.mark.parametrize(
    ("name", "queue"),
    [
        ("refresh_market_data", "high_priority"),
        ("compute_index", "high_priority"),
        ("generate_report", "low_priority"),
        ("cleanup_old_data", "low_priority"),
        ("ping", "default"),
        ("generate_daily_report", "default"),
        ("cleanup_expired_data", "default"),
    ],
)
def test_a_message_goes_where_its_task_belongs(app, redis_url, name, queue):
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    app.tasks[name].apply_async()
    app.send_task(name)
    assert waiting_in(redis_url) == [queue, queue]


@pytest.mark.proves("S004-5")
def test_a_worker_reads_all_three_queues(app):
    assert set(app.amqp.queues) == {"default", "high_priority", "low_priority"}
    declared = {definition.policy.queue for definition in TasksRegistry.definitions().values()}
    assert declared <= {None, *app.amqp.queues}
