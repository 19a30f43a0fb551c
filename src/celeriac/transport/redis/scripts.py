"""The transport's steps on the server, each atomic.

A message in flight or parked is kept as ``<length of list key>:<list key><raw message>``: one value, from which it goes
back byte for byte to the list that it came from. Times are milliseconds of the server's clock, so workers whose clocks
differ agree. The scripts take memory even where Redis has none left, or a full server could never be drained.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABANDON",
    "BURY",
    "CLAIM",
    "FENCE",
    "GIVE_BACK",
    "PARK",
    "RENEW",
    "SETTLE",
    "SWEEP",
    "UNPARK",
    "WAKE",
    "without_flags",
]

_FLAGS = "#!lua flags=allow-oom\n"

_COMMON: Final = """
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Redis takes some thousands of arguments at once, no more.
local function in_parts(list, first, last, step, use)
  for from = first, last, step do
    use(unpack(list, from, math.min(from + step - 1, last)))
  end
end

local function parts_of(value)
  local colon = string.find(value, ':', 1, true)
  local length = tonumber(string.sub(value, 1, colon - 1))
  return string.sub(value, colon + 1, colon + length), string.sub(value, colon + length + 1)
end

local function value_of(list, raw)
  return #list .. ':' .. list .. raw
end

local function count(deliveries, raw)
  redis.call('HINCRBY', deliveries, redis.sha1hex(raw), 1)
  redis.call('EXPIRE', deliveries, 604800)
end

local function forget(deliveries, raw)
  redis.call('HDEL', deliveries, redis.sha1hex(raw))
end

-- To the consuming end of its list: the next to be taken.
local function put_back(value, deliveries)
  local list, raw = parts_of(value)
  if deliveries then count(deliveries, raw) end
  redis.call('RPUSH', list, raw)
end

-- Entries are {token, value}; the oldest is put back last, so that it is taken first.
local function newest_first(entries)
  table.sort(entries, function(a, b) return tonumber(a[1]) > tonumber(b[1]) end)
end

local function settle(in_flight, deliveries, list, first, last)
  if last < first then return 0 end
  if redis.call('EXISTS', deliveries) == 1 then
    for i = first, last do
      local value = redis.call('HGET', in_flight, list[i])
      if value then
        local _, raw = parts_of(value)
        forget(deliveries, raw)
      end
    end
  end
  local settled = 0
  in_parts(list, first, last, 1000, function(...) settled = settled + redis.call('HDEL', in_flight, ...) end)
  return settled
end
"""

# KEYS: the fence of an owner. ARGV: the first token that counts, for how many seconds
FENCE: Final = _FLAGS + "redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])"

# KEYS: leases, in flight, deliveries, delayed, parked, dead, lists...
# ARGV: owner, lease, how many, first token, longest message, start of a dead letter's key, tokens to settle...
# Returns {now, settled, when the next parked message is due or -1, next token, list, token, deliveries, raw, ...}
CLAIM: Final = (
    _FLAGS
    + _COMMON
    + """
local owner, lease, wanted, token = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local longest, dead_letter = tonumber(ARGV[5]), ARGV[6]
local in_flight, deliveries, delayed, parked, dead = KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local now = clock()
local settled = settle(in_flight, deliveries, ARGV, 7, #ARGV)
local fence = redis.call('GET', KEYS[1] .. ':fence:' .. owner)
if fence and token < tonumber(fence) then
  -- This claim was under way when its worker gave it up and connected again. Nobody waits for what it would take.
  return {now, settled, -1, token}
end
redis.call('ZADD', KEYS[1], now + lease, owner)

local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 500)
if #due > 0 then
  for i = #due, 1, -1 do
    local value = redis.call('HGET', parked, due[i])
    if value then put_back(value) end
  end
  redis.call('HDEL', parked, unpack(due))
  redis.call('ZREM', delayed, unpack(due))
end

local reply = {now, settled, -1, 0}
local taken, suspicious = 0, redis.call('EXISTS', deliveries) == 1
local function take_from(key)
  while taken < wanted do
    local list = KEYS[key]
    local items = redis.pcall('RPOP', list, suspicious and 1 or wanted - taken)
    if not items or items.err or #items == 0 then break end
    local entries = {}
    for _, raw in ipairs(items) do
      local before = 0
      if suspicious then before = tonumber(redis.call('HGET', deliveries, redis.sha1hex(raw)) or 0) end
      if before > 0 and taken > 0 then
        -- What may have killed a worker travels alone, so that it is the only suspect if one dies again.
        redis.call('RPUSH', list, raw)
        wanted = taken
        break
      end
      if #raw > longest then
        local id = owner .. ':' .. token
        redis.call('HSET', dead_letter .. id, 'raw', raw, 'key', list, 'reason', 'malformed', 'worker', owner,
          'detail', 'the message has ' .. #raw .. ' bytes, and ' .. longest .. ' are allowed',
          'deliveries', before + 1, 'died', now)
        redis.call('ZADD', dead, now, id)
      else
        entries[#entries + 1] = token
        entries[#entries + 1] = value_of(list, raw)
        local at = #reply
        reply[at + 1], reply[at + 2], reply[at + 3], reply[at + 4] = key - 7, token, before, raw
        taken = taken + 1
        if before > 0 then wanted = taken end
      end
      token = token + 1
    end
    in_parts(entries, 1, #entries, 1000, function(...) redis.call('HSET', in_flight, ...) end)
  end
end

-- There are ten lists a queue and most are empty: halves that hold nothing are left out.
local function look(first, last)
  if last < first or taken >= wanted or redis.call('EXISTS', unpack(KEYS, first, last)) == 0 then return end
  if first == last then return take_from(first) end
  local middle = math.floor((first + last) / 2)
  look(first, middle)
  look(middle + 1, last)
end
look(7, #KEYS)
if taken < wanted then
  local next_due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
  if next_due[2] then reply[3] = tonumber(next_due[2]) end
end
reply[4] = token
return reply
"""
)

# KEYS: in flight, deliveries. ARGV: tokens. Returns how many were still held.
SETTLE: Final = _FLAGS + _COMMON + "return settle(KEYS[1], KEYS[2], ARGV, 1, #ARGV)"

# KEYS: in flight, deliveries. ARGV: 1 to count the delivery, tokens... Returns how many went back.
GIVE_BACK: Final = (
    _FLAGS
    + _COMMON
    + """
local entries = {}
for i = 2, #ARGV do
  local value = redis.call('HGET', KEYS[1], ARGV[i])
  if value then entries[#entries + 1] = {ARGV[i], value} end
end
newest_first(entries)
for _, entry in ipairs(entries) do
  put_back(entry[2], ARGV[1] == '1' and KEYS[2] or nil)
  redis.call('HDEL', KEYS[1], entry[1])
end
return #entries
"""
)

# KEYS: leases, in flight, deliveries. ARGV: owner, how many tokens are settled, these, tokens that count...
# Everything else of the owner goes back uncounted, and the owner is gone. Returns how many went back.
ABANDON: Final = (
    _FLAGS
    + _COMMON
    + """
local in_flight, deliveries = KEYS[2], KEYS[3]
local done = tonumber(ARGV[2])
settle(in_flight, deliveries, ARGV, 3, 2 + done)
local counted = {}
for i = 3 + done, #ARGV do counted[ARGV[i]] = true end
local held, entries = redis.call('HGETALL', in_flight), {}
for i = 1, #held, 2 do entries[#entries + 1] = {held[i], held[i + 1]} end
newest_first(entries)
for _, entry in ipairs(entries) do put_back(entry[2], counted[entry[1]] and deliveries or nil) end
redis.call('DEL', in_flight)
redis.call('ZREM', KEYS[1], ARGV[1])
return #entries
"""
)

# KEYS: leases. ARGV: lease, owners... Returns the owners that hold no lease any more.
RENEW: Final = (
    _FLAGS
    + _COMMON
    + """
local until_, lost = clock() + tonumber(ARGV[1]), {}
for i = 2, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    redis.call('ZADD', KEYS[1], until_, ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
"""
)

# KEYS: leases, deliveries. ARGV: start of the key of what is in flight, how many owners at most.
# Returns {owner, how many went back, ...} of those whose lease has ended.
SWEEP: Final = (
    _FLAGS
    + _COMMON
    + """
local swept = {}
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock(), 'LIMIT', 0, ARGV[2])) do
  local in_flight = ARGV[1] .. owner
  local held, entries = redis.call('HGETALL', in_flight), {}
  for i = 1, #held, 2 do entries[#entries + 1] = {held[i], held[i + 1]} end
  newest_first(entries)
  for _, entry in ipairs(entries) do put_back(entry[2], KEYS[2]) end
  redis.call('DEL', in_flight)
  redis.call('ZREM', KEYS[1], owner)
  swept[#swept + 1] = owner
  swept[#swept + 1] = #entries
end
return swept
"""
)

# KEYS: in flight, delayed, parked, what a note of who was woken begins with.
# ARGV: owner, token, due ms, name or nothing, ...
# Returns the tokens of those that stay in hand: they were woken before they came here.
PARK: Final = (
    _FLAGS
    + _COMMON
    + """
local woken = {}
for i = 2, #ARGV, 3 do
  local value, name = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 2]
  if value and name ~= '' and redis.call('EXISTS', KEYS[4] .. name) == 1 then
    woken[#woken + 1] = ARGV[i]
  elseif value then
    local id = ARGV[1] .. ':' .. ARGV[i]
    if name ~= '' and redis.call('HEXISTS', KEYS[3], name) == 0 then id = name end
    redis.call('HSET', KEYS[3], id, value)
    redis.call('ZADD', KEYS[2], ARGV[i + 1], id)
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return woken
"""
)

# KEYS: delayed, parked. ARGV: how many at most. Messages go back to their lists before their time. Returns how many.
UNPARK: Final = (
    _FLAGS
    + _COMMON
    + """
local ids = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
for i = #ids, 1, -1 do
  local value = redis.call('HGET', KEYS[2], ids[i])
  if value then put_back(value) end
end
if #ids > 0 then
  redis.call('HDEL', KEYS[2], unpack(ids))
  redis.call('ZREM', KEYS[1], unpack(ids))
end
return #ids
"""
)

# KEYS: delayed, parked, what a note of who was woken begins with. ARGV: seconds that a note is kept, names...
# Their messages go back to their lists, and a note is left that they are not to be parked again.
WAKE: Final = (
    _COMMON
    + """
for i = #ARGV, 2, -1 do
  local value = redis.call('HGET', KEYS[2], ARGV[i])
  if value then
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[1], ARGV[i])
    put_back(value)
  end
  redis.call('SET', KEYS[3] .. ARGV[i], '1', 'EX', ARGV[1])
end
"""
)

# KEYS: in flight, deliveries, dead, the dead letter, the history's stream.
# ARGV: token, id, what the history hears or nothing, how many entries it may have, field, value...
# Returns 1, or 0 if it was not held.
BURY: Final = (
    _FLAGS
    + _COMMON
    + """
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then return 0 end
local list, raw = parts_of(value)
local now = clock()
redis.call('HSET', KEYS[4], 'raw', raw, 'key', list, 'died', now, unpack(ARGV, 5))
redis.call('ZADD', KEYS[3], now, ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[1])
forget(KEYS[2], raw)
if ARGV[3] ~= '' then redis.pcall('XADD', KEYS[5], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[3]) end
return 1
"""
)


def without_flags(script: str) -> str:
    """The same script for a server older than Redis 7, which does not know flags.

    Such a server refuses to write where no memory is left, unless the script wrote something before that takes none.
    """
    return "redis.call('DEL', KEYS[1] .. ':none')\n" + script.removeprefix(_FLAGS)
