"""The one connection behind keys, rates and the record: shared, bounded, and no burden to the event loop."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis
from redis.exceptions import RedisError
from tests.integration.security.conftest import opened

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import ConfigurationError
from celeriac.security.callers import Caller
from celeriac.security.rates import Rates
from celeriac.security.server import server_of
from celeriac.transport.link import Script

pytestmark = pytest.mark.xdist_group("security")


def test_each_who_asks_gets_its_own_answer(on_server):
    async def story(server):
        return await asyncio.gather(*(server.ask("ECHO", str(number)) for number in range(1000)))

    assert on_server(story) == [str(number).encode() for number in range(1000)]


def test_many_who_ask_at_once_share_one_connection(on_server, url):
    async def story(server):
        await server.ask("PING")
        with Redis.from_url(url) as redis:
            before = redis.info("clients")["connected_clients"]
            await asyncio.gather(*(server.ask("ECHO", "x") for _ in range(500)))
            return before, redis.info("clients")["connected_clients"]

    before, after = on_server(story)
    assert before == after


def test_an_error_is_told_to_the_one_who_asked_for_it_alone(on_server):
    async def story(server):
        return await asyncio.gather(
            server.ask("ECHO", "fine"), server.ask("NOSUCH"), server.ask("ECHO", "too"), return_exceptions=True
        )

    first, wrong, last = on_server(story)
    assert (first, last) == (b"fine", b"too")
    assert isinstance(wrong, RedisError)


def test_a_server_that_forgot_a_script_is_told_it_again(on_server):
    script = Script("return ARGV[1]")

    async def story(server):
        said = await server.run(script, [], ["one"])
        await server.ask("SCRIPT", "FLUSH")
        return said, await server.run(script, [], ["two"])

    assert on_server(story) == (b"one", b"two")


def test_who_goes_away_while_waiting_leaves_the_others_their_answers(on_server):
    async def story(server):
        gone = asyncio.ensure_future(server.ask("ECHO", "gone"))
        await asyncio.sleep(0)
        gone.cancel()
        return await server.ask("ECHO", "there")

    assert on_server(story) == b"there"


def test_a_connection_that_was_closed_meanwhile_is_opened_again(on_server, url):
    async def story(server):
        await server.ask("PING")
        with Redis.from_url(url) as redis:
            redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.1)
        return await server.ask("ECHO", "again")

    assert on_server(story) == b"again"


def test_a_server_that_hangs_holds_up_no_other_work_and_is_soon_left_alone(server):
    async def story():
        turns = 0

        async def other_work() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.005)
                turns += 1

        async with opened(server.url) as asked:
            rates = Rates(asked, "1/h")
            await rates.admit(Caller("ann", frozenset()))
            server.freeze()
            working = asyncio.ensure_future(other_work())
            try:
                admitted = [await rates.admit(Caller("ann", frozenset())) for _ in range(200)]
            finally:
                working.cancel()
                server.thaw()
        return admitted, turns

    admitted, turns = asyncio.run(story())
    assert admitted == [None] * 200  # each by itself would have waited half a second
    assert turns > 5


def test_keys_live_behind_the_prefix_of_the_results(url):
    options = {"global_keyprefix": "mine."}
    said = {"redis_url": url, "result_backend_transport_options": options}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    assert server_of(app).prefix == "mine."


def test_where_there_is_no_redis_it_is_said():
    said = {"broker_url": "amqp://guest@127.0.0.1//", "result_backend": "cache+memory://"}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    with pytest.raises(ConfigurationError, match="are kept in Redis"):
        server_of(app)
