"""Whether a RabbitMQ server, as an application uses it, keeps what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from kombu.utils.url import maybe_sanitize_url

from celeriac.exceptions import QueueMismatch, UnsafeBroker
from celeriac.transport.rabbitmq.queues import CLASSIC, QUORUM, type_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from kombu import Queue

__all__ = ["Problem", "check_rabbitmq", "priority_problems", "problems_of"]

OLDEST: Final = (3, 10)
"""The oldest RabbitMQ whose quorum queues move dead letters without losing any."""
_PRIORITIES: Final = (4, 0)
_STRICT_PRIORITIES: Final = (4, 3)
_LESS: Final = 4
"""The highest of the priorities that RabbitMQ 4.0 to 4.2 hold to be the lower one of two."""
_CONSUMER_TIMEOUTS: Final = (3, 12)
_USUAL_CONSUMER_TIMEOUT: Final = 1800


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the server, or about how it is used."""

    text: str
    remedy: str
    loses: bool
    """Whether tasks can be lost; otherwise it is merely not what was asked for."""


def problems_of(app: Celery) -> list[Problem]:
    """Look at the server and at the queues that the app's workers read.

    Raises:
        OSError: the server does not answer.
    """
    conf: Any = app.conf
    with app.connection_for_read() as connection:
        made: Any = connection.connection
        version = tuple(made.version)
        queues = [queue for queue in app.amqp.queues.consume_from.values() if queue.durable and not queue.auto_delete]
        found = [*_of_server(version), *_of_publishing(conf)]
        found += [each for queue in queues for each in _of_queue(queue, conf)]
        for queue in queues:
            with made.channel() as channel:
                try:
                    queue(channel).declare()
                except QueueMismatch as error:
                    found.append(Problem(str(error), "", loses=True))
    return [*found, *_of_limits(app, version), *priority_problems(app, version, queues)]


def check_rabbitmq(app: Celery) -> list[Problem]:
    """Refuse a server, or a use of it, that can lose tasks; what remains is worth a line in the log.

    Raises:
        UnsafeBroker: a classic queue without confirms, confirms switched off, messages that are kept in memory alone, a
            queue that exists and is another, or a server that is too old.
        OSError: the server does not answer.
    """
    found = problems_of(app)
    if losing := [problem for problem in found if problem.loses]:
        raise UnsafeBroker(
            broker=maybe_sanitize_url(str(app.conf.broker_read_url)),
            problems="; ".join(problem.text for problem in losing),
            remedy="".join(f"\n    {remedy}" for remedy in dict.fromkeys(each.remedy for each in losing) if remedy),
        )
    return found


def _of_server(version: tuple[int, ...]) -> Iterator[Problem]:
    if version < OLDEST:
        told = ".".join(map(str, version))
        yield Problem(f"its version {told} is older than {'.'.join(map(str, OLDEST))}", "Update RabbitMQ", loses=True)


def _of_publishing(conf: Any) -> Iterator[Problem]:
    options = cast("dict[str, Any]", conf.broker_transport_options or {})
    if not options.get("confirm_publish"):
        text = "messages are sent without being confirmed (confirm_publish is off)"
        yield Problem(text, "Leave confirm_publish out of CELERY_BROKER_TRANSPORT_OPTIONS", loses=True)
    if str(conf.task_default_delivery_mode) in {"1", "transient"}:
        text = "messages are kept in memory alone (task_default_delivery_mode is transient)"
        yield Problem(text, "Leave out CELERY_TASK_DEFAULT_DELIVERY_MODE", loses=True)


def _of_queue(queue: Queue, conf: Any) -> Iterator[Problem]:
    # One queue among others may be classic, for its priorities; that all are has to be said twice.
    if type_of(queue) == CLASSIC and conf.task_default_queue_type == CLASSIC:
        text = f"queue {queue.name!r} is a classic queue, which counts no deliveries and is kept by one server alone"
        yield Problem(text, "Make it a quorum queue: leave out CELERY_TASK_DEFAULT_QUEUE_TYPE", loses=True)


def _of_limits(app: Celery, version: tuple[int, ...]) -> Iterator[Problem]:
    longest = float(app.conf.task_time_limit or 0) or float("inf")
    if version < _CONSUMER_TIMEOUTS and longest > _USUAL_CONSUMER_TIMEOUT:
        text = (
            "RabbitMQ before 3.12 takes a task away from its worker after 30 minutes, and runs it once more elsewhere,"
            " while tasks may take longer here"
        )
        yield Problem(text, "Write consumer_timeout = 86400000 into its rabbitmq.conf", loses=False)


def priority_problems(app: Celery, version: tuple[int, ...], queues: list[Queue]) -> Iterator[Problem]:
    """What tasks ask for that quorum queues of this version of RabbitMQ do not tell apart."""
    if version >= _STRICT_PRIORITIES or not any(type_of(queue) == QUORUM for queue in queues):
        return
    usual: Any = app.conf.task_default_priority
    asked: dict[str, Any] = {name: getattr(task, "priority", None) for name, task in app.tasks.items()}
    said = {name: priority for name, priority in asked.items() if priority not in {None, usual}}
    remedy = "Declare a queue with x-queue-type classic for it in CELERY_TASK_QUEUES, or update RabbitMQ"
    if version < _PRIORITIES:
        if said:
            text = f"quorum queues before RabbitMQ 4 know no priorities, and {', '.join(sorted(said))} asks for one"
            yield Problem(text, remedy, loses=False)
        return
    for urgent in (False, True):
        alike = {name: priority for name, priority in said.items() if (priority > _LESS) is urgent}
        if len({*alike.values(), *([usual] if ((usual or 0) > _LESS) is urgent else [])}) > 1:
            text = (
                f"quorum queues before RabbitMQ 4.3 know two priorities, up to {_LESS} and above, and do not tell"
                f" {', '.join(sorted(alike))} from others on the same side"
            )
            yield Problem(text, remedy, loses=False)
