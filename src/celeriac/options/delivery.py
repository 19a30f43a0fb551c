"""Options of ours about delivery: what Celery has no word for."""

from __future__ import annotations

from pydantic import BaseModel

from celeriac.options.types import Fraction, PositiveCount, PositiveSeconds

__all__ = ["DeliveryOptions"]


class DeliveryOptions(BaseModel, defer_build=True):
    """How messages are lent, counted and refused. They stand in ``app.conf`` under the same names."""

    worker_async_concurrency: PositiveCount = 200
    """Coroutines that one worker process runs at the same time."""

    task_max_deliveries: PositiveCount = 5
    """Deliveries of one message, of which each ended with its worker, before it becomes a dead letter."""

    broker_lease: PositiveSeconds = 30
    """Seconds for which a message is lent to a worker that has not been heard of."""

    publish_timeout: PositiveSeconds = 2
    """Seconds in which a publish succeeds or fails, whatever happened to the broker."""

    broker_allow_unsafe: bool = False
    """Whether a worker in production may start on a broker that could lose messages."""

    broker_memory_high_water: Fraction = 0.7
    """The part of Redis's ``maxmemory`` at which publishers are refused, so that workers have room to drain it."""
