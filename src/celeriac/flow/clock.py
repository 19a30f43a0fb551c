"""One clock for all: the Redis server's, as this process knows it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from celeriac.flow.shelf import Shelf

__all__ = ["Clock"]

_ASKED_EVERY: Final = 60.0


class Clock:
    """Seconds since the epoch. The server is asked once a minute how far this machine's clock is off.

    Where there is no server, or it does not answer, this machine's clock counts, off by as much as was known last.

    Args:
        shelf: whose server's clock counts; ``None`` without one.
    """

    def __init__(self, shelf: Shelf | None) -> None:
        self._shelf = shelf
        self._offset = 0.0
        self._asked = 0.0
        self._pid = 0

    def now(self) -> float:
        """The time now."""
        return time.time() + self.offset

    @property
    def offset(self) -> float:
        """Seconds to add to this machine's clock for the server's."""
        if self._shelf is not None and (time.monotonic() - self._asked > _ASKED_EVERY or self._pid != os.getpid()):
            self._asked, self._pid = time.monotonic(), os.getpid()
            began = time.time()
            try:
                seconds, micros = self._shelf.server.call("TIME")
            except RedisError:
                return self._offset
            self._offset = int(seconds) + int(micros) / 1_000_000 - (began + time.time()) / 2
        return self._offset
