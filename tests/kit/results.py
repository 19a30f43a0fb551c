"""Results that tests store, read and wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from celery.result import AsyncResult, GroupResult
from tests.faults.harness.private_redis import PrivateRedis

from celeriac import CeleryAppConfig, TaskResult, create_celery_app


@contextmanager
def app_on(url: str, **options: Any) -> Generator[Any]:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url, **options}))
    try:
        yield app
    finally:
        app.close()


def raw_of(app: Any, task_id: str | None = None, parent: Any = None) -> Any:
    return AsyncResult(task_id or str(uuid4()), app=app, parent=parent)


def same(plain: Any) -> Any:
    return plain


def result_of(app: Any, task_id: str | None = None, parent: Any = None) -> TaskResult[Any]:
    return TaskResult("ping", raw_of(app, task_id, parent), same)


@contextmanager
def in_thread(*functions: Callable[[], Any]) -> Generator[list[Any]]:
    """Runs them beside; gives what they returned or raised, once all have ended."""
    outcomes: list[Any] = [None] * len(functions)

    def run(place: int) -> None:
        try:
            outcomes[place] = functions[place]()
        except Exception as error:  # noqa: BLE001  it is the outcome
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(functions))]
    for thread in threads:
        thread.start()
    yield outcomes
    for thread in threads:
        thread.join(60)


def watched(server: PrivateRedis) -> int:
    channels: Any = server.client.execute_command("PUBSUB", "CHANNELS")
    return len(channels)


def group_of(app: Any, *members: Any) -> tuple[Any, TaskResult[Any]]:
    group = GroupResult(str(uuid4()), list(members), app=app)
    return group, TaskResult("group", group, same)
