"""The slots of a key on the server: who gets one, who is next, and what becomes of those who are gone."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from redis import Redis

from celeriac.flow.slots import Answer, Slots, Waiter
from celeriac.flow.slots import tend as tend_all
from celeriac.transport.connector import connector
from celeriac.transport.server import RedisServer

LONG = 60.0


@pytest.fixture
def server(second_url: str) -> Generator[RedisServer]:
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    server = RedisServer(connector(second_url))
    yield server
    server.close()


class Room:
    """Some slots, and short words for what happens there."""

    def __init__(self, server: RedisServer, limit: int, *, wakes: bool = True, patience: float = LONG) -> None:
        self.server = server
        self.slots = Slots(server, limit, wakes=wakes, patience=patience)

    def ask(self, task: str, owner: str = "alive", *, again: Answer | None = None, visit: str = "1") -> Answer:
        waits = (None if again is None else again.waiter, f"{task}:{visit}")
        return self.slots.acquire("room", task, f"token-{task}-{visit}", (owner, LONG), waits)

    def leave(self, task: str, visit: str = "1") -> list[str]:
        return self.slots.release("room", task, f"token-{task}-{visit}")

    def kill(self, owner: str) -> None:
        self.server.call("ZREM", self.server.key("owners"), owner)

    def tend(self) -> list[str]:
        return tend_all(self.server, now=True)

    def held(self) -> set[str]:
        return {each.decode() for each in self.server.call("HKEYS", self.server.key("slots:room"))}


@pytest.fixture
def room(server: RedisServer) -> Callable[..., Room]:
    return lambda limit=1, **options: Room(server, limit, **options)


def test_no_more_get_a_slot_than_there_are(room):
    two = room(2)
    assert [two.ask(task).held for task in "abc"] == [True, True, False]


def test_who_leaves_wakes_the_first_in_line_and_nobody_else(room):
    one = room()
    one.ask("a")
    assert [one.ask(task).before for task in "bcd"] == [0, 1, 2]
    assert one.leave("a") == ["b:1"]
    assert one.held() == {"b"}, "the slot is kept for who was woken"


def test_a_newcomer_does_not_overtake_who_was_woken(room):
    one = room()
    one.ask("a")
    waiting = one.ask("b")
    one.leave("a")
    assert not one.ask("newcomer").held
    assert one.ask("b", again=waiting, visit="2").held


def test_who_comes_back_in_vain_keeps_its_place(room):
    one = room()
    one.ask("a")
    first = one.ask("b")
    one.ask("c")
    again = one.ask("b", again=first, visit="2")
    assert (again.before, again.waiter.arrival) == (0, first.waiter.arrival)
    assert one.leave("a") == ["b:2"]


def test_a_slot_of_a_process_that_is_gone_is_free(room):
    one = room()
    one.ask("a", owner="killed")
    one.ask("b")
    one.kill("killed")
    assert one.tend() == ["b:1"]
    assert one.held() == {"b"}


def test_nobody_is_woken_while_the_holder_lives(room):
    one = room()
    one.ask("a")
    one.ask("b")
    assert one.tend() == []


def test_who_lost_its_slot_cannot_end_anothers(room):
    one = room()
    one.ask("a", owner="frozen")
    one.kill("frozen")
    assert one.ask("b").held
    assert one.leave("a") == []
    assert not one.ask("c").held, "the slot is b's still"


def test_a_message_that_is_delivered_again_takes_its_slot_over(room):
    one = room()
    one.ask("a", owner="one")
    assert one.ask("a", owner="two", visit="2").held
    assert one.leave("a", visit="1") == []
    assert one.held() == {"a"}, "the first delivery let go what was no longer its own"
    one.leave("a", visit="2")
    assert one.held() == set()


def test_who_was_revoked_is_passed_over(room, server):
    one = room()
    one.ask("a")
    one.ask("b")
    one.ask("c")
    server.call("ZADD", server.key("revoked"), 1, "b")
    assert one.leave("a") == ["c:1"]


def test_who_is_not_heard_of_any_more_is_passed_over(room, server):
    one = room()
    one.ask("a")
    one.ask("purged")
    one.ask("c")
    server.call("ZADD", server.key("slots:room:seen"), 1, "purged:1")
    assert one.leave("a") == ["c:1"]


def test_a_slot_that_was_kept_for_somebody_who_does_not_come_goes_on(room, server):
    one = room()
    one.ask("a")
    one.ask("b")
    one.ask("c")
    assert one.leave("a") == ["b:1"]
    server.call("HSET", server.key("slots:room"), "b", "1||")  # long ago
    assert one.tend() == ["c:1"]


@pytest.mark.parametrize("ends", ["leaves", "dies"])
def test_a_limit_that_was_lowered_holds_for_those_who_wait_already(room, server, ends):
    three, one = room(3), room(1)
    for task in "abc":
        three.ask(task, owner=task)
    three.ask("d")
    assert not one.ask("e").held
    for task in "ab":
        if ends == "leaves":
            assert three.leave(task) == [], "a worker that knows the old limit woke one too many"
        else:
            one.kill(task)
        assert one.tend() == []
    one.kill("c")
    assert one.tend() == ["d:1"]
    assert one.tend() == []
    assert server.call("ZRANGE", server.key("slots"), 0, -1) == [b"1|celeriac.slots:room"]


def test_a_limit_that_was_raised_holds_for_those_who_wait_already(room):
    one, three = room(1), room(3)
    one.ask("a")
    waiting = [one.ask(task) for task in "bcd"]
    again = three.ask("b", again=waiting[0], visit="2")
    assert again.held
    assert three.tend() == ["c:1"]


def test_the_first_in_line_comes_by_itself_sooner_than_those_behind(room):
    one = room()
    one.ask("a")
    times = [one.ask(str(n)).again for n in range(50)]
    assert times[0] == LONG
    assert times == sorted(times)
    assert times[-1] < LONG * 1.5


def test_where_nobody_can_be_woken_each_comes_back_when_its_turn_may_have_come(room, server):
    one = room(wakes=False)
    server.call("SET", server.key("slots:room:mean"), 2000)
    one.ask("a")
    assert [one.ask(task).again for task in "bcd"] == [2.0, 4.0, 6.0]
    assert one.leave("a") == []
    assert one.ask("newcomer").held, "a slot is not kept for who cannot be told"


def test_nothing_is_left_when_all_have_gone(room, second_url):
    two = room(2)
    for task in "abc":
        two.ask(task)
    two.leave("a")
    two.ask("c", again=Answer(held=False, before=0, again=0, waiter=Waiter("c:1", 1), woken=[]), visit="2")
    two.leave("b")
    two.leave("c", visit="2")
    two.tend()
    with Redis.from_url(second_url) as redis:
        found: list[Any] = [*redis.keys("*slots*"), *redis.keys("*owners*")]
        kept = {key.decode(): redis.ttl(key) for key in found}
    assert set(kept) == {"celeriac.slots:room:mean", "celeriac.owners"}
    assert all(ttl > 0 for ttl in kept.values())


def test_what_is_no_waiters_header_is_none():
    assert Waiter.read(None) is None
    assert Waiter.read("nonsense") is None
    assert Waiter.read("x|name") is None
    assert Waiter.read("12|id:nonce") == Waiter("id:nonce", 12)
