"""The transport's steps on a real server, without kombu."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing

import pytest
from redis import Redis

from celeriac.transport.link import Link, connector
from celeriac.transport.redis.broker import RedisBroker

LISTS = ["mail\x06\x160", "mail"]
ME, OTHER = "host:1:aa", "host:2:bb"


@pytest.fixture
def broker(server: str, redis: Redis) -> Generator[RedisBroker]:
    with closing(Link(connector(server), timeout=5)) as link:
        yield RedisBroker(link, lease=30)


def claim(broker: RedisBroker, limit: int = 10, owner: str = ME, first: int = 1, settle=()):
    return broker.claim(owner, LISTS, limit, first_token=first, settle=settle)


def expire(redis: Redis, owner: str = ME) -> None:
    assert redis.zadd("celeriac.leases", {owner: 1}, xx=True, ch=True) == 1


def test_messages_are_claimed_in_the_order_of_lists_and_of_sending(broker, redis):
    redis.lpush("mail", "third", "fourth")
    redis.lpush("mail\x06\x160", "first", "second")
    got = claim(broker)
    assert [each.raw for each in got.deliveries] == [b"first", b"second", b"third", b"fourth"]
    assert [each.token for each in got.deliveries] == ["1", "2", "3", "4"]
    assert got.next_token == 5
    assert redis.exists("mail", "mail\x06\x160") == 0
    assert redis.hlen(f"celeriac.inflight:{ME}") == 4


def test_no_more_are_claimed_than_asked_for(broker, redis):
    redis.lpush("mail", *range(10))
    assert len(claim(broker, 3).deliveries) == 3
    assert redis.llen("mail") == 7


def test_settled_messages_are_gone_and_travel_with_the_next_claim(broker, redis):
    redis.lpush("mail", "one", "two")
    first = claim(broker, 1)
    second = claim(broker, 1, first=2, settle=[first.deliveries[0].token])
    assert second.settled == 1
    assert broker.settle(ME, ["2"]) == 1
    assert redis.keys("*") == [b"celeriac.leases"]


def test_what_an_expired_owner_held_is_next_in_its_queue_and_counted(broker, redis):
    redis.lpush("mail", "one", "two", "three")
    claim(broker, 2)
    expire(redis)
    assert broker.sweep() == {ME: 2}
    assert redis.lrange("mail", 0, -1) == [b"three", b"two", b"one"]
    again = claim(broker, owner=OTHER)
    assert [(each.raw, each.deliveries) for each in again.deliveries] == [(b"one", 1)]


def test_a_live_lease_is_not_swept(broker, redis):
    redis.lpush("mail", "one")
    claim(broker)
    assert broker.sweep() == {}
    assert redis.llen("mail") == 0


def test_a_stale_acknowledgement_settles_nothing_of_the_new_owners(broker, redis):
    redis.lpush("mail", "one")
    stale = claim(broker).deliveries[0].token
    expire(redis)
    broker.sweep()
    assert claim(broker, owner=OTHER).deliveries[0].raw == b"one"
    assert broker.settle(ME, [stale]) == 0
    assert broker.give_back(ME, [stale], count=True) == 0
    assert broker.bury(ME, stale, reason="rejected") is False
    assert redis.hlen(f"celeriac.inflight:{OTHER}") == 1
    assert redis.llen("mail") == 0


def test_a_paused_owner_that_claims_again_cannot_settle_what_it_once_held(broker, redis):
    redis.lpush("mail", "one")
    stale = claim(broker)
    expire(redis)
    broker.sweep()
    fresh = claim(broker, first=stale.next_token)
    assert fresh.deliveries[0].token != stale.deliveries[0].token
    assert broker.settle(ME, [stale.deliveries[0].token]) == 0
    assert broker.settle(ME, [fresh.deliveries[0].token]) == 1


def test_a_message_that_came_back_travels_alone(broker, redis):
    redis.lpush("mail", "good", "bad", "fine")
    claim(broker, 2)
    expire(redis)
    broker.sweep()
    assert [each.raw for each in claim(broker, owner=OTHER).deliveries] == [b"good"]
    assert [each.raw for each in claim(broker, owner=OTHER, first=2).deliveries] == [b"bad"]
    assert [each.raw for each in claim(broker, owner=OTHER, first=3).deliveries] == [b"fine"]


def test_a_suspect_behind_others_waits_for_a_claim_of_its_own(broker, redis):
    redis.lpush("mail", "suspect")
    claim(broker)
    broker.give_back(ME, ["1"], count=True)
    redis.rpush("mail", "innocent")
    assert [each.raw for each in claim(broker, first=2).deliveries] == [b"innocent"]
    assert [(each.raw, each.deliveries) for each in claim(broker, first=4).deliveries] == [(b"suspect", 1)]


def test_deliveries_are_forgotten_once_the_message_is_settled(broker, redis):
    redis.lpush("mail", "one")
    claim(broker)
    broker.give_back(ME, ["1"], count=True)
    again = claim(broker, first=2).deliveries[0]
    broker.settle(ME, [again.token])
    assert not redis.exists("celeriac.deliveries")


def test_what_is_given_back_unbegun_is_not_counted(broker, redis):
    redis.lpush("mail", "one", "two")
    claim(broker)
    assert broker.give_back(ME, ["1", "2", "99"], count=False) == 2
    assert redis.lrange("mail", 0, -1) == [b"two", b"one"]
    assert not redis.exists("celeriac.deliveries")


def test_an_abandoned_owner_leaves_what_it_began_counted_and_what_it_finished_settled(broker, redis):
    redis.lpush("mail", "done", "begun", "waiting")
    claim(broker)
    assert broker.abandon(ME, settled=["1"], counted=["2"]) == 2
    assert redis.lrange("mail", 0, -1) == [b"waiting", b"begun"]
    assert claim(broker, owner=OTHER).deliveries[0].deliveries == 1
    assert redis.zscore("celeriac.leases", ME) is None


def test_renewing_tells_which_leases_were_lost(broker, redis):
    claim(broker)
    expire(redis)
    assert broker.renew([ME, OTHER]) == [OTHER]
    assert broker.sweep() == {}


def test_a_parked_message_waits_for_its_time_on_the_server(broker, redis):
    redis.lpush("mail", "later")
    now = claim(broker).now
    assert broker.park(ME, {"1": now + 60, "77": now}) == []
    early = claim(broker, first=2)
    assert early.deliveries == []
    assert early.next_due == pytest.approx(now + 60, abs=0.01)
    (parked,) = broker.delayed()
    assert (parked.raw, parked.list_key) == (b"later", "mail")
    redis.zadd("celeriac.delayed", {parked.id: 1})
    assert [each.raw for each in claim(broker, first=2).deliveries] == [b"later"]
    assert not redis.exists("celeriac.delayed", "celeriac.delayed.messages")


def test_messages_with_one_text_are_parked_one_by_one(broker, redis):
    redis.lpush("mail", "same", "same")
    claim(broker)
    broker.park(ME, {"1": time.time() + 60, "2": time.time() + 60})
    assert len(broker.delayed()) == 2


def test_a_dead_letter_keeps_the_message_byte_for_byte(broker, redis):
    raw = bytes(range(256))
    redis.lpush("mail", raw)
    claim(broker)
    assert broker.bury(ME, "1", reason="malformed", detail="not JSON", deliveries=1)
    letter = redis.hgetall(f"celeriac.dead:{ME}:1")
    assert letter[b"raw"] == raw
    assert (letter[b"key"], letter[b"reason"]) == (b"mail", b"malformed")
    assert redis.zcard("celeriac.dead") == 1
    assert not redis.exists(f"celeriac.inflight:{ME}")


def test_a_message_that_is_too_long_never_reaches_a_worker(broker, redis):
    broker.longest = 1000
    redis.lpush("mail", "x" * 1001, "short")
    got = claim(broker)
    assert [each.raw for each in got.deliveries] == [b"short"]
    (key,) = redis.keys("celeriac.dead:*")
    assert redis.hget(key, "reason") == b"malformed"
    assert b"1001 bytes" in redis.hget(key, "detail")
    assert broker.settle(ME, [got.deliveries[0].token]) == 1


def test_a_reply_that_was_lost_is_found_again(broker, redis):
    redis.lpush("mail", "one", "two")
    claim(broker)
    assert [(each.token, each.raw, each.list_key) for each in broker.held(ME, {"1"})] == [("2", b"two", "mail")]
    assert broker.held(ME, {"1", "2"}) == []
    assert broker.raw(ME, "2") == b"two"
    assert broker.raw(ME, "3") is None


def test_a_list_of_another_type_is_passed_over(broker, redis):
    redis.set("mail\x06\x160", "no list")
    redis.lpush("mail", "one")
    assert [each.raw for each in claim(broker).deliveries] == [b"one"]


def test_a_full_server_is_drained(broker, redis):
    redis.lpush("mail", *("x" * 1000 for _ in range(1000)))
    used = int(redis.info("memory")["used_memory"])
    redis.config_set("maxmemory", used - 100_000)
    try:
        got = claim(broker, 500)
        assert len(got.deliveries) == 500
        assert broker.settle(ME, [each.token for each in got.deliveries]) == 500
    finally:
        redis.config_set("maxmemory", 0)


def test_keys_stand_behind_the_prefix(server, redis):
    with closing(Link(connector(server), timeout=5)) as link:
        broker = RedisBroker(link, prefix="app:")
        redis.lpush("app:mail", "one")
        broker.claim(ME, ["app:mail"], 1, first_token=1)
        broker.bury(ME, "1", reason="rejected")
    assert all(key.startswith(b"app:") for key in redis.keys("*"))


def test_a_claim_that_arrives_after_its_worker_gave_it_up_takes_nothing(broker, redis):
    redis.lpush("mail", "one")
    broker.fence(ME, 100)
    late = claim(broker, first=1)
    assert late.deliveries == []
    assert redis.llen("mail") == 1
    assert [each.raw for each in claim(broker, first=100).deliveries] == [b"one"]
    assert claim(broker, owner=OTHER).deliveries == []
