"""Dead letters on Redis: a sorted set of ids by the time of death, and a hash for each."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from celeriac.exceptions import MalformedMessage
from celeriac.history.letters import DeadLetter, DeadLetterPage, DeadReason
from celeriac.transport.envelope import read
from celeriac.transport.link import Link, Script, connector
from celeriac.transport.redis.keys import Keys, queue_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

__all__ = ["RedisStore"]

_TIMEOUT: Final = 5.0
_BATCH: Final = 100

_REPLAY: Final = Script("""
local raw = redis.call('HGET', KEYS[2], 'raw')
if raw then
  redis.call('LPUSH', redis.call('HGET', KEYS[2], 'key'), raw)
  redis.call('HDEL', KEYS[3], redis.sha1hex(raw))
  redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[1], ARGV[1])
return raw and 1 or 0
""")
_DROP: Final = Script("""
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('DEL', KEYS[2])
""")


@dataclass(frozen=True, slots=True)
class _Found:
    letter: DeadLetter
    cursor: str
    store: RedisStore

    def replay(self) -> bool:
        return self.store.run(_REPLAY, self.letter.id)

    def drop(self) -> bool:
        return self.store.run(_DROP, self.letter.id)


class RedisStore:
    """See :class:`~celeriac.history.store.DeadLetterStore`.

    Raises, from every method:
        redis.exceptions.ConnectionError: the server is out of reach.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._prefix = str(options.get("global_keyprefix") or "")
        self._keys = Keys(self._prefix)
        self._link = Link(connector(url, options=options, protocol=2), timeout=_TIMEOUT)

    def count(self) -> int:
        """How many there are."""
        try:
            return int(self._link.call("ZCARD", self._keys.dead))
        finally:
            self._link.close()

    def page(self, limit: int, fits: Callable[[DeadLetter], bool], after: str | None) -> DeadLetterPage:
        """See :meth:`celeriac.history.store.DeadLetterStore.page`."""
        letters: list[DeadLetter] = []
        cursor: str | None = None
        try:
            for each in self._all(after):
                if not fits(each.letter):
                    continue
                if len(letters) == limit:
                    return DeadLetterPage(tuple(letters), cursor)
                letters.append(each.letter)
                cursor = each.cursor
        finally:
            self._link.close()
        return DeadLetterPage(tuple(letters), None)

    @contextmanager
    def walk(self, *, only: str | None = None) -> Generator[Iterator[_Found]]:
        """See :meth:`celeriac.history.store.DeadLetterStore.walk`."""
        try:
            yield self._all(None) if only is None else self._one(only)
        finally:
            self._link.close()

    def run(self, script: Script, letter_id: str) -> bool:
        """Run one of the scripts that move a dead letter; whether it was still there."""
        keys = [self._keys.dead, self._keys.dead_letter + letter_id, self._keys.deliveries]
        return bool(script.call(self._link, keys, [letter_id]))

    def _one(self, letter_id: str) -> Iterator[_Found]:
        score = self._link.call("ZSCORE", self._keys.dead, letter_id)
        if score is not None:
            yield from self._read([(letter_id, int(float(score)))])

    def _all(self, after: str | None) -> Iterator[_Found]:
        """Page by page. Ids of one millisecond are ordered by name, so that no page repeats or leaves out any."""
        died, _, last = (after or "").partition(":")
        score, skip = (int(died), last) if after else (0, "")
        while True:
            rows: list[bytes] = self._link.call(
                "ZRANGEBYSCORE", self._keys.dead, score, "+inf", "WITHSCORES", "LIMIT", 0, _BATCH + self._ties(score)
            )
            pairs = [(rows[at].decode(), int(float(rows[at + 1]))) for at in range(0, len(rows), 2)]
            fresh = [(name, when) for name, when in pairs if when > score or name > skip]
            if not fresh:
                return
            yield from self._read(fresh)
            skip, score = fresh[-1]

    def _ties(self, score: int) -> int:
        return int(self._link.call("ZCOUNT", self._keys.dead, score, score)) if score else 0

    def _read(self, ids: list[tuple[str, int]]) -> Iterator[_Found]:
        commands = [("HGETALL", self._keys.dead_letter + letter_id) for letter_id, _ in ids]
        answers: list[Any] = self._link.pipeline(commands)
        for (letter_id, died), flat in zip(ids, answers, strict=True):
            if isinstance(flat, Exception):
                raise flat
            table = cast("list[bytes]", flat)
            fields = {table[at].decode(): table[at + 1] for at in range(0, len(table), 2)}
            if "raw" in fields:  # else it was moved meanwhile
                yield _Found(self._letter(letter_id, died, fields), f"{died}:{letter_id}", self)

    def _letter(self, letter_id: str, died: int, fields: dict[str, bytes]) -> DeadLetter:
        said = {name: value.decode(errors="replace") for name, value in fields.items() if name != "raw"}
        headers = _headers(fields["raw"])
        return DeadLetter(
            id=letter_id,
            task=said.get("task") or None,
            task_id=said.get("task_id") or None,
            queue=said.get("queue") or queue_of(said.get("key", ""), self._prefix),
            reason=DeadReason.of(said.get("reason", "")),
            detail=said.get("detail", ""),
            deliveries=int(said["deliveries"]) if said.get("deliveries", "").isdecimal() else None,
            worker=said.get("worker") or None,
            died=datetime.fromtimestamp(died / 1000, UTC),
            message=fields["raw"],
            headers=headers,
            args=str(headers.get("argsrepr") or ""),
            kwargs=str(headers.get("kwargsrepr") or ""),
        )


def _headers(raw: bytes) -> dict[str, Any]:
    """The headers of a message, as far as they can be read."""
    try:
        return read(raw).headers
    except MalformedMessage:
        pass
    try:
        found: Any = json.loads(raw)["headers"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
