"""API keys on a real Redis: made, told apart, expired, revoked, and taken on trust for a while when it is away."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from tests.integration.security.conftest import opened

from celeriac.exceptions import AccessUnavailable, NotAuthenticated, UnknownKey
from celeriac.security.api_keys import ApiKeys, is_api_key
from celeriac.security.callers import Method

pytestmark = pytest.mark.xdist_group("security")


@pytest.mark.proves("S004-23")
def test_a_key_tells_whose_it_is_and_what_they_may_do(on_server):
    async def story(server):
        keys = ApiKeys(server)
        key, text = await keys.create("ann", ["tasks:run", "reports:*"], rate="10/m")
        caller = await keys.identify(text)
        return key, text, caller

    key, text, caller = on_server(story)
    assert is_api_key(text)
    assert (caller.subject, caller.name, caller.method, caller.rate) == (f"key:{key.id}", "ann", Method.KEY, "10/m")
    assert caller.scopes == {"tasks:run", "reports:*"}


@pytest.mark.proves("S004-23")
def test_what_redis_holds_is_a_digest_and_never_the_key(on_server, url):
    async def story(server):
        return await ApiKeys(server).create("ann", ["*"])

    key, text = on_server(story)
    secret = text.split("_", 2)[2]
    with Redis.from_url(url) as redis:
        held = repr([redis.hgetall(name) for name in redis.scan_iter()])
    assert secret not in held
    assert hashlib.sha256(secret.encode()).hexdigest() in held
    assert key.digest not in repr(key)


def test_a_wrong_secret_and_an_unknown_key_are_refused_in_the_same_words(on_server):
    async def story(server):
        keys = ApiKeys(server)
        _, text = await keys.create("ann", ["*"])
        told = []
        for wrong in (text[:-1] + ("A" if text[-1] != "A" else "B"), f"cel_{'0' * 12}_{text[17:]}", "cel_", ""):
            with pytest.raises(NotAuthenticated) as refused:
                await keys.identify(wrong)
            told.append((str(refused.value), refused.value.challenge))
        return told

    told = on_server(story)
    assert len(set(told)) == 1
    assert told[0][1].startswith('Bearer realm="celeriac", error="invalid_token"')


def test_an_expired_key_is_refused(on_server):
    async def story(server):
        keys = ApiKeys(server)
        key, text = await keys.create("ann", ["*"], lasts=timedelta(seconds=1))
        assert key.expires is not None
        await asyncio.sleep((key.expires - datetime.now(UTC)).total_seconds() + 0.01)
        with pytest.raises(NotAuthenticated, match="is expired"):
            await keys.identify(text)

    on_server(story)


@pytest.mark.proves("S004-23")
def test_a_revoked_key_is_refused_and_stays_in_the_list_until_it_is_forgotten(on_server):
    async def story(server):
        keys = ApiKeys(server, fresh=0)
        key, text = await keys.create("ann", ["*"])
        await keys.identify(text)
        revoked = await keys.revoke(key.id)
        with pytest.raises(NotAuthenticated, match="is revoked"):
            await keys.identify(text)
        assert [each.id for each in await keys.list()] == [key.id]
        assert revoked.state(datetime.now(UTC)) == "revoked"
        await keys.forget(key.id)
        with pytest.raises(NotAuthenticated, match="unknown"):
            await keys.identify(text)
        assert await keys.list() == []
        for act in (keys.revoke, keys.forget):
            with pytest.raises(UnknownKey, match=key.id):
                await act(key.id)

    on_server(story)


def test_the_list_says_when_a_key_was_last_used(on_server):
    async def story(server):
        keys = ApiKeys(server)
        (used, text), (unused, _) = await keys.create("ann", ["*"]), await keys.create("bob", ["*"])
        await keys.identify(text)
        await server.ask("PING")  # travels after what identify() told
        return used.id, unused.id, {key.id: key.used for key in await keys.list()}

    used, unused, last = on_server(story)
    assert last[used] is not None
    assert datetime.now(UTC) - last[used] < timedelta(minutes=1)
    assert last[unused] is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": " "}, "needs a name"),
        ({"scopes": []}, "could do nothing"),
        ({"scopes": ["tasks"]}, "a scope is written like"),
        ({"scopes": ["tasks:*:run"]}, "a scope is written like"),
        ({"lasts": timedelta()}, "never works"),
        ({"rate": "often"}, "a rate is"),
    ],
)
def test_a_key_that_could_not_work_is_not_made(on_server, given, said):
    async def story(server):
        with pytest.raises(ValueError, match=said):
            await ApiKeys(server).create(**{"name": "ann", "scopes": ["tasks:run"]} | given)
        return await ApiKeys(server).list()

    assert on_server(story) == []


def test_while_redis_is_away_a_key_seen_of_late_works_and_another_is_neither_taken_nor_refused(server):
    async def story():
        async with opened(server.url) as asked:
            keys = ApiKeys(asked, fresh=0)
            (_, seen), (_, unseen) = await keys.create("ann", ["*"]), await keys.create("bob", ["*"])
            await keys.identify(seen)
            server.stop()
            assert (await keys.identify(seen)).name == "ann"
            with pytest.raises(AccessUnavailable) as away:
                await keys.identify(unseen)
            assert away.value.retry_after >= 1

    asyncio.run(story())
