"""What the parent orders while the server is away is carried out when it is back."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from kombu import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from tests.integration.transport.child import child_of
from tests.integration.transport.conftest import app_on


def failing(monkeypatch: pytest.MonkeyPatch, target: Any, name: str, *errors: Exception) -> None:
    """The next calls of a method fail, one for each error."""
    usual, due = getattr(target, name), deque(errors)

    def call(*args: Any, **kwargs: Any) -> Any:
        if due:
            raise due.popleft()
        return usual(*args, **kwargs)

    monkeypatch.setattr(target, name, call)


@pytest.mark.parametrize("error", [RedisConnectionError("gone"), ResponseError("READONLY You can't write")])
@pytest.mark.parametrize("step", ["add_queue", "consume"])
def test_a_queue_that_could_not_be_added_is_added_later(app, monkeypatch, step, error):
    with child_of(app, monkeypatch) as child:
        loop = child.connect()
        failing(monkeypatch, child.consuming._task_consumer, step, error)
        child.duty.order(lambda: child.consuming.add_queue(Queue("more")))
        child.duty.order(child.duty.stop)
        with pytest.raises(type(error)):
            loop.run()
        loop.run()
        app.tasks["add"].apply_async((1, 2), queue="more")
        (message,) = loop.channel.claim()
        assert message.queue == "more"


def test_events_that_could_not_be_switched_on_are_later(app, monkeypatch):
    with child_of(app, monkeypatch) as child:
        loop = child.connect()
        failing(monkeypatch, child.desk, "send_events", RedisConnectionError("gone"))
        child.duty.order(lambda: child.runner.reconfigure(events=True))
        child.duty.order(child.duty.stop)
        with pytest.raises(RedisConnectionError):
            loop.run()
        loop.run()
        assert child.desk.event_dispatcher is not None
        child.desk.send_events(enabled=False)


def test_an_order_that_is_refused_again_and_again_is_given_up(app, monkeypatch):
    def refused() -> None:
        msg = "NOPERM this user has no permissions"
        raise ResponseError(msg)

    with child_of(app, monkeypatch) as child:
        loop = child.connect()
        child.duty.order(refused)
        child.duty.order(child.duty.stop)
        for _ in range(5):
            with pytest.raises(ResponseError):
                loop.run()
        loop.run()
        assert not child.duty.orders


def test_an_order_that_is_wrong_is_dropped_and_costs_no_child(app, monkeypatch, caplog):
    def wrong() -> None:
        raise ValueError

    with child_of(app, monkeypatch) as child:
        loop = child.connect()
        child.duty.order(wrong)
        child.duty.order(child.duty.stop)
        loop.run()
    assert "an order of the parent's could not be carried out" in caplog.text


def test_a_connection_made_again_consumes_what_the_parent_said(monkeypatch):
    with app_on("redis://unused", broker_url="memory://") as app, child_of(app, monkeypatch) as child:
        child.connect()
        consuming = child.consuming
        (usual,) = app.amqp.queues.consume_from
        consuming.add_queue(Queue("more"))
        consuming.cancel_queue(usual)
        consuming._disconnect()
        child.connect()
        assert [queue.name for queue in consuming._task_consumer.queues] == ["more"]


def test_a_loop_that_is_pushed_to_keeps_an_order_too(monkeypatch):
    with app_on("redis://unused", broker_url="memory://") as app, child_of(app, monkeypatch) as child:
        loop = child.connect()
        failing(monkeypatch, child.consuming._task_consumer, "add_queue", OperationalError("gone"))
        child.duty.order(lambda: child.consuming.add_queue(Queue("more")))
        child.duty.order(child.duty.stop)
        with pytest.raises(OperationalError):
            loop.run()
        child.consuming._disconnect()
        child.connect().run()
        assert child.consuming._task_consumer.consuming_from("more")
