"""The slots of one key on the server: who holds one, who waits for one, and who is next. Each step is atomic.

A holder is known by its task's id. It counts as long as the process that runs it has a lease (see
:mod:`celeriac.flow.tenure`), and has a token by which alone it can be let go: who lost its slot to another cannot end
the other's. Who waits stands in a line by the moment of its first arrival. When a slot becomes free it is granted to
the first in line for some seconds, in which nobody else gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celeriac.transport.link import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celeriac.transport.server import RedisServer

__all__ = ["GRANT", "Answer", "Slots", "Waiter", "tend"]

GRANT: Final = 5.0
"""Seconds for which a slot is kept for who was woken to take it."""
KEPT: Final = 7 * 24 * 3600.0
"""Seconds after which what nobody asked for again is forgotten."""
AT_ONCE: Final = 200
"""Lines that are looked at in one go."""
TEND_EVERY: Final = 5.0
"""Seconds between two looks at a line, by whichever worker."""

# Of one key: the hash of holders, id to "<since>|<token>|<owner>", or "<until>||" for a grant; the line, a sorted set
# of waiters by arrival; until when each waiter is heard of again; the mean time a slot was held; and, while somebody is
# in line, the limit that was told last. Shared: the owners' leases, the revoked, and the lines to look after, each as
# "<limit>|<slots>". A waiter is "<id>:<nonce>".
_COMMON: Final = """
redis.call('DEL', KEYS[1] .. ':none')  -- what comes after a first write that takes no memory is let pass without any
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local slots, line, seen, mean = KEYS[1], KEYS[1] .. ':line', KEYS[1] .. ':seen', KEYS[1] .. ':mean'
local owners, revoked, lines = KEYS[2], KEYS[3], KEYS[4]
local told = KEYS[1] .. ':limit'

local function parts(value)
  return string.match(value, '^(%d+)|([^|]*)|(.*)$')
end

-- Forgets who is gone; gives how many slots are taken. Just after the server was away, nobody is known to be gone who
-- had a lease before.
local function taken()
  local all, count, leases = redis.call('HGETALL', slots), 0, {}
  local away = tonumber(redis.call('GET', owners .. ':awaited') or now) < now
  for i = 1, #all, 2 do
    local at, token, owner = parts(all[i + 1])
    local till = tonumber(at)
    if token ~= '' then
      leases[owner] = leases[owner] or tonumber(redis.call('ZSCORE', owners, owner) or 0)
      if away and leases[owner] > 0 then leases[owner] = now end
      till = leases[owner]
    end
    if till < now then redis.call('HDEL', slots, all[i]) else count = count + 1 end
  end
  return count
end

-- The limit that was told last, as a worker that ends may know an older one; that one where none is known.
local function current(limit)
  return redis.call('GET', told) or limit
end

-- Grants free slots to the first in line; gives those to be woken.
local function grant(limit, kept)
  local woken = {}
  local free = tonumber(current(limit)) - taken()
  while free > 0 do
    local first = redis.call('ZPOPMIN', line)
    if #first == 0 then break end
    local id = string.match(first[1], '^(.*):[^:]*$')
    local heard = tonumber(redis.call('ZSCORE', seen, first[1]) or 0)
    redis.call('ZREM', seen, first[1])
    if heard >= now and not redis.call('ZSCORE', revoked, id) and redis.call('HEXISTS', slots, id) == 0 then
      redis.call('HSET', slots, id, string.format('%.0f||', now + kept))
      woken[#woken + 1] = first[1]
      free = free - 1
    end
  end
  return woken
end
"""

# KEYS: slots, owners, revoked, lines. ARGV: limit, seconds of a grant in ms, id, token, owner, lease in ms, former name
# as a waiter, arrival or 0, name as a waiter, ms until it is heard of again for the first in line and more for each
# before it, whether waiters can be woken, ms that all is kept, ms until the line is looked at.
# Returns {1 if it has a slot, how many are before it, ms until it comes again, arrival, mean ms, woken...}.
_ACQUIRE: Final = Script(
    _COMMON
    + """
local limit, kept, id, token, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local wakes = ARGV[12] == '1'
redis.call('ZADD', owners, 'GT', now + ARGV[6], owner)
redis.call('PEXPIRE', owners, ARGV[13])
if wakes then redis.call('SET', told, ARGV[1], 'PX', ARGV[13], 'XX') end
if ARGV[7] ~= '' then
  redis.call('ZREM', line, ARGV[7])
  redis.call('ZREM', seen, ARGV[7])
end
local known = redis.call('HEXISTS', slots, id) == 1
local count = taken()
known = known and redis.call('HEXISTS', slots, id) == 1
local arrival = tonumber(ARGV[8])
if arrival == 0 then  -- behind all others, even where the clock was set back
  local last = redis.call('ZRANGE', line, -1, -1, 'WITHSCORES')
  arrival = math.max(now, tonumber(last[2] or 0) + 1)
end
local woken = {}
if not known and wakes and count < limit then
  local first = redis.call('ZRANGE', line, 0, 0, 'WITHSCORES')
  if first[2] and tonumber(first[2]) < arrival then woken = grant(limit, kept) end
  count = taken()
end
local usual = tonumber(redis.call('GET', mean) or 0)
if known or count < limit then
  redis.call('HSET', slots, id, string.format('%.0f|%s|%s', now, token, owner))
  redis.call('PEXPIRE', slots, ARGV[13])
  return {1, 0, 0, arrival, usual, unpack(woken)}
end
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', line, gone)
  redis.call('ZREM', seen, gone)
end
redis.call('ZADD', line, arrival, ARGV[9])
local before = redis.call('ZRANK', line, ARGV[9])
local again
if wakes then
  again = ARGV[10] + ARGV[11] * before
else
  again = math.min(math.max((usual > 0 and usual or 1000) * (before + 1) / limit, 500), ARGV[10] / 2)
end
redis.call('ZADD', seen, now + again * 2, ARGV[9])
for _, key in ipairs({line, seen}) do redis.call('PEXPIRE', key, ARGV[13]) end
if wakes then
  redis.call('SET', told, ARGV[1], 'PX', ARGV[13])
  redis.call('ZADD', lines, 'NX', now + ARGV[14], limit .. '|' .. slots)
end
return {0, before, math.floor(again), arrival, usual, unpack(woken)}
"""
)

# KEYS: as above. ARGV: limit, ms of a grant, id, token, whether waiters can be woken, ms that all is kept.
# Returns {1 if it was held, woken...}.
_RELEASE: Final = Script(
    _COMMON
    + """
local value = redis.call('HGET', slots, ARGV[3])
local mine = 0
if value then
  local since, token = parts(value)
  if token == ARGV[4] then
    redis.call('HDEL', slots, ARGV[3])
    mine = 1
    local spent = now - tonumber(since)
    local usual = tonumber(redis.call('GET', mean) or spent)
    redis.call('SET', mean, string.format('%.0f', usual + (spent - usual) * 0.2), 'PX', ARGV[6])
  end
end
if ARGV[5] ~= '1' then return {mine} end
return {mine, unpack(grant(ARGV[1], tonumber(ARGV[2])))}
"""
)

# KEYS: as above. ARGV: limit, ms of a grant, ms until it is looked at again, the line's name among all.
# Returns {woken...}.
_TEND: Final = Script(
    _COMMON
    + """
local woken = grant(ARGV[1], tonumber(ARGV[2]))
local name = current(ARGV[1]) .. '|' .. slots
if name ~= ARGV[4] then redis.call('ZREM', lines, ARGV[4]) end  -- the limit was changed
if redis.call('EXISTS', line) == 1 then
  redis.call('ZADD', lines, now + ARGV[3], name)
else
  redis.call('ZREM', lines, name)
  redis.call('DEL', told)
end
return woken
"""
)

# KEYS: lines. ARGV: how many at most, ms for which nobody else looks at them, whether those count that are not due yet.
# Returns those to look at.
_DUE: Final = Script("""
redis.call('DEL', KEYS[1] .. ':none')
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3] == '1' and '+inf' or now, 'LIMIT', 0, ARGV[1])
for _, each in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], each) end
return due
""")


class Waiter(NamedTuple):
    """One visit of a task that waits."""

    name: str
    """``<task id>:<nonce>``: of this visit and no other."""
    arrival: int
    """When it came first, ms of the server's clock; its place in line."""

    @classmethod
    def read(cls, header: Any) -> Waiter | None:
        """From a message's header."""
        arrival, _, name = str(header or "").partition("|")
        return cls(name, int(arrival)) if name and arrival.isdecimal() else None

    def __str__(self) -> str:
        return f"{self.arrival}|{self.name}"


class Answer(NamedTuple):
    """What became of asking for a slot."""

    held: bool
    before: int
    """How many wait before it."""
    again: float
    """Seconds until it should ask again, if nobody wakes it."""
    waiter: Waiter
    woken: list[str]
    """Waiters who have a slot now and are to be told."""


class Slots:
    """The slots of all keys of one task.

    Args:
        server: where they are kept.
        limit: how many there are for a key.
        wakes: whether a waiter can be woken; if not, it is told to come back when its turn may have come.
        patience: seconds until a waiter who was not woken comes by itself.

    Raises, from every method:
        redis.exceptions.RedisError: the server cannot be reached, or refused.
    """

    def __init__(self, server: RedisServer, limit: int, *, wakes: bool, patience: float = 60.0) -> None:
        self._server = server
        self._limit = limit
        self._wakes = int(wakes)
        self._patience = patience

    def acquire(
        self, name: str, task_id: str, token: str, owner: tuple[str, float], waits: tuple[Waiter | None, str]
    ) -> Answer:
        """Take a slot, or a place in line.

        Args:
            name: of the key.
            task_id: who asks; who has a slot already has it on.
            token: by which the slot is let go.
            owner: the process, and the seconds of its lease.
            waits: as whom it waited before, and its name should it wait again.
        """
        former, waiter = waits
        held, before, again, arrival, _, *woken = self._server.run(
            _ACQUIRE,
            self._keys(name),
            [
                self._limit,
                _ms(GRANT),
                task_id,
                token,
                owner[0],
                _ms(owner[1]),
                "" if former is None else former.name,
                0 if former is None else former.arrival,
                waiter,
                _ms(self._patience),
                _ms(self._patience / 100),
                self._wakes,
                _ms(KEPT),
                _ms(TEND_EVERY),
            ],
        )
        return Answer(bool(held), before, again / 1000, Waiter(waiter, arrival), [each.decode() for each in woken])

    def release(self, name: str, task_id: str, token: str) -> list[str]:
        """Let a slot go, if it is still held by that token; gives the waiters who are to be woken."""
        arguments: list[str | float] = [self._limit, _ms(GRANT), task_id, token, self._wakes, _ms(KEPT)]
        _, *woken = self._server.run(_RELEASE, self._keys(name), arguments)
        return [each.decode() for each in woken]

    def _keys(self, name: str) -> Sequence[str]:
        return _keys(self._server, self._server.key(f"slots:{name}"))


def tend(server: RedisServer, *, now: bool = False) -> list[str]:
    """Look after lines: slots of those who died go on to those who wait. Gives whom to wake.

    Args:
        server: where they are kept.
        now: also those that somebody looked at just before, as a process is known to have died.
    """
    lines = server.key("slots")
    woken: list[str] = []
    for due in server.run(_DUE, [lines], [AT_ONCE, _ms(TEND_EVERY), int(now)]):
        each: str = due.decode()
        limit, _, key = each.partition("|")
        arguments: list[str | float] = [limit, _ms(GRANT), _ms(TEND_EVERY), each]
        woken.extend(name.decode() for name in server.run(_TEND, _keys(server, key), arguments))
    return woken


def _keys(server: RedisServer, slots: str) -> Sequence[str]:
    return [slots, server.key("owners"), server.key("revoked"), server.key("slots")]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
