"""What a child of the lane consists of, in the test's own process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, _state
from celery.app import trace

from celeriac.worker.lane.buckets import Buckets
from celeriac.worker.lane.consuming import Consuming
from celeriac.worker.lane.desk import Desk
from celeriac.worker.lane.duty import Duty
from celeriac.worker.lane.running import InPlacePool, Runner
from celeriac.worker.lane.slots import SlotTable
from celeriac.worker.limits import Limits


class Child:
    def __init__(self, app: Celery, *, coroutines: int = 1, prefetch: int = 1) -> None:
        slot = SlotTable(1)[0]
        slot.reserve()
        self.slot = slot
        self.runner = runner = Runner(app, "tests@here", slot, Limits(None, None), coroutines)
        self.duty = duty = Duty(slot, None, None)
        runner.crew.on_room = duty.wake
        runner.desk = self.desk = Desk(
            app,
            runner.hostname,
            InPlacePool(runner, 1),
            Buckets(app.tasks),
            lambda settle, *args, **kwargs: settle(*args, **kwargs),
            disable_rate_limits=False,
        )
        self.desk.build_tracers()
        options: Any = SimpleNamespace(prefetch=prefetch)
        self.consuming = Consuming(app, runner, duty, options)

    def connect(self) -> Any:
        """Its loop, connected."""
        return self.consuming._connect()


@contextmanager
def child_of(app: Celery, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Generator[Child]:
    """A child that has not connected yet."""
    tracing: Any = trace
    monkeypatch.setattr(tracing, "saferepr", tracing.saferepr)  # children have one of their own
    monkeypatch.setattr(_state, "default_app", app)  # Celery's tracer looks there in a new thread
    child = Child(app, **options)
    try:
        yield child
    finally:
        child.runner.crew.join()
        child.consuming._disconnect()
