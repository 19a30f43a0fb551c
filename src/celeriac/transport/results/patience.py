"""Waiting for a server that is away, where to give up would lose something."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from celery import _state
from redis.client import Pipeline, Redis

from celeriac.transport.results.entry import is_passing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["GaveUp", "Patience", "PatientRedis", "current_task"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
current_task: Any = _state.get_current_task
"""Celery's task of this thread, or ``None``."""

OUTSIDE: Final = 2.0
"""Seconds outside of a task: there, nobody but the caller is served by waiting."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0


class GaveUp(BaseException):
    """The server stayed away for too long. Not an ``Exception``: Celery would take it for the failure of a chord."""


class Patience:
    """How long a running task waits for the result backend.

    Inside a task that is the task's own time: its message is not acknowledged meanwhile, so nothing is lost. A soft
    time limit that strikes during the wait does not end it: the task itself is over.

    Args:
        limit: seconds, or ``None`` for as long as it takes.
        address: the server as the log names it.
    """

    def __init__(self, limit: float | None, address: str) -> None:
        self.limit = limit
        self._address = address

    def until(self) -> float | None:
        """The moment at which it ends."""
        limit = self.limit if current_task() is not None else OUTSIDE
        return None if limit is None else time.monotonic() + limit

    def wait(self, stored: Callable[[float | None], bool]) -> bool:
        """Call ``stored`` with the seconds left until it is true or these are over."""
        end = self.until()
        while True:
            left = None if end is None else end - time.monotonic()
            try:
                if stored(left):
                    return True
            except SoftTimeLimitExceeded:
                continue
            if left is not None:
                return False

    def retry(self, action: Callable[[], T]) -> T:
        """Repeat what fails because the server is away.

        Raises:
            GaveUp: it stayed away, and a task runs here.
            redis.exceptions.RedisError: it stayed away, and none does; or another error of the server's.
        """
        end = self.until()
        pause = FIRST_PAUSE
        while True:
            try:
                return action()
            except SoftTimeLimitExceeded:
                continue
            except Exception as error:
                if not is_passing(error):
                    raise
                if end is not None and time.monotonic() + pause >= end:
                    if current_task() is None:
                        raise
                    raise GaveUp(str(error)) from error
                if pause == FIRST_PAUSE:
                    logger.warning("%s does not answer (%s); a chord waits for it", self._address, error)
            try:
                time.sleep(pause)
            except SoftTimeLimitExceeded:
                continue
            pause = min(pause * 2, LAST_PAUSE)


class PatientRedis(Redis):
    """redis-py's client whose commands are repeated with patience. For commands that may be carried out twice."""

    patience: Patience

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """One command."""
        redis: Any = super()
        command = redis.execute_command
        return self.patience.retry(lambda: command(*args, **options))

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> Pipeline:  # noqa: FBT001, FBT002  redis-py's
        """Several."""
        pipeline = _PatientPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)
        pipeline.patience = self.patience
        return pipeline


class _PatientPipeline(Pipeline):
    patience: Patience

    def execute(self, raise_on_error: bool = True) -> list[Any]:  # noqa: FBT001, FBT002  redis-py's
        queue: Any = self.command_stack
        commands: list[Any] = list(queue)
        run: Any = super().execute

        def again() -> Any:
            self.command_stack = commands.copy()  # redis-py empties it whether or not it worked
            return run(raise_on_error)

        replies: list[Any] = self.patience.retry(again)
        return replies
