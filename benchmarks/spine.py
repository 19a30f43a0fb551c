"""What the typed registry, the container and validation cost, against plain Celery of the same options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis
from celery.app.defaults import DEFAULTS

from benchmarks.processes import PATIENCE, Workers
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from celery import Celery

OURS, PEER = "delivery.tasks.app", "benchmarks.plain"
_RESOLVE = """
import gc, time
from celeriac import TaskController
from delivery.tasks.registry import TasksRegistry
from ioc.container import get_container
started = time.perf_counter()
registry = get_container().resolve(TasksRegistry)
assert registry.ping.name
spent = time.perf_counter() - started
print(round(spent * 1000), sum(isinstance(each, TaskController) for each in gc.get_objects()))
"""
QUEUED_AT = ("default", "default\x06\x163", "default\x06\x166", "default\x06\x169", "unacked")


class Spine:
    """The measurements of the spine over one Redis server.

    Args:
        url: a Redis database that may be emptied.
        rounds: how many pairs of runs each figure is the median of.
        tasks: how many tasks a run sends.
    """

    def __init__(self, url: str, rounds: int, tasks: int) -> None:
        self.redis = redis.Redis.from_url(url)
        self.rounds = rounds
        self.tasks = tasks
        # The server is unsafe on purpose: neither side is to wait for a disk.
        os.environ.update(REDIS_URL=url, ENVIRONMENT="production", CELERY_BROKER_ALLOW_UNSAFE="true")
        from celeriac import create_celery_app  # noqa: PLC0415  after the environment is set

        ours = create_celery_app().conf
        conf = {key: ours[key] for key, default in DEFAULTS.items() if ours[key] != default and _is_json(ours[key])}
        conf = {key: value for key, value in conf.items() if "celeriac" not in str(value)}  # classes of ours
        conf.update(broker_url=url, result_backend=url)  # they come masked
        self._directory = tempfile.TemporaryDirectory()
        path = Path(self._directory.name, "conf.json")
        path.write_text(json.dumps(conf), encoding="utf-8")
        self.environment = {"BENCHMARK_CONF": str(path), "REDIS_URL": url, "LOGGING_LEVEL": "INFO"}
        os.environ.update(self.environment)

    def rows(self) -> Iterator[Row]:
        """Measure, and give each comparison as it is done."""
        yield from self.enqueue()
        for pool in ("solo", "prefork"):
            yield self.execute(pool)
        yield self.start()

    def enqueue(self) -> Iterator[Row]:
        """CPU of the producer for one call, results on."""
        from benchmarks import plain  # noqa: PLC0415  reads the environment
        from delivery.tasks.registry import TasksRegistry  # noqa: PLC0415
        from ioc.container import get_container  # noqa: PLC0415

        registry = get_container().resolve(TasksRegistry)
        peers: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
            ("delay() without arguments", registry.ping.delay, lambda: plain.app.send_task("ping")),
            ("delay() with two", lambda: registry.add.delay(2, 3), lambda: plain.app.send_task("example.add", (2, 3))),
        ]
        for what, ours, peer in peers:
            pairs = [(self._producer(ours), self._producer(peer)) for _ in range(self.rounds + 1)][1:]
            yield Row(f"enqueue: {what}", "us CPU", [a for a, _ in pairs], [b for _, b in pairs], "at most 1.10")

    def _producer(self, call: Callable[[], Any]) -> float:
        count = self.tasks // 2
        before = time.process_time()
        for _ in range(count):
            call()
        spent = time.process_time() - before
        self.redis.flushdb()
        return spent / count * 1e6

    def execute(self, pool: str) -> Row:
        """CPU of the worker for one task: its controller resolved in a scope, arguments and result validated."""
        ours: list[float] = []
        peer: list[float] = []
        for _ in range(self.rounds):
            ours.append(self._drain(OURS, pool))
            peer.append(self._drain(PEER, pool))
        return Row(f"execute: example.add in {pool}", "us CPU", ours, peer, "at most 1.10")

    def _drain(self, app: str, pool: str) -> float:
        from benchmarks import plain  # noqa: PLC0415

        with self._worker(app, f"--pool={pool}", "--concurrency=2") as (worker, _):
            self._send(plain.app, self.tasks // 10)
            before = worker.cpu()
            self._send(plain.app, self.tasks)
            return (worker.cpu() - before) / self.tasks * 1e6

    def _send(self, app: Celery, count: int) -> None:
        for number in range(count):
            app.send_task("example.add", (number, 1))
        deadline = time.monotonic() + PATIENCE
        while self._waiting():
            if time.monotonic() > deadline:
                msg = f"{self._waiting()} of {count} tasks were not done within {PATIENCE:.0f} s"
                raise TimeoutError(msg)
            time.sleep(0.05)

    def _waiting(self) -> int:
        pipeline = self.redis.pipeline()
        for key in QUEUED_AT[:-1]:
            pipeline.llen(key)
        pipeline.hlen(QUEUED_AT[-1])
        return sum(pipeline.execute())

    def start(self) -> Row:
        """From the worker's command to its first readiness."""
        ours: list[float] = []
        peer: list[float] = []
        for _ in range(self.rounds + 2):
            for app, seconds in ((OURS, ours), (PEER, peer)):
                with self._worker(app, "--concurrency=2") as (_, ready):
                    seconds.append(ready)
        return Row("start: worker ready", "s", ours[1:], peer[1:], "at most +0.30 s", difference=True)

    def resolve(self) -> str:
        """What a process that only calls tasks builds and opens until it has its registry."""
        before = self._connections()
        run = subprocess.run([sys.executable, "-c", _RESOLVE], capture_output=True, text=True, check=True)
        milliseconds, controllers = run.stdout.split()
        opened = self._connections() - before
        return f"resolve the registry: {milliseconds} ms, {controllers} controllers built, {opened} connections opened"

    def _connections(self) -> int:
        return int(self.redis.info("stats")["total_connections_received"])

    @contextmanager
    def _worker(self, app: str, *arguments: str) -> Generator[tuple[Workers, float]]:
        """A worker that says so when it is ready, which it does at level INFO."""
        self.redis.flushdb()
        command = (sys.executable, "-m", "celery", f"--app={app}", "worker", "--loglevel=INFO", *arguments)
        with Workers([command], self.environment) as worker:
            yield worker, worker.until_said(" ready.")


def _is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
