"""``celery --app=tests.kit.holding worker``: tasks of which one runs for each key, and that tell Redis what they do."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from celery.exceptions import Ignore, Reject
from pydantic import SecretStr
from redis import Redis
from tests.kit.service import BrokenError, Container

import celeriac
from celeriac import (
    CeleryPublisher,
    Debounce,
    Limits,
    Retry,
    TaskContext,
    TaskController,
    Unique,
    constant,
    create_celery_app,
    task,
)

PATIENCE = 60
TWICE = Retry(on=BrokenError, max_retries=2, backoff=constant(0.1))
SHORT = Limits(hard=2.0)


class Diary:
    """What happens, in its order, on the server whose results these are."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis

    def note(self, what: str, key: str, task_id: str, now: int = 0) -> None:
        self.redis.rpush("diary", json.dumps([what, key, task_id, now]))

    def read(self, key: str) -> list[tuple[str, str, int]]:
        """What, whose and how many of the key ran then."""
        found: list[Any] = [json.loads(each) for each in self.redis.lrange("diary", 0, -1)]
        return [(what, task_id, now) for what, of, task_id, now in found if of == key]

    def begun(self, key: str) -> list[str]:
        return [task_id for what, task_id, _ in self.read(key) if what == "begin"]

    def go(self, key: str, times: int = 1) -> None:
        """Let tasks of the key come to their end."""
        self.redis.rpush(f"go:{key}", *range(times))


def run(key: str, how: str) -> str:
    """Note beginning and end, and do in between what is asked for."""
    context = TaskContext.current()
    with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        diary = Diary(redis)
        diary.note("begin", key, context.id, int(redis.incr(f"running:{key}")))
        try:
            behave(redis, key, how, context)
        finally:
            diary.note("end", key, context.id, int(redis.decr(f"running:{key}")))
    return context.id


def behave(redis: Redis, key: str, how: str, context: TaskContext) -> None:
    if how == "wait":
        redis.blpop([f"go:{key}"], timeout=PATIENCE)
    elif how == "fail" or (how == "fail twice" and context.attempt < 3):
        raise BrokenError(how)
    elif how == "ignore":
        reason: Any = "as asked"
        raise Ignore(reason)
    elif how == "reject":
        said: Any = Reject
        raise said(how, requeue=False)
    elif how == "die" or (how == "die once" and redis.set(f"died:{context.id}", 1, nx=True)):
        redis.decr(f"running:{key}")
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "sleep":
        time.sleep(PATIENCE)


class Holding(TaskController):
    @task("hold.drop", unique=Unique(key="key"), retry=TWICE, limits=SHORT, max_deliveries=2)
    def drop(self, key: str, how: str = "") -> str:
        return run(key, how)

    @task("hold.slow", unique=Unique(key="key"))
    def slow(self, key: str, how: str = "wait") -> str:
        return run(key, how)

    @task("hold.replace", unique=Unique(key="key", on_conflict="replace"))
    def replace(self, key: str, how: str = "") -> str:
        return run(key, how)

    @task("hold.wait", unique=Unique(key="key", on_conflict="wait"))
    def wait(self, key: str, how: str = "") -> str:
        return run(key, how)

    @task("hold.debounce", debounce=Debounce(seconds=1.0, key="key", at_most=3.0))
    def debounce(self, key: str, number: int = 0) -> int:
        run(key, "")
        return number

    @task("hold.all", unique=Unique())
    def all(self, secret: SecretStr, count: int = 1, flag: bool = True) -> None:  # noqa: FBT001, FBT002  as it is
        time.sleep(0)

    @task("hold.pair", unique=Unique(key=("first", "second")))
    def pair(self, first: int, second: int, rest: str = "") -> None: ...

    @task("hold.after")
    def after(self, before: str) -> str:
        return f"after {before}"


class Registry(celeriac.TasksRegistry):
    drop = Holding.drop
    slow = Holding.slow
    replace = Holding.replace
    wait = Holding.wait
    debounce = Holding.debounce
    all = Holding.all
    pair = Holding.pair
    after = Holding.after


def registry_of(app: Any) -> Registry:
    """The registry of an app of a test's own."""
    Registry.install(app, Container())
    return Registry(CeleryPublisher(app))


app = create_celery_app()
registry = registry_of(app)
