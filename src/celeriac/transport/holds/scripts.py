"""The steps of a hold on the server, each atomic.

One hash for each key of each task. ``r`` is the id of the task that has begun, and keeps it over its retries; ``q``
that of the one that waits. Where the message travels by another server, ``q`` is provisional until ``p`` (ms), and
``o`` names those whose place it takes once its message is sent. ``f`` is when a debounce window opened. Who lost its
place is remembered under a key of its own, with the id of the task that has it now. Times are of the server's clock.
"""

from __future__ import annotations

from typing import Final

from celeriac.transport.link import Script

__all__ = ["CONFIRM", "ENTER", "HOLD", "LEAVE", "LEAVE_TEXT"]

_COMMON: Final = """
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function words(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do found[#found + 1] = word end
  return found
end

-- Whoever waited before waits again.
local function step_back(hold)
  local older = words(hold.o)
  hold.q, hold.p = table.remove(older), nil
  hold.o = #older > 0 and table.concat(older, ' ') or nil
end

local function read(key)
  local found = redis.call('HMGET', key, 'r', 'q', 'p', 'o', 'f')
  local hold = {r = found[1] or nil, q = found[2] or nil, p = found[3] or nil, o = found[4] or nil, f = found[5] or nil}
  if hold.p and tonumber(hold.p) <= clock() then step_back(hold) end  -- its publisher died before it had sent
  return hold
end

local function write(key, hold, lifetime)
  local left = math.max(redis.call('PTTL', key), lifetime)
  redis.call('DEL', key)
  if not hold.q then hold.p, hold.o, hold.f = nil, nil, nil end
  if not (hold.r or hold.q) then return end
  for field, value in pairs(hold) do redis.call('HSET', key, field, value) end
  redis.call('PEXPIRE', key, math.max(left, 1))
end

-- Remembered for as long as the message of such a one may come: its own lifetime counted from when it may run.
local function supersede(key, prefix, ids, by, lifetime)
  local left = math.max(redis.call('PTTL', key), lifetime)
  for _, id in ipairs(words(ids)) do
    if id ~= by then redis.call('SET', prefix .. id, by, 'PX', left) end
  end
end

local function without(ids, id)
  local kept = {}
  for _, word in ipairs(words(ids)) do if word ~= id then kept[#kept + 1] = word end end
  return #kept > 0 and table.concat(kept, ' ') or nil
end
"""

# KEYS: the hold, what was revoked, the list, the history's stream.
# ARGV: id, mode, lifetime, provisional for ms or 0, start of the keys of those who lost their place, message or
# nothing, event or nothing, entries of the stream, ms until it may run, ms after which a window closes or 0, 1 to take
# any delay.
# Returns {1, whose place it took}, {0, who has the place} or {2, ms until it has to run}.
HOLD: Final = Script(
    _COMMON
    + """
local id, mode, lifetime, provisional, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local message, delay, at_most = ARGV[6], tonumber(ARGV[9]), tonumber(ARGV[10])
local hold, now = read(KEYS[1]), clock()
if hold.r == id or (hold.q == id and not hold.p) or redis.call('EXISTS', prefix .. id) == 1 then
  return {1, ''}  -- said before, and the answer was lost
end
if hold.q and hold.q ~= id and redis.call('ZSCORE', KEYS[2], hold.q) then step_back(hold) end
if mode == 'drop' and (hold.r or (hold.q and hold.q ~= id)) then return {0, hold.r or hold.q} end
if mode == 'debounce' and at_most > 0 and hold.q and hold.q ~= id and hold.f and hold.f + at_most <= now then
  hold.q, hold.p, hold.o, hold.f = nil, nil, nil, nil  -- its window has closed: it runs, however many follow
end
local opened = hold.q and tonumber(hold.f) or now
if mode == 'debounce' and at_most > 0 and ARGV[11] ~= '1' then
  local allowed = math.max(opened + at_most - now, 0)
  if allowed < delay then return {2, allowed} end
end
if message ~= '' then
  local sent = redis.pcall('LPUSH', KEYS[3], message)
  if type(sent) == 'table' and sent['err'] then return sent end
  if ARGV[7] ~= '' then redis.pcall('XADD', KEYS[4], 'MAXLEN', '~', ARGV[8], '*', 'e', ARGV[7]) end
end
local older = hold.q ~= id and hold.q or nil
hold.o = without((hold.o or '') .. ' ' .. (older or ''), id)
hold.q, hold.p, hold.f = id, nil, mode == 'debounce' and string.format('%.0f', opened) or nil
if provisional > 0 then
  hold.p = string.format('%.0f', now + provisional)
else
  supersede(KEYS[1], prefix, hold.o, id, lifetime + delay)
  hold.o = nil
end
write(KEYS[1], hold, provisional > 0 and not hold.o and not hold.r and provisional or lifetime + delay)
return {1, older or ''}
"""
)

# KEYS: the hold. ARGV: id, lifetime, start of the keys of those who lost their place. Its message is sent.
CONFIRM: Final = Script(
    _COMMON
    + """
local hold = read(KEYS[1])
if hold.q ~= ARGV[1] then return 0 end
local lifetime = tonumber(ARGV[2])
supersede(KEYS[1], ARGV[3], hold.o, ARGV[1], lifetime)
hold.p, hold.o = nil, nil
write(KEYS[1], hold, lifetime)
return 1
"""
)

# KEYS: the hold. ARGV: id, mode, lifetime, start of the keys of those who lost their place, 1 if it may not be dropped,
# ms for which it is remembered that one who lost its place was told so: its message may come again.
# Returns {'run'}, {'gone', who took its place}, {'wait', who has begun} or {'dropped', who has the place}.
ENTER: Final = Script(
    _COMMON
    + """
redis.call('DEL', KEYS[1] .. ':none')  -- what comes after a first write that takes no memory is let pass without any
local id, mode, lifetime, prefix = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local hold = read(KEYS[1])
if hold.r == id then
  write(KEYS[1], hold, lifetime)
  return {'run'}
end
local by = redis.call('GET', prefix .. id)
if by then
  redis.call('PEXPIRE', prefix .. id, math.min(redis.call('PTTL', prefix .. id), tonumber(ARGV[6])))
  return {'gone', by}
end
if mode == 'drop' and ARGV[5] ~= '1' and (hold.r or (hold.q and hold.q ~= id)) then
  return {'dropped', hold.r or hold.q}
end
if hold.r then return {'wait', hold.r} end
if mode ~= 'debounce' then hold.r = id end
if hold.q == id then
  supersede(KEYS[1], prefix, hold.o, id, lifetime)
  hold.q = nil
else
  hold.o = without(hold.o, id)
end
write(KEYS[1], hold, lifetime)
return {'run'}
"""
)

LEAVE_TEXT: Final = (
    _COMMON
    + """
local id, hold = ARGV[1], read(KEYS[1])
if hold.r ~= id and hold.q ~= id and not (hold.o and string.find(hold.o, id, 1, true)) then return 0 end
if hold.r == id then hold.r = nil end
hold.o = without(hold.o, id)
if hold.q == id then step_back(hold) end
write(KEYS[1], hold, 0)
return 1
"""
)
# KEYS: the hold. ARGV: id. Returns whether it had anything to leave.
LEAVE: Final = Script(LEAVE_TEXT)
