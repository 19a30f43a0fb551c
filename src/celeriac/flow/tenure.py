"""In whose name a process holds what it holds for a running task, and for how long after its last sign of life.

One lease for a process, as with messages: renewing it is one command, however much is held. It is renewed from outside
of the process that runs tasks, so a task that never lets go of Python's lock keeps what it holds, and one whose process
was killed loses it as soon as that is seen.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from celeriac.flow.slots import tend
from celeriac.flow.waking import wake
from celeriac.transport.link import Script

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.flow.shelf import Shelf
    from celeriac.transport.server import RedisServer

__all__ = ["LEASE", "Tenure"]

logger = logging.getLogger(__name__)

LEASE: Final = 30.0
"""Seconds that what a process holds stays its own without a sign of life; as with messages, and by the same option."""
_EVERY: Final = 2.0
_RENEWALS: Final = 6
_LONGEST_LIFE: Final = 7 * 24 * 3600

# Where nobody has given a sign of life for half a lease, it was the server that was away: all who held something then
# keep it for a third of a lease more, in which they can be heard of again.
# KEYS: owners. ARGV: lease in ms, how many live, these, and those that are dead. What has expired is forgotten a lease
# later.
_RENEW: Final = Script(f"""
redis.call('DEL', KEYS[1] .. ':none')  -- what comes after a first write that takes no memory is let pass without any
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local lease, live = tonumber(ARGV[1]), tonumber(ARGV[2])
local awaited = KEYS[1] .. ':awaited'
if tonumber(redis.call('GET', awaited) or now) < now then
  for _, each in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZADD', KEYS[1], 'GT', now + math.floor(lease / 3), each)
  end
end
redis.call('SET', awaited, string.format('%.0f', now + lease / 2), 'EX', {_LONGEST_LIFE})
for i = 3, 2 + live do redis.call('ZADD', KEYS[1], now + lease, ARGV[i]) end
for i = 3 + live, #ARGV do redis.call('ZREM', KEYS[1], ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - lease)
redis.call('EXPIRE', KEYS[1], {_LONGEST_LIFE})
""")


class Tenure:
    """The leases of the processes of one worker. One for an app: see :meth:`of`.

    Args:
        shelf: where they are kept.
        lease: seconds that one lasts.
    """

    def __init__(self, shelf: Shelf, lease: float = LEASE) -> None:
        self.lease = lease
        self.every = min(_EVERY, lease / _RENEWALS)
        """Seconds between two signs of life."""
        self.kept = False
        """Whether somebody calls :meth:`tick`; else this process does so by itself as soon as it holds something."""
        self._shelf = shelf
        self._node = f"{socket.gethostname()}:{secrets.token_hex(6)}"
        self._complained = 0.0
        self._mine: set[str] = set()  # the server may have forgotten them, after a time without it
        self._lock = threading.Lock()
        self._over = threading.Event()

    @classmethod
    def of(cls, app: Celery, shelf: Shelf) -> Tenure:
        """The app's; one that is made before a worker forks is the same in all of its processes."""
        known = cls.known(app)
        if known is None:
            said: dict[str, Any] = app.conf.broker_transport_options or {}
            known = vars(app)["_celeriac_tenure"] = cls(shelf, float(said.get("lease") or LEASE))
        return known

    @staticmethod
    def known(app: Celery) -> Tenure | None:
        """The app's, if one of its tasks asked for it."""
        return vars(app).get("_celeriac_tenure")

    @property
    def owner(self) -> str:
        """This process among all that hold something."""
        return f"{self._node}:{os.getpid()}"

    def hold(self) -> tuple[str, float]:
        """The owner, and the seconds of its first lease; from here on somebody renews it."""
        if not self.kept:
            with self._lock:
                if not self.kept:
                    self.kept = True
                    threading.Thread(target=self.keep, name="celeriac-tenure", daemon=True).start()
        owner = self.owner
        self._mine.add(owner)
        return owner, self.lease

    def keep(self) -> None:
        """Give signs of life until :meth:`end`."""
        self._over = over = threading.Event()
        while not over.wait(self.every):
            self.tick()

    def tick(self) -> None:
        """Renew the leases of the worker's processes that live, end those of the others, and look after who waits."""
        server = self._shelf.server
        key = server.key("owners")
        try:
            mine = self._owners(server)
            live = [each for each in mine if _lives(int(each.rpartition(":")[2]))]
            gone = [each for each in mine if each not in live]
            server.run(_RENEW, [key], [int(self.lease * 1000), len(live), *live, *gone])
            self._mine.difference_update(gone)
            if woken := tend(server, now=bool(gone)):
                wake(self._shelf, woken)
        except RedisError as error:
            if (now := time.monotonic()) - self._complained > 10:  # noqa: PLR2004  seconds
                self._complained = now
                logger.warning("leases of running tasks could not be renewed: %s", error)

    def end(self) -> None:
        """The worker has ended: nothing is held any more."""
        self.kept = False
        self._over.set()
        server = self._shelf.server
        with suppress(RedisError):  # they end by themselves
            if mine := self._owners(server):
                server.call("ZREM", server.key("owners"), *mine)
                wake(self._shelf, tend(server, now=True))
        self._mine.clear()

    def _owners(self, server: RedisServer) -> list[str]:
        """This worker's processes that hold, or held, something."""
        known = (each.decode() for each in server.call("ZRANGE", server.key("owners"), 0, -1))
        self._mine.update(each for each in known if each.startswith(f"{self._node}:"))
        return list(self._mine)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's by now: the number was given to somebody else
        return False
    return True
