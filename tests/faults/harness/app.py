"""``celery --app=tests.faults.harness.app worker``: tasks that write their start and their end into the ledger."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from pathlib import Path
from typing import Any, TypeVar

from tests.faults.harness.ledger import Ledger
from tests.faults.harness.poison import POISONS

import celeriac
from celeriac import CeleryPublisher, Concurrency, Limits, TaskController, create_celery_app, task

T = TypeVar("T")


class WorkController(TaskController):
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @task("faults.work")
    def work(self, key: str, seconds: float = 0.0) -> str:
        """Take a while."""
        self.ledger.write("started", key)
        if seconds:
            time.sleep(seconds)
        self.ledger.write("done", key)
        return key

    @task("faults.async_work")
    async def async_work(self, key: str, seconds: float = 0.0) -> str:
        """Take a while, and let others go on."""
        self.ledger.write("started", key)
        await asyncio.sleep(seconds)
        self.ledger.write("done", key)
        return key

    @task("faults.stages")
    def stages(self, key: str, seconds: list[float]) -> str:
        """Take the first of ``seconds`` the first time, the second the second time ..."""
        self.ledger.write("started", key)
        time.sleep(seconds[self.ledger.counts("started")[key] - 1])
        self.ledger.write("done", key)
        return key

    @task("faults.grip")
    def grip(self, key: str, seconds: float) -> str:
        """Hold the interpreter's lock all the while, so that no other thread of this process runs."""
        self.ledger.write("started", key)
        library = ctypes.PyDLL(None)  # calls through PyDLL keep the lock
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:  # a signal ends it early
            library.poll(None, 0, int(left * 1000) + 1)
        self.ledger.write("done", key)
        return key

    @task("faults.two", concurrency=Concurrency(2))
    def two(self, key: str, seconds: float = 0.0) -> str:
        """Take a while, beside one other at most."""
        return self.work(key, seconds)

    @task("faults.single", concurrency=Concurrency(1))
    def single(self, key: str, seconds: float) -> str:
        """Hold the interpreter's lock all the while, and be the only one that runs."""
        return self.grip(key, seconds)

    @task("faults.spin")
    def spin(self, key: str, seconds: float) -> str:
        """Use up a processor."""
        self.ledger.write("started", key)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        self.ledger.write("done", key)
        return key

    @task("faults.poison", max_deliveries=3)
    def poison(self, key: str, kind: str) -> Any:
        """Do something that a task should not."""
        self.ledger.write("started", key)
        return POISONS[kind]()

    @task("faults.limited", limits=Limits(soft=1, hard=2), max_deliveries=2)
    def limited(self, key: str, kind: str) -> Any:
        """Do something that does not end, under limits of 1 and 2 seconds."""
        self.ledger.write("started", key)
        if kind == "sleep":
            time.sleep(60)
            return None
        return POISONS[kind]()

    @task("faults.swallow")
    def swallow(self, key: str, data: Any) -> int:
        """Take whatever comes, of whatever size."""
        self.ledger.write("started", key)
        self.ledger.write("done", key)
        return len(str(data)) if not isinstance(data, str) else len(data)


class Registry(celeriac.TasksRegistry):
    work = WorkController.work
    async_work = WorkController.async_work
    stages = WorkController.stages
    grip = WorkController.grip
    two = WorkController.two
    single = WorkController.single
    spin = WorkController.spin
    poison = WorkController.poison
    limited = WorkController.limited
    swallow = WorkController.swallow


class Container:
    """Gives controllers their ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def resolve(self, service: type[T], /) -> T:
        return service(self._ledger)  # type: ignore[call-arg]  # the registry's controllers take a ledger


def _install() -> Any:
    made = create_celery_app()
    Registry.install(made, Container(Ledger(Path(os.environ["FAULTS_LEDGER"]))))
    return made


if "FAULTS_LEDGER" in os.environ:  # else a test imports the registry, and makes an app of its own
    app = _install()
    registry = Registry(CeleryPublisher(app))
