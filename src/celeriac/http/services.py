"""What the routes work with, and its opening and closing with the process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celeriac.http.broker import BrokerFigures
from celeriac.http.fleet import Fleet
from celeriac.http.idempotency import Idempotency
from celeriac.http.offload import Offload
from celeriac.http.outbox import Outbox
from celeriac.http.problems import unavailable
from celeriac.http.states import States
from celeriac.transport.results.outcomes import OutcomeCounts
from celeriac.transport.revocations import Revocations
from celeriac.transport.server import shelf_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from celery import Celery

    from celeriac.history.records import TaskRecord
    from celeriac.http.past import Past
    from celeriac.tasks.registry import TasksRegistry
    from celeriac.transport.server import RedisServer

__all__ = ["Services"]


class Services:
    """Everything that the routes of one application share. Opens no connection before it is used.

    Args:
        celery: the app whose tasks are run.
        registry: the tasks that may be run; ``None`` where nothing is run.
        history: what happened to them; ``None`` where no history is kept.
    """

    prefix = "/api/v1"

    def __init__(self, celery: Celery, registry: TasksRegistry | None = None, history: Past | None = None) -> None:
        self.celery = celery
        self._registry = registry
        self._history = history
        self.ask_history = Offload("The database")
        self.ask_for_streams = Offload("The database", seconds=30.0)
        """The same for streams, which clients open by the hundred when a network is back, and which may wait for it."""
        self.ask_redis = Offload("Redis")
        self.ask_broker = Offload("The broker")
        self.looking: dict[str, asyncio.Task[TaskRecord | None]] = {}
        """What is being looked up for streams, by task."""
        self.streams = 0
        """Event streams that are open."""

    @property
    def registry(self) -> TasksRegistry:
        """The tasks that may be run."""
        assert self._registry is not None  # noqa: S101  routes that need it exist only with one
        return self._registry

    @property
    def keeps_history(self) -> bool:
        """Whether a history is kept."""
        return self._history is not None

    @property
    def history(self) -> Past:
        """What happened to tasks.

        Raises:
            ProblemError: no history is kept: 503.
        """
        if self._history is None:
            unavailable("This service keeps no history of tasks. Set DATABASE_URL for it.", kind="no-history")
        return self._history

    @cached_property
    def shelf(self) -> RedisServer | None:
        """Where small things are kept; ``None`` where there is no Redis server."""
        return shelf_of(self.celery)

    @cached_property
    def states(self) -> States:
        """What the result backend holds."""
        return States(self.celery)

    @cached_property
    def idempotency(self) -> Idempotency:
        """Which requests were made before."""
        return Idempotency(self.shelf, self.ask_redis)

    @cached_property
    def revocations(self) -> Revocations | None:
        """Which tasks were revoked."""
        return None if self.shelf is None else Revocations(self.shelf)

    @cached_property
    def outbox(self) -> Outbox:
        """Where calls go that the broker does not take."""
        return Outbox(self.celery)

    @cached_property
    def outcomes(self) -> OutcomeCounts | None:
        """How many tasks ended lately."""
        return None if self.shelf is None else OutcomeCounts(self.shelf)

    @cached_property
    def broker(self) -> BrokerFigures:
        """What waits on the broker."""
        return BrokerFigures(self.celery)

    @cached_property
    def fleet(self) -> Fleet:
        """The workers."""
        return Fleet(self.celery, self.ask_broker)

    @asynccontextmanager
    async def lifespan(self, _: Any = None) -> AsyncGenerator[None]:
        """Hold connections for as long as the process serves, and close them then."""
        try:
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Close what was opened. What the container built, the container closes."""
        opened: dict[str, Any] = vars(self)
        for name in ("shelf", "broker", "outbox"):
            if (held := opened.pop(name, None)) is not None:
                held.close()
