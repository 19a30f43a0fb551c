from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from celeriac.transport.link import Link, connector
from celeriac.transport.results.entry import Entry
from celeriac.transport.results.outcomes import OutcomeCounter, OutcomeCounts
from celeriac.transport.results.writer import ResultWriter
from celeriac.transport.server import RedisServer

NOON = 1_700_000_000.0 // 3600 * 3600


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(redis_url: str) -> Iterator[RedisServer]:
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    server = RedisServer(connector(redis_url), "here:")
    yield server
    server.close()


def ended(outcome: str, count: int) -> list[Entry]:
    return [Entry(b"celery-task-meta-%d" % each, b"{}", 60, success=True, outcome=outcome) for each in range(count)]


@pytest.fixture
def end(redis_url: str, clock: Clock):
    """Has some tasks end, over a writer of its own: another process."""
    links = []

    def store(outcome: str, count: int) -> None:
        links.append(Link(connector(redis_url), timeout=2))
        writer = ResultWriter(links[-1], timeout=2, counter=OutcomeCounter("here:", clock))
        for entry in ended(outcome, count):
            writer.put(entry, final=True)
        writer.flush()

    yield store
    for link in links:
        link.close()


@pytest.mark.proves("S000-34")
def test_what_ended_is_counted_for_sixty_minutes_by_all_processes_together(server, clock, end):
    counts = OutcomeCounts(server, clock)
    assert counts.last_hour() == (0, 0)

    end("s:default", 3)
    end("f:default", 1)
    clock.now += 30 * 60
    end("s:urgent", 2)
    end("r:urgent", 5)
    assert counts.last_hour() == (5, 1)

    clock.now = NOON + 59 * 60
    assert counts.last_hour() == (5, 1)
    clock.now = NOON + 60 * 60
    assert counts.last_hour() == (2, 0)
    clock.now = NOON + 89 * 60
    assert counts.last_hour() == (2, 0)
    clock.now = NOON + 90 * 60
    assert counts.last_hour() == (0, 0)


def test_queues_are_told_apart_and_the_hash_of_an_hour_expires(server, clock, end):
    end("s:a:b", 2)
    end("s:", 1)
    found = {(each.queue, each.outcome): each.tasks for each in OutcomeCounts(server, clock).ended()}
    assert found == {("a:b", "s"): 2, ("", "s"): 1}
    assert 0 < server.call("TTL", server.key(f"outcomes:{int(NOON) // 3600}")) <= 3 * 3600


def test_a_result_is_counted_once_however_often_it_is_sent():
    counter = OutcomeCounter("", Clock())
    entries = ended("s:default", 2)
    assert counter.commands(entries)[1] == 2
    assert counter.commands(entries) == (b"", 0)
