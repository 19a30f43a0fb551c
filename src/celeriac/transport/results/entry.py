"""One result as the commands that store it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LOAD_SCRIPT", "Entry", "is_forgotten_script", "is_hopeless", "is_passing", "is_refused_for_memory"]

_STORE: Final = b"""
-- A server without memory stops a script at its first write that takes any, and at no later one. What ends a task frees
-- its message, so it has to pass.
redis.call('DEL', KEYS[1] .. ':none')
local guard = ARGV[1]
if #guard > 0 and redis.pcall('GETRANGE', KEYS[1], 0, #guard - 1) == guard then return 0 end
local stored
if tonumber(ARGV[3]) > 0 then
  stored = redis.pcall('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
else
  stored = redis.pcall('SET', KEYS[1], ARGV[2])
end
if stored['err'] then return stored end
redis.pcall('PUBLISH', KEYS[1], ARGV[2])
return 1
"""
_SHA: Final = hashlib.sha1(_STORE, usedforsecurity=False).hexdigest().encode()
LOAD_SCRIPT: Final = b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%b\r\n" % (len(_STORE), _STORE)
"""The command that makes the script known to a server."""

_PLAIN: Final = (
    b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nEX\r\n$%d\r\n%b\r\n"
    b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
)
_SCRIPTED: Final = (
    b"*7\r\n$7\r\nEVALSHA\r\n$40\r\n" + _SHA + b"\r\n$1\r\n1\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n"
)
LARGE: Final = 4096
"""Bytes from which a value is sent once, to the script, and no longer once to store and once to tell."""
_PASSING: Final = re.compile(
    r"\b(OOM|READONLY|LOADING|MASTERDOWN|MISCONF|NOREPLICAS|NOPERM|NOAUTH|CLUSTERDOWN|TRYAGAIN|BUSY|UNKILLABLE)\b"
)


@dataclass(slots=True)
class Entry:
    """One result on its way.

    Attributes:
        key: where it is stored, and the channel on which it is told.
        payload: the encoded result.
        expires: seconds that it is kept; 0 for ever.
        success: whether it is a success, which nothing that comes later may overwrite.
        guard: how the payload of a success begins, where that can be told by its first bytes.
        succeeded: otherwise, what tells whether a stored payload is a success.
        position: its place in the sequence of all results of this process.
        late: makes the payload when it is sent; what is superseded before is never encoded.
        refused: whether a plain write was refused for want of memory.
        outcome: what is counted of it; empty where nothing is, or it has been.
        counted: bytes that it counts as in the queue where it waits.
    """

    key: bytes
    payload: bytes
    expires: int
    success: bool
    guard: bytes = b""
    succeeded: Callable[[bytes], bool] | None = None
    position: int = 0
    late: Callable[[], bytes] | None = None
    refused: bool = False
    outcome: str = ""
    counted: int = 0

    @property
    def weight(self) -> int:
        """Bytes that it counts as while it waits."""
        return len(self.payload)

    def absorb(self, later: Entry) -> bool:
        """Take over what came later under the same key, where both have to be stored; whether that was done."""
        del later
        return False

    def refused_for_good(self, reply: Exception) -> bool:
        """Whether nothing is to be done about a refusal."""
        return is_hopeless(reply)

    @property
    def scripted(self) -> bool:
        """Whether the script stores it: what must not overwrite a success, what is large, what finds no memory."""
        return not self.expires or len(self.payload) >= LARGE or not self.success or self.refused

    @property
    def replies(self) -> int:
        """How many replies its commands have; the first says whether it was stored."""
        return 1 if self.scripted else 2

    def render(self) -> bytes:
        """Its commands as they travel."""
        if self.late is not None:
            self.payload, self.late = self.late(), None
        key, payload = self.key, self.payload
        size, length, expires = len(key), len(payload), b"%d" % self.expires
        if self.scripted:
            guard = b"" if self.success else self.guard
            return _SCRIPTED % (size, key, len(guard), guard, length, payload, len(expires), expires)
        return _PLAIN % (size, key, length, payload, len(expires), expires, size, key, length, payload)


def is_refused_for_memory(reply: Any) -> bool:
    """Whether the server has no memory left for a plain write; the script gets through."""
    return isinstance(reply, OutOfMemoryError)


def is_forgotten_script(reply: Any) -> bool:
    """Whether the server does not know the script (any more)."""
    return isinstance(reply, NoScriptError)


def is_passing(error: Exception) -> bool:
    """Whether the server is away, or cannot write at present."""
    if isinstance(error, RedisConnectionError | RedisTimeoutError):
        return True
    refused = isinstance(error, ReadOnlyError | OutOfMemoryError)
    return refused or (isinstance(error, ResponseError) and _PASSING.search(str(error)) is not None)


def is_hopeless(reply: Any) -> bool:
    """Whether the server refused this one value, so that to send it again would change nothing."""
    if not isinstance(reply, ResponseError) or is_passing(reply) or is_forgotten_script(reply):
        return False
    # redis-py takes away "ERR", and leaves a code that it does not know at its place.
    return type(reply) is ResponseError and not str(reply).partition(" ")[0].isupper()
