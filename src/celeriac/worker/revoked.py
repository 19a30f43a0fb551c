"""What a worker does so that revoked tasks stay revoked, whenever it starts."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer.control import Control
from redis.exceptions import RedisError

from celeriac.transport.revocations import KEPT, MOST, Revocations
from celeriac.transport.server import shelf_of

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["KnowsRevoked", "LearnsRevoked"]

logger = logging.getLogger(__name__)

_LOOK_EVERY: Final = 60.0
"""Seconds between two looks, for those that were told while nobody here listened."""
_OVERLAP: Final = 30.0
"""Seconds that clocks may be apart."""
_AT_ONCE: Final = 500


class KnowsRevoked(bootsteps.Step):
    """Before a worker takes its first message, whatever its pool, it reads what was revoked.

    Children are forked later, and know it too.
    """

    def create(self, parent: Any) -> None:
        """Read it. A server that is away is asked again once the worker consumes."""
        state.revoked.expires = KEPT  # Celery forgets after three hours, and a task may be due tomorrow
        state.revoked.maxlen = max(state.revoked.maxlen, MOST)
        learn(parent.app)


class LearnsRevoked(bootsteps.StartStopStep):
    """After each connection, and now and then, a worker reads what was revoked meanwhile."""

    requires = (Control,)
    label = "Revocations"

    def __init__(self, c: Any, **kwargs: Any) -> None:
        self._timer: Any = None
        self._since = 0.0
        super().__init__(c, **kwargs)

    def start(self, parent: Any) -> None:
        """Read all of it once more, and go on with what is new."""
        self._look(parent)
        self._timer = parent.timer.call_repeatedly(_LOOK_EVERY, self._look, (parent,))

    def stop(self, parent: Any) -> None:
        """Look no more."""
        del parent
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, consumer: Any) -> None:
        began = time.time()
        new = learn(consumer.app, self._since)
        if new is None:
            return
        self._since = began - _OVERLAP
        if new and getattr(consumer.pool, "consumes", False):
            for at in range(0, len(new), _AT_ONCE):
                consumer.pool.supervisor.ask_all("configure", {"revoked": new[at : at + _AT_ONCE]})


def learn(app: Celery, since: float = 0.0) -> list[str] | None:
    """Take what was revoked over into Celery's own memory of it; gives what is new, ``None`` if nobody answered."""
    server = shelf_of(app)
    if server is None:
        return []
    try:
        known = Revocations(server).since(since)
    except (RedisError, OSError) as error:
        logger.warning("what was revoked is not known yet: %s", error)
        return None
    finally:
        server.close()
    new = [each for each in known if each not in state.revoked]
    for each in new:
        state.revoked.add(each)
    return new
