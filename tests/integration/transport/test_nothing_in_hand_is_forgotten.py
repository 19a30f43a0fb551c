"""The server goes away between a claim and the first line of a task: what was claimed is still found and run."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tests.integration.transport.consumer import consuming

from celeriac.worker.lane.claiming import Lane


def away_once(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, error: RedisError | None = None) -> None:
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
