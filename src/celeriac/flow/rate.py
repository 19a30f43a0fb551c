"""A rate that holds for all workers together: slots in time, given out by one Redis script on the server's clock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from typing_extensions import override

from celeriac.flow.frame import Gate
from celeriac.transport.link import Script

if TYPE_CHECKING:
    from celeriac.flow.frame import Attempt
    from celeriac.flow.keys import CallKey
    from celeriac.flow.policies import RateLimit
    from celeriac.flow.shelf import Shelf

__all__ = ["SLOT_HEADER", "ClusterRate"]

logger = logging.getLogger(__name__)

SLOT_HEADER: Final = "celeriac-rate-slot"
"""Carried by a message that has its slot: ``<retries>:<moment>``, in microseconds of the server's clock."""

# The generic cell rate algorithm with one cell of burst, as ATM networks police their traffic (ITU-T I.371): the next
# free slot is kept, each caller takes it and moves it on by one interval, and is told how long its slot is away. Who
# comes to a slot that it took before, not much later than that, need not take another.
# KEYS: the rate. ARGV: interval, moment of the slot taken before or 0; microseconds, as all that is returned.
_TAKE_SLOT: Final = Script("""
redis.call('DEL', KEYS[1] .. ':none')  -- what comes after a first write that takes no memory is let pass without any
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, taken = tonumber(ARGV[1]), tonumber(ARGV[2])
if taken > 0 and now - taken < math.max(interval, 2000000) then
  return {string.format('%.0f', math.max(taken - now, 0)), ARGV[2]}
end
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local following = string.format('%.0f', slot + interval)
redis.call('SET', KEYS[1], following, 'PX', math.ceil((slot + interval - now) / 1000))
return {string.format('%.0f', slot - now), string.format('%.0f', slot)}
""")
_MICROSECONDS: Final = 1_000_000


class ClusterRate(Gate):
    """Lets a task start at its rate and no faster, whichever worker has it.

    A task that comes too soon takes the next free slot, goes back to its queue until then in state ``RETRY``, and uses
    up no retry. If Redis does not answer, the task runs: late is worse than fast. One number is kept for each value of
    the key, and forgotten when its last slot has passed.

    Args:
        shelf: where it is kept.
        task: its name.
        limit: the rate.
        key: which calls are counted together.
    """

    def __init__(self, shelf: Shelf, task: str, limit: RateLimit, key: CallKey) -> None:
        self.limit = limit
        self._shelf = shelf
        self._name = f"rate:{task}"
        self._key = key

    @override
    def before_run(self, attempt: Attempt) -> None:
        digest = self._key.of(attempt.args, attempt.kwargs)
        name = f"{self._name}:{digest}" if digest else self._name
        retries = f"{attempt.task.request.retries or 0}:"  # each attempt is a start, and needs a slot of its own
        carried = str(attempt.headers.get(SLOT_HEADER) or "")
        taken = carried.removeprefix(retries) if carried.startswith(retries) else "0"
        server = self._shelf.server
        try:
            waited, slot = server.run(_TAKE_SLOT, [server.key(name)], [int(self.limit.interval * _MICROSECONDS), taken])
        except RedisError as error:
            logger.warning("rate limit %s of %s was not asked: %s", self.limit, attempt.task.name, error)
            return
        if (seconds := int(waited) / _MICROSECONDS) > 0:
            attempt.put_back(seconds, f"rate limit {self.limit}", {SLOT_HEADER: retries + slot.decode()})
