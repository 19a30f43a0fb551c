"""How queues are declared on RabbitMQ, and how a message finds its way through the delaying ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.common import Broadcast

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import InvalidSetting
from celeriac.tasks.queues import declare_queues
from celeriac.transport.rabbitmq.budget import remaining, within
from celeriac.transport.rabbitmq.check import priority_problems
from celeriac.transport.rabbitmq.names import BURIED, plain_headers
from celeriac.transport.rabbitmq.queues import queue_arguments, type_of
from celeriac.transport.rabbitmq.topology import LONGEST_DELAY, delayed_key, key_behind, parking_key


def app(**options: Any) -> Any:
    return create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "amqp://localhost//", **options}))


def declared(made: Any, name: str) -> Any:
    return made.amqp.queues[name]


def idle() -> None:
    """A task's body."""


@pytest.mark.proves("S001-2")
def test_every_way_to_declare_a_queue_makes_a_quorum_queue():
    made = app(task_queues={"said": {}}, task_max_deliveries=3)
    declare_queues(made, ["parcels"])
    made.amqp.queues.select(["default", "named-on-the-command-line"])
    for name in ("default", "said", "parcels", "named-on-the-command-line", "asked-for"):
        queue = declared(made, name)
        assert queue.queue_arguments == queue_arguments(name, 3)
        assert queue.queue_arguments["x-delivery-limit"] == 3
        assert queue.queue_arguments["x-dead-letter-exchange"] == "celeriac.dead"
        assert (queue.exchange.name, queue.exchange.type, queue.routing_key) == (name, "topic", name)
        assert queue.durable


def test_what_a_queue_says_of_itself_stands():
    own = Queue("own", Exchange("orders", type="direct"), "orders.eu", queue_arguments={"x-delivery-limit": 50})
    queue = declared(app(task_queues=[own]), "own")
    assert queue.queue_arguments["x-delivery-limit"] == 50
    assert type_of(queue) == "quorum"
    assert (queue.exchange.name, queue.exchange.type, queue.routing_key) == ("orders", "direct", "orders.eu")


def test_a_classic_queue_has_priorities_and_dead_letters():
    said = {"urgent": {"queue_arguments": {"x-queue-type": "classic"}}, "old": {"max_priority": 5}}
    made = app(task_queues=said)
    assert declared(made, "urgent").queue_arguments == {
        "x-queue-type": "classic",
        "x-max-priority": 9,
        "x-dead-letter-exchange": "celeriac.dead",
        "x-dead-letter-routing-key": "urgent",
    }
    assert declared(made, "old").queue_arguments["x-max-priority"] == 5
    assert type_of(declared(made, "default")) == "quorum"


def test_an_app_may_have_classic_queues_alone():
    made = app(task_default_queue_type="classic", task_create_missing_queue_type="classic")
    assert {type_of(declared(made, name)) for name in ("default", "missing")} == {"classic"}


def test_queues_that_do_not_last_are_left_alone():
    passing = [
        Broadcast("all"),
        Queue("mine", exclusive=True),
        Queue("soon", expires=5),
        Queue("auto", auto_delete=True),
    ]
    made = app(task_queues=passing)
    for queue in passing:
        assert "x-queue-type" not in (declared(made, queue.name).queue_arguments or {})


def test_queues_on_redis_know_nothing_of_it():
    made: Any = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "redis://localhost/0"}))
    assert not made.amqp.queues["default"].queue_arguments
    assert made.amqp.queues["default"].exchange.type == "direct"


@pytest.mark.parametrize(
    ("version", "priorities", "said"),
    [
        ((3, 10, 8), [3], []),
        ((3, 10, 8), [3, 6], ["know no priorities, and one asks"]),
        ((3, 13, 0), [0, 3], ["know no priorities, and zero asks"]),
        ((4, 0, 0), [3, 6], []),
        ((4, 2, 1), [6, 9], ["know two priorities, up to 4 and above, and do not tell one, zero"]),
        ((4, 2, 1), [0, 3], ["know two priorities, up to 4 and above, and do not tell zero"]),
        ((4, 3, 0), [0, 6], []),
    ],
)
def test_what_priorities_a_version_knows_is_said(version, priorities, said):
    made = app()
    for name, priority in zip(("zero", "one"), priorities, strict=False):
        made.task(name=name)(idle)
        made.tasks[name].priority = priority
    problems = list(priority_problems(made, version, [declared(made, "default")]))
    assert [words in problem.text for words, problem in zip(said, problems, strict=True)] == [True] * len(said)
    assert not any(problem.loses for problem in problems)


@pytest.mark.parametrize("names", [["mail", "bulk.mail"], ["eu.bulk.mail", "mail"]])
def test_names_that_a_delayed_message_would_confuse_are_refused(names):
    with pytest.raises(InvalidSetting, match="would run in both"):
        app(task_queues=names).amqp.queues  # noqa: B018
    assert app(task_queues=["mail", "bulkmail", "mail.bulk"]).amqp.queues


def test_a_key_carries_the_delay_and_gives_the_way_back():
    key = delayed_key(5.9, "parcels")
    assert key == "0." * 25 + "1.0.1.parcels"
    assert key_behind(key) == "parcels"
    assert key_behind(delayed_key(10**12, "a.b")) == "a.b"
    assert delayed_key(10**12, "a") == delayed_key(LONGEST_DELAY, "a")
    assert parking_key("a.b c") == "celeriac-a%2Eb%20c"


def test_headers_lose_what_was_added_on_the_way():
    said = {"id": "1", "task": "t", "x-tenant": "acme"}
    added = {"x-death": [], "x-first-death-queue": "q", "x-delivery-count": 2, BURIED: {}, "x-last-death-reason": "r"}
    assert plain_headers(said | added) == said


def test_a_budget_is_shared_and_never_grows():
    left: Any = remaining
    assert left() is None
    with within(10):
        with within(60):
            assert left() <= 10
        with within(0.01):
            time.sleep(0.02)
            assert left() == 0
        assert left() > 5
    assert left() is None
