"""Where the places of loops are kept between two runs of a task: how far it was, under its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from redis.exceptions import RedisError

from celeriac.flow.shelf import Shelf
from celeriac.transport.link import Script

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["AFTER_SUCCESS", "KEPT", "OUT_OF_REACH", "InProcess", "Places", "RedisPlaces", "places_of"]

KEPT: Final = 7 * 24 * 3600
"""Seconds for which a place is kept after it was last saved: a retry, or a letter sent back, may be days away."""
AFTER_SUCCESS: Final = 300
"""Seconds for which a finished task's is kept: its worker may die before the message is acknowledged."""
OUT_OF_REACH: Final = (RedisError, OSError)

# Each run of a task takes the next number, and only the last one may write: a worker that was frozen and wakes up finds
# that its task went to somebody else. A server that forgot, such as a replica that took over, is told again.
_BEGIN: Final = Script("""
local run = redis.call('HINCRBY', KEYS[1], 'run', 1)
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {run, redis.call('HGET', KEYS[1], 'state')}
""")
_SAVE: Final = Script("""
if tonumber(redis.call('HGET', KEYS[1], 'run') or 0) > tonumber(ARGV[1]) then
    return 0
end
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'state', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
""")


class Places(Protocol):
    """Keeps one text for each task.

    Raises, from every method:
        redis.exceptions.RedisError: it cannot be reached, or refused.
    """

    def begin(self, task_id: str) -> tuple[int, str | None]:
        """A run of a task begins: its number, and what the last one saved."""
        ...

    def save(self, task_id: str, run: int, state: str, seconds: int) -> bool:
        """Keep a text for that long; False if another run has begun since."""
        ...


class RedisPlaces:
    """A hash for each task on the server."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def begin(self, task_id: str) -> tuple[int, str | None]:
        """A run of a task begins."""
        run, state = self._shelf.server.run(_BEGIN, [self.key(task_id)], [KEPT])
        return int(run), None if state is None else state.decode()

    def save(self, task_id: str, run: int, state: str, seconds: int) -> bool:
        """Keep a text for that long."""
        return bool(self._shelf.server.run(_SAVE, [self.key(task_id)], [run, state, seconds]))

    def key(self, task_id: str) -> str:
        """Where a task's is kept."""
        return self._shelf.server.key(f"iteration:{task_id}")


class InProcess:
    """In this process alone, for tasks that run in their caller's: a retry goes on where the first attempt stopped."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, str | None]] = {}

    def begin(self, task_id: str) -> tuple[int, str | None]:
        """A run of a task begins."""
        run, state = self._known.get(task_id, (0, None))
        self._known[task_id] = run + 1, state
        return run + 1, state

    def save(self, task_id: str, run: int, state: str, seconds: int) -> bool:
        """Keep a text; a finished task's is not needed, since nobody delivers its message again."""
        if self._known.get(task_id, (run, None))[0] != run:
            return False
        if seconds == AFTER_SUCCESS:
            self._known.pop(task_id, None)
        else:
            self._known[task_id] = run, state
        return True


_in_process: Final = InProcess()


def places_of(app: Celery, *, eager: bool = False) -> Places | None:
    """Where an app's tasks keep them: on the Redis of the results, else of the messages; ``None`` without either.

    Args:
        app: the app.
        eager: whether the task runs in its caller's process.
    """
    if eager:
        return _in_process
    shelf = Shelf.known(app)
    return None if shelf is None else RedisPlaces(shelf)
