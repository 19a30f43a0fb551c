"""Remote control whose revocations outlive the workers that hear of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.app.control import Control

from celeriac.transport.revocations import Revocations
from celeriac.transport.server import shelf_of

__all__ = ["DurableControl"]


class DurableControl(Control):
    """Celery's, but that :meth:`revoke` writes down what it tells: for workers that start, or connect, later."""

    @cached_property
    def revocations(self) -> Revocations | None:
        """Where it is written down; ``None`` where there is no Redis server to keep it."""
        shelf = shelf_of(self.app)
        return None if shelf is None else Revocations(shelf)

    def revoke(
        self,
        task_id: Any,
        destination: Any = None,
        terminate: bool = False,  # noqa: FBT001, FBT002  Celery's signature
        signal: Any = "SIGTERM",
        **kwargs: Any,
    ) -> Any:
        """Celery's. What is told to some workers alone is not written down.

        Raises:
            redis.exceptions.RedisError: it could not be written down, and nobody was told.
        """
        if destination is None and self.revocations is not None:
            several: Any = task_id
            ids: list[Any] = [several] if isinstance(task_id, str) else list(several)
            self.revocations.add([str(each) for each in ids])
        tell: Any = super().revoke
        return tell(task_id, destination=destination, terminate=terminate, signal=signal, **kwargs)
