"""``celery --app=tests.kit.slots worker``: tasks of which only so many may run at once, and a ledger of their runs."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import redis
from tests.kit.service import Scope

import celeriac
from celeriac import CeleryPublisher, Concurrency, Limits, Retry, TaskController, create_celery_app, task

if TYPE_CHECKING:
    from collections.abc import Iterable

QUEUE = "slots"


class Ledger:
    """When runs began and ended, by the server's clock; a run that was killed has no end."""

    def __init__(self, url: str | None = None) -> None:
        self._redis = redis.Redis.from_url(url or os.environ["REDIS_URL"])

    def note(self, key: str, what: str, run: str) -> None:
        seconds, micros = self._redis.time()
        self._redis.rpush("ledger", f"{seconds + micros / 1e6:.6f} {key} {what} {run}")

    def lines(self) -> list[tuple[float, str, str, str]]:
        found = [line.decode().split() for line in self._redis.lrange("ledger", 0, -1)]  # type: ignore[union-attr]
        return sorted((float(at), key, what, run) for at, key, what, run in found)

    def most_at_once(self, dead: Iterable[tuple[str, float]] = ()) -> dict[str, int]:
        """How many ran at the same time at most, for each key; ``dead`` says which processes ended when."""
        gone = dict(dead)
        running: dict[str, set[str]] = defaultdict(set)
        most: dict[str, int] = defaultdict(int)
        for at, key, what, run in self.lines():
            alive = {each for each in running[key] if gone.get(each.partition("/")[0], at + 1) > at}
            running[key] = alive | {run} if what == "begin" else alive - {run}
            most[key] = max(most[key], len(running[key]))
        return most


class SlotsController(TaskController):
    def __init__(self) -> None:
        self.ledger = Ledger()

    def _run(self, key: str, seconds: float, *, busy: bool = False) -> int:
        run = f"{os.getpid()}/{time.monotonic_ns()}"
        self.ledger.note(key, "begin", run)
        try:
            if busy:
                _keep_the_lock(seconds)
            else:
                end = time.monotonic() + seconds
                while time.monotonic() < end:  # in steps, as a thread can be interrupted between them alone
                    time.sleep(0.01)
        finally:
            self.ledger.note(key, "end", run)
        return os.getpid()

    @task("slots.two", queue=QUEUE, concurrency=Concurrency(2))
    def two(self, seconds: float) -> int:
        return self._run("two", seconds)

    @task("slots.keyed", queue=QUEUE, concurrency=Concurrency(1, key="account"))
    def keyed(self, account: str, seconds: float) -> int:
        return self._run(account, seconds)

    @task("slots.fails", queue=QUEUE, concurrency=Concurrency(1), retry=Retry(max_retries=1, backoff=0.1))
    def fails(self) -> None:
        self._run("fails", 0.05)
        raise RuntimeError

    @task("slots.limited", queue=QUEUE, concurrency=Concurrency(1), limits=Limits(soft=0.5, hard=1))
    def limited(self, *, stubborn: bool) -> int:
        try:
            return self._run("limited", 30)
        except Exception:
            if stubborn:
                self._run("limited", 30)
            raise

    @task("slots.busy", queue=QUEUE, concurrency=Concurrency(1))
    def busy(self, seconds: float) -> int:
        return self._run("busy", seconds, busy=True)

    @task("slots.idles", queue=QUEUE, concurrency=Concurrency(2))
    async def idles(self, seconds: float) -> None:
        import asyncio

        run = f"{os.getpid()}/{time.monotonic_ns()}"
        self.ledger.note("idles", "begin", run)
        await asyncio.sleep(seconds)
        self.ledger.note("idles", "end", run)


def _keep_the_lock(seconds: float) -> None:
    """Hold Python's lock all the while, as a regular expression that explodes does."""
    import ctypes

    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


class Registry(celeriac.TasksRegistry):
    two = SlotsController.two
    keyed = SlotsController.keyed
    fails = SlotsController.fails
    limited = SlotsController.limited
    busy = SlotsController.busy
    idles = SlotsController.idles


def made(**options: Any) -> tuple[Any, Registry]:
    app = create_celery_app(celeriac.CeleryAppConfig.from_mapping(options)) if options else create_celery_app()
    Registry.install(app, Scope([]))
    return app, Registry(CeleryPublisher(app))


if os.environ.get("REDIS_URL"):
    app, registry = made()
