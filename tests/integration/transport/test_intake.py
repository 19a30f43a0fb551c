"""What wakes a worker that found nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

import pytest
from redis import Redis

from celeriac.transport.link import connector
from celeriac.transport.redis.intake import Intake

LISTS = ["mail\x06\x160", "mail"]
SOON = 5.0
"""Seconds; longer than a worker waits for a word before it looks."""


@pytest.fixture
def pair(server: str, redis: Redis) -> Generator[tuple[Intake, Intake]]:
    connect = connector(server, protocol=3)
    one, other = (Intake(connect, lease=30, timeout=5) for _ in range(2))
    with closing(one.link), closing(other.link):
        for each in (one, other):
            assert each.claim(LISTS, 1) == []
        yield one, other
        for each in (one, other):
            each.keeper.stop()


def woken(intake: Intake, wake, *arguments: object) -> bool:
    """Whether it was told, and did not find out by itself after a second."""
    intake._looked += SOON
    wake(*arguments)
    return intake.wait(SOON)


def test_workers_that_look_in_vain_do_not_wake_each_other(pair):
    one, other = pair
    assert other.claim(LISTS, 1) == []
    assert other.claim(LISTS, 1) == []
    assert not one.wait(0.3), "a lease that was renewed is nothing to be claimed"


@pytest.mark.parametrize("list_key", LISTS)
def test_a_push_wakes_all_that_wait(pair, redis, list_key):
    one, other = pair
    assert woken(one, redis.lpush, list_key, "a message")
    assert woken(other, lambda: None)


def test_a_message_that_another_worker_parked_wakes(pair, redis):
    one, other = pair
    redis.lpush("mail", "a message")
    assert woken(other, lambda: None)
    (delivery,) = other.claim(LISTS, 1)
    one.look()
    assert one.claim(LISTS, 1) == []
    assert woken(one, other.park, {delivery.token: other.now + 60}, {})
    assert one.claim(LISTS, 1) == []
    assert one._due is not None


def test_a_database_that_was_emptied_wakes(pair, redis):
    one, _ = pair
    assert woken(one, redis.flushdb)
