"""Rates on a real Redis: shared by all processes, by the server's clock, and no obstacle while it is away."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.security.conftest import opened

from celeriac.exceptions import TooManyRequests
from celeriac.security.callers import Caller
from celeriac.security.rates import Rates

pytestmark = pytest.mark.xdist_group("security")
ANN = Caller("ann", frozenset())


@pytest.mark.proves("S004-23")
def test_a_caller_has_its_rate_at_once_and_is_told_when_to_come_back(on_server):
    async def story(server):
        rates = Rates(server, "5/h")
        left = [await rates.admit(ANN) for _ in range(5)]
        with pytest.raises(TooManyRequests) as refused:
            await rates.admit(ANN)
        others = await rates.admit(Caller("bob", frozenset()))
        return left, refused.value, others

    left, refused, others = on_server(story)
    assert [each.remaining for each in left] == [4, 3, 2, 1, 0]
    assert refused.rate == "5/h"
    assert 600 < refused.retry_after <= 720  # one of five an hour
    assert (others.limit, others.remaining) == (5, 4)


def test_what_was_used_up_of_a_slow_rate_is_not_held_against_a_faster_one(on_server):
    async def story(server):
        for _ in range(3):
            await Rates(server, "3/h").admit(ANN)
        return await Rates(server, "60/m").admit(ANN)

    assert on_server(story).remaining == 59


def test_all_processes_count_together(url):
    async def story():
        async with opened(url) as one, opened(url) as other:
            both = Rates(one, "4/h"), Rates(other, "4/h")
            outcomes = await asyncio.gather(*(both[turn % 2].admit(ANN) for turn in range(10)), return_exceptions=True)
        return [outcome for outcome in outcomes if not isinstance(outcome, TooManyRequests)]

    assert len(asyncio.run(story())) == 4


def test_a_request_comes_back_after_its_share_of_the_period(on_server):
    async def story(server):
        rates = Rates(server, "2/s")
        answers = await asyncio.gather(*(rates.admit(ANN) for _ in range(20)), return_exceptions=True)
        refused = next(answer for answer in answers if isinstance(answer, TooManyRequests))
        await asyncio.sleep(refused.retry_after)
        return await rates.admit(ANN)

    assert on_server(story) is not None


def test_a_rate_of_its_own_beats_the_usual_one_and_none_is_none(on_server):
    async def story(server):
        own = await Rates(server, "5/h").admit(Caller("bob", frozenset(), rate="50/h"))
        return own, await Rates(server, None).admit(ANN)

    own, unlimited = on_server(story)
    assert own.limit == 50
    assert unlimited is None


def test_while_redis_is_away_everybody_is_let_in_and_once_is_warned(server, caplog):
    async def story():
        async with opened(server.url) as asked:
            rates = Rates(asked, "1/h")
            await rates.admit(ANN)
            server.stop()
            return [await rates.admit(ANN) for _ in range(5)]

    assert asyncio.run(story()) == [None] * 5
    assert sum("let in without being counted" in record.getMessage() for record in caplog.records) == 1
