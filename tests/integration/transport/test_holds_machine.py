"""Anything may happen to holds, in any order: never do two of a key run at once, and no call is lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from celeriac.transport.connector import connector
from celeriac.transport.holds.hold import Hold, HoldMode
from celeriac.transport.holds.holds import Holds
from celeriac.transport.holds.scripts import HOLD
from celeriac.transport.server import RedisServer

LIST = "machine.queue"


class Machine(RuleBasedStateMachine):
    """A broker with one queue, producers that may die before they have sent, and workers that may die at any time.

    ``queued`` holds the messages in order; ``running`` those whose task has begun, of which only the model knows.
    """

    redis: Redis
    server: RedisServer
    mode: HoldMode

    def __init__(self) -> None:
        super().__init__()
        self.redis.flushdb()
        self.holds = Holds(self.server)
        self.count = 0
        self.accepted: list[str] = []
        self.lately: list[str] = []
        self.queued: list[str] = []
        self.sending: dict[str, Hold] = {}
        self.running: set[str] = set()
        self.begun: set[str] = set()
        self.ended: set[str] = set()
        self.revoked: set[str] = set()
        self.lost_place: set[str] = set()

    def hold(self, task_id: str = "") -> Hold:
        if not task_id:
            self.count += 1
            task_id = f"task-{self.count}"
        return Hold("machine:key", task_id, self.mode, lifetime=1000, at_most=1000)

    # -- producers

    @rule()
    def publish(self) -> None:
        hold = self.hold()
        if self.mode == "wait":  # its calls ask for a place when they begin
            self.accepted.append(hold.task_id)
            self.queued.append(hold.task_id)
            return
        keys, arguments = self.holds.asking(hold, message=(LIST, hold.task_id.encode()))
        answer = self.holds.read(self.server.run(HOLD, keys, arguments))
        if answer.holder is None:
            self.accepted.append(hold.task_id)
            self.lately.append(hold.task_id)
            self.queued.append(hold.task_id)
        else:
            assert answer.holder in {*self.queued, *self.running, *self.sending}, "dropped for nobody"

    @precondition(lambda self: self.mode != "wait")
    @rule()
    def take(self) -> None:
        """By way of another server: the place comes first."""
        hold = self.hold()
        if self.holds.take(hold).holder is None:
            self.sending[hold.task_id] = hold

    @precondition(lambda self: self.sending)
    @rule(data=st.data(), confirms=st.booleans())
    def send(self, data: Any, confirms: bool) -> None:  # noqa: FBT001  drawn
        hold = self.sending.pop(data.draw(st.sampled_from(sorted(self.sending))))
        self.accepted.append(hold.task_id)
        self.queued.append(hold.task_id)
        if confirms:
            self.holds.confirm(hold)

    @precondition(lambda self: self.sending)
    @rule(data=st.data())
    def die_before_sending(self, data: Any) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.sending)))
        del self.sending[task_id]
        if self.redis.hget("celeriac.hold:machine:key", "q") == task_id.encode():
            self.redis.hset("celeriac.hold:machine:key", "p", 1)  # its time is over

    @precondition(lambda self: self.sending)
    @rule(data=st.data())
    def fail_to_send(self, data: Any) -> None:
        hold = self.sending.pop(data.draw(st.sampled_from(sorted(self.sending))))
        self.holds.leave(hold.name, hold.task_id)

    @precondition(lambda self: self.lately and self.mode != "wait")
    @rule(data=st.data())
    def say_again(self, data: Any) -> None:
        """The answer to a publish was lost, and it is made once more before its task has ended."""
        task_id = data.draw(st.sampled_from(self.lately))
        keys, arguments = self.holds.asking(self.hold(task_id), message=(LIST, b"again"))
        self.holds.read(self.server.run(HOLD, keys, arguments))

    @precondition(lambda self: self.mode == "debounce")
    @rule()
    def close_window(self) -> None:
        """The time is over after which the last call runs, however many follow."""
        if self.redis.hexists("celeriac.hold:machine:key", "f"):
            self.redis.hset("celeriac.hold:machine:key", "f", 1)
            self.lately.clear()

    # -- workers

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def begin(self, data: Any) -> None:
        task_id = data.draw(st.sampled_from(self.queued))
        what, who = self.holds.enter(self.hold(task_id), admitted=True)
        if what == "run":
            self.queued.remove(task_id)
            self.running.add(task_id)
            self.begun.add(task_id)
            if self.mode == "debounce":  # its place is free again
                self.lately = [each for each in self.lately if each != task_id]
        elif what == "gone":
            assert self.mode in {"replace", "debounce"}
            assert task_id not in self.begun, "one that had begun lost its place"
            assert who in self.accepted, "its place went to a call that was never made"
            self.queued.remove(task_id)
            self.lost_place.add(task_id)
        else:
            assert what == "wait"
            assert who in {*self.running, *self.queued}, "it waits for nobody"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(task_id)
        self.over(task_id)

    def over(self, task_id: str) -> None:
        self.ended.add(task_id)
        self.lately = [each for each in self.lately if each != task_id]
        self.holds.leave("machine:key", task_id)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def retry_or_kill(self, data: Any) -> None:
        """Its message, or one that is like it, comes again; nothing is said to the hold."""
        task_id = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(task_id)
        self.queued.append(task_id)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def leave_twice(self, data: Any) -> None:
        """An end that was told before touches nothing of another's."""
        before = self.redis.hgetall("celeriac.hold:machine:key")
        task_id = data.draw(st.sampled_from(sorted(self.ended)))
        self.holds.leave("machine:key", task_id)
        if task_id.encode() not in before.values():
            assert self.redis.hgetall("celeriac.hold:machine:key") == before

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def deliver_again(self, data: Any) -> None:
        """A worker died after its task had ended and before it said so to the broker."""
        task_id = data.draw(st.sampled_from(sorted(self.ended)))
        self.ended.remove(task_id)
        self.queued.append(task_id)

    @precondition(lambda self: self.queued)
    @rule(data=st.data())
    def revoke(self, data: Any) -> None:
        """Before it began, and a worker saw it."""
        task_id = data.draw(st.sampled_from(self.queued))
        self.queued.remove(task_id)
        self.revoked.add(task_id)
        self.over(task_id)

    @precondition(lambda self: not self.running)
    @rule()
    def lapse(self) -> None:
        """The lifetime is over, or somebody emptied the server."""
        self.redis.delete("celeriac.hold:machine:key")
        self.lately.clear()

    # -- what always holds

    @invariant()
    def never_two_at_once(self) -> None:
        if self.mode != "debounce":
            assert len(self.running) <= 1

    @invariant()
    def every_call_is_somewhere(self) -> None:
        for task_id in self.accepted:
            assert task_id in self.begun | self.revoked | self.lost_place or task_id in self.queued

    @invariant()
    def a_place_that_is_held_is_bounded(self) -> None:
        assert self.redis.ttl("celeriac.hold:machine:key") != -1

    def teardown(self) -> None:
        """Run all that is left: the last call that was accepted has been run, or was revoked."""
        for task_id in sorted(self.running):
            self.holds.leave("machine:key", task_id)
        self.running.clear()
        for _ in range(len(self.queued) + 1):
            for task_id in list(self.queued):
                what, _who = self.holds.enter(self.hold(task_id), admitted=True)
                if what == "wait":
                    continue
                self.queued.remove(task_id)
                if what == "run":
                    self.begun.add(task_id)
                    self.holds.leave("machine:key", task_id)
        assert not self.queued, "something waits for ever"
        if self.accepted:
            last = max(self.accepted, key=lambda task_id: int(task_id.partition("-")[2]))
            chain = [last]
            while chain[-1] not in self.begun | self.revoked:
                by: Any = self.redis.get(f"celeriac.gone:{chain[-1]}")
                assert by is not None, "a call was lost"
                chain.append(by.decode())
                assert len(chain) <= self.count, "calls that replace each other"


@pytest.mark.parametrize("mode", ["drop", "replace", "wait", "debounce"])
def test_whatever_happens_to_holds(redis_url: str, mode: HoldMode) -> None:
    server = RedisServer(connector(redis_url))
    with Redis.from_url(redis_url) as redis:
        kind = type("Machine", (Machine,), {"redis": redis, "server": server, "mode": mode})
        run_state_machine_as_test(
            kind,
            settings=settings(
                max_examples=15,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
            ),
        )
    server.close()
