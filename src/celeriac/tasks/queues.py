"""Which queues an app declares, and what carries them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu import Exchange, Queue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

__all__ = ["declare_queues", "transport_of"]


def transport_of(app: Celery) -> str:
    """The kombu transport that an app publishes through, such as ``"redis"`` or ``"amqp"``."""
    url = str(app.conf.broker_write_url or app.conf.broker_url or "amqp://")
    return url.partition("://")[0].partition("+")[0]


def declare_queues(app: Celery, names: Iterable[str]) -> None:
    """Add queues to those that the app declares, and that its workers read unless ``-Q`` names others.

    They are what Celery would make of an unknown name: a direct exchange and a routing key of the queue's own name, so
    that producers that know only the name reach them.
    """
    said: Any = app.conf.task_queues or ()
    named = isinstance(said, dict)
    declared: dict[str, Any] = {**said} if named else {queue.name: queue for queue in said}
    for name in (app.conf.task_default_queue, *names):
        declared.setdefault(name, Queue(name, Exchange(name, type="direct"), routing_key=name))
    app.conf.task_queues = declared if named else tuple(declared.values())
    app.amqp.__dict__.pop("queues", None)  # computed once, and perhaps too early
    app.amqp.flush_routes()
