"""The server goes away between a claim and the first line of a task: what was claimed is still found and run."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tests.faults.harness.waiting import until
from tests.integration.transport.consumer import consuming

from celeriac.worker.lane.claiming import Lane


def away_once(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, error: Exception | None = None) -> None:
    """The next call of a method fails as it does when the server is away; those after it are as they were."""
    usual, errors = getattr(target, name), deque([error or RedisTimeoutError("Timeout: the server did not answer")])

    def call(*args: Any, **kwargs: Any) -> Any:
        if errors:
            raise errors.popleft()
        return usual(*args, **kwargs)

    monkeypatch.setattr(target, name, call)


def numbers(messages: list[Any]) -> list[int]:
    return [message.payload[0][0] for message in messages]


def test_a_claim_whose_early_messages_could_not_be_parked_is_looked_through_again(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    app.tasks["add"].apply_async((2, 0), countdown=60)
    app.tasks["add"].delay(3, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        away_once(monkeypatch, channel.intake.broker, "park")
        with pytest.raises(RedisTimeoutError):
            channel.claim()
        messages = channel.claim()
        assert numbers(messages) == [1, 3]
        assert len(channel.intake.parked(10)) == 1
        for message in messages:
            message.ack()
        channel.flush()
        assert channel.intake.broker.held(channel.owner, ()) == []


def test_a_claim_with_a_message_that_could_not_be_buried_is_looked_through_again(app, redis, monkeypatch):
    app.tasks["add"].delay(1, 0)
    redis.rpush("default\x06\x166", "no message")
    with consuming(app) as consumer:
        channel = consumer.channel
        away_once(monkeypatch, channel.intake.broker, "bury")
        with pytest.raises(RedisTimeoutError):
            channel.claim()
        assert numbers(channel.claim()) == [1]
        assert redis.zcard("celeriac.dead") == 1


def test_what_was_found_again_is_not_lost_by_the_next_error(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        intake = channel.intake
        # What the server saw of a claim whose answer never came.
        intake.broker.claim(intake.owner, ["default\x06\x166"], 1, first_token=intake._next_token)
        intake.let_go([])
        away_once(monkeypatch, intake.broker, "claim", ResponseError("BUSY Redis is busy running a script"))
        with pytest.raises(ResponseError):
            channel.claim()
        assert numbers(channel.claim()) == [1]


def test_what_waits_to_be_settled_is_not_taken_for_a_lost_reply(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        (message,) = channel.claim()
        message.ack()
        away_once(monkeypatch, channel.intake.broker, "claim")
        with pytest.raises(RedisTimeoutError):
            channel.claim()
        assert channel.claim() == []


def test_a_lane_whose_acknowledgement_could_not_be_sent_begins_what_it_claimed_later(app, monkeypatch):
    for number in range(3):
        app.tasks["add"].delay(number, 0)
    duty = SimpleNamespace(orders=[], done=False, stopping=False, left=10)
    ran: list[Any] = []

    def handle(message: Any) -> None:
        ran.append(message)
        message.ack()
        duty.done = len(ran) == 3

    runner: Any = SimpleNamespace(
        app=app,
        slot=SimpleNamespace(owner="", hold=False, load=lambda *_: None),
        desk=SimpleNamespace(tick=lambda: None, waiting=0),
        crew=SimpleNamespace(room=10),
        expected={},
        handle=handle,
    )
    with consuming(app) as consumer:
        lane = Lane(consumer.channel, runner, duty, prefetch=0)  # type: ignore[arg-type]
        lane._limit = 3
        away_once(monkeypatch, consumer.channel.intake, "flush")
        with pytest.raises(RedisTimeoutError):
            lane.run()
        assert numbers(ran) == [0]
        lane.run()
        assert numbers(ran) == [0, 1, 2]


def test_a_rejected_message_that_could_not_be_buried_comes_again(app, redis, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        (message,) = channel.claim()
        away_once(monkeypatch, channel.intake.broker, "bury")
        message.reject()
        assert channel.intake.held == {}
        (again,) = channel.claim()
        again.reject()
        assert redis.zcard("celeriac.dead") == 1


def test_a_connection_that_was_cut_while_a_task_ran_keeps_no_message_from_being_buried(app, redis):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        (message,) = consumer.channel.claim()
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        message.reject()
        assert redis.zcard("celeriac.dead") == 1


def test_a_full_server_is_drained_by_a_worker_in_doubt(app, redis):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        channel.intake.let_go([])
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] - 100_000)
        try:
            assert numbers(channel.claim()) == [1]
        finally:
            redis.config_set("maxmemory", 0)


def test_acknowledgements_that_could_not_be_sent_outlive_their_channel(app, redis, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        intake = channel.intake
        (message,) = channel.claim()
        away = [RedisTimeoutError("Timeout: the server did not answer")] * 3

        def settle(*args: Any) -> int:
            if away:
                raise away.pop()
            return int(type(intake.broker).settle(intake.broker, *args))

        monkeypatch.setattr(intake.broker, "settle", settle)
        monkeypatch.setattr(intake.keeper._broker, "settle", settle)
        message.ack()
    until(lambda: not redis.keys("celeriac.inflight*"))


def test_what_another_thread_is_settling_is_not_taken_for_a_lost_reply(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        channel = consumer.channel
        intake = channel.intake
        (message,) = channel.claim()
        message.ack()
        seen: list[Any] = []

        def settle(*_: Any) -> int:
            intake.let_go([])
            seen.extend(channel.claim())
            return 1

        monkeypatch.setattr(intake.keeper._broker, "settle", settle)
        intake.flush(intake.keeper._broker)
        assert seen == []


def test_a_time_limit_that_strikes_while_settling_loses_no_acknowledgement(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        intake = consumer.channel.intake
        (message,) = consumer.channel.claim()
        away_once(monkeypatch, intake.broker, "settle", SoftTimeLimitExceeded())
        intake.keeper.stop()
        message.ack()
        with pytest.raises(SoftTimeLimitExceeded):
            intake.flush()
        assert intake.pending
        assert intake.flush() == 1


def test_an_early_acknowledgement_that_could_not_be_sent_ends_no_task_and_goes_out_later(app, monkeypatch):
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        intake = consumer.channel.intake
        (message,) = consumer.channel.claim()
        intake.keeper.stop()
        away_once(monkeypatch, intake.broker, "settle")
        message.ack()
        intake.try_flush()
        assert intake.pending
        assert intake.flush() == 1


def test_what_was_found_again_counts_towards_what_a_claim_may_bring(app):
    for number in range(4):
        app.tasks["add"].delay(number, 0)
    with consuming(app) as consumer:
        intake = consumer.channel.intake
        intake.broker.claim(intake.owner, ["default\x06\x166"], 2, first_token=intake._next_token)
        intake.let_go([])
        assert numbers(consumer.channel.claim(2)) == [0, 1]
        assert numbers(consumer.channel.claim(2)) == [2, 3]


def test_threads_that_settle_bury_and_give_back_keep_out_of_the_claiming_threads_connection(app, redis):
    for number in range(400):
        app.tasks["add"].delay(number, 0)
    with consuming(app) as consumer, ThreadPoolExecutor(4) as threads:
        channel = consumer.channel
        ways = [lambda message: (message.ack(), channel.flush()), lambda message: message.reject()]
        ended: list[Any] = []
        while len(ended) < 400:
            claimed = channel.claim(8)
            ended += [threads.submit(ways[number % 2], message) for number, message in enumerate(claimed)]
            channel.wait(0.001)
        assert [each.exception() for each in ended if each.exception()] == []
        until(lambda: not channel.intake.pending)
    assert redis.zcard("celeriac.dead") == 200
    assert not redis.keys("celeriac.inflight*")


def test_the_history_of_many_tasks_leaves_nothing_counted(make_app):
    app = make_app(result_backend=None, history_enabled=True, history_database_url="sqlite://")
    writer: Any = app.backend.writer
    for _ in range(5):
        writer.note(app.backend.journal, b'{"any": "event"}')
        writer.flush()
    assert len(writer.queue) == 0
    assert writer.queue.size == 0


def test_nobody_tries_for_ever_to_settle_at_a_server_that_stays_away(make_app, monkeypatch):
    app = make_app(broker_lease=1.0)
    app.tasks["add"].delay(1, 0)
    with consuming(app) as consumer:
        intake = consumer.channel.intake
        (message,) = consumer.channel.claim()

        def settle(*_: Any) -> int:
            raise RedisTimeoutError

        for broker in (intake.broker, intake._aside, intake.keeper._broker):
            monkeypatch.setattr(broker, "settle", settle)
        message.ack()
    assert not intake.keeper.stopped
    until(lambda: intake.keeper.stopped)
    with consuming(app) as consumer:
        assert numbers([consumer.one()]) == [1], "the lease ended, so it comes again"
