"""A numbered database of one's own on a Redis server that others use too."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import ResponseError, WatchError

from celeriac.exceptions import ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["own_database"]

CLAIMS = "celeriac:testing:databases"
_DEFAULT_COUNT = 16


@contextmanager
def own_database(url: str) -> Generator[str]:
    """The URL of a database that nobody else has, empty, and emptied again at the end.

    Who has which is written in a hash in the database that ``url`` names: number -> id of the claiming connection. A
    claim lasts as long as its connection, so a run that was killed holds nothing. A database with keys in it that no
    run ever claimed belongs to somebody: it is neither taken nor flushed.

    Raises:
        ServerNotFound: every database of the server is taken.
    """
    with Redis.from_url(url, single_connection_client=True) as claimant:
        me = str(claimant.client_id())
        number = _claim(claimant, url, me)
        own = urlsplit(url)._replace(path=f"/{number}").geturl()
        try:
            _flush(own)
            yield own
        finally:
            _flush(own)
            claimant.hdel(CLAIMS, str(number))


def _claim(client: Redis, url: str, me: str) -> int:
    home = urlsplit(url).path.strip("/") or "0"
    for number in range(_database_count(client)):
        if str(number) != home and _claim_one(client, url, number, me):
            return number
    raise ServerNotFound(
        server="Redis",
        tried="every other database of the given one is in use or holds keys of somebody else",
        remedy="Give the tests a server of their own in TEST_REDIS_URL, or unset it",
    )


def _claim_one(client: Redis, url: str, number: int, me: str) -> bool:
    with client.pipeline() as pipe:
        try:
            # Two runs that look at the same moment: one of them is told to look again.
            pipe.watch(CLAIMS)  # type: ignore[no-untyped-call] # redis-py left it without types
            holder = cast("bytes | None", pipe.hget(CLAIMS, str(number)))
            connected = {str(one["id"]) for one in client.client_list()}
            free = holder.decode() not in connected if holder is not None else _is_empty(url, number)
            if not free:
                return False
            pipe.multi()
            pipe.hset(CLAIMS, str(number), me)
            pipe.execute()
        except WatchError:
            return _claim_one(client, url, number, me)
    return True


def _is_empty(url: str, number: int) -> bool:
    with Redis.from_url(urlsplit(url)._replace(path=f"/{number}").geturl()) as client:
        return not client.dbsize()


def _flush(url: str) -> None:
    with Redis.from_url(url) as client:
        client.flushdb()


def _database_count(client: Redis) -> int:
    try:
        return int(client.config_get("databases")["databases"] or _DEFAULT_COUNT)
    except (ResponseError, KeyError):  # managed servers forbid CONFIG
        return _DEFAULT_COUNT
