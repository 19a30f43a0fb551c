"""A part of a RabbitMQ server that belongs to one test."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from amqp import Message
from kombu import Connection
from tests.integration.conftest import APP, Broker, broker_on

from celeriac.testing.worker import WorkerProcess
from celeriac.transport.rabbitmq.names import DEAD
from celeriac.transport.rabbitmq.topology import declare_dead_letters


@dataclass
class Rabbit:
    """A virtual host, a queue in it that is the test's own, and apps and workers that use both."""

    url: str
    queue: str
    results: str
    stack: ExitStack

    def client(self, **options: Any) -> Broker:
        said = {"broker_url": self.url, "task_default_queue": self.queue, **options}
        return self.stack.enter_context(broker_on(self.results, **said))

    def start(self, app: str = APP, **options: Any) -> WorkerProcess:
        options.setdefault("queues", [self.queue])
        options.setdefault("pool", "solo")
        usual = {"CELERY_BROKER_URL": self.url, "CELERY_TASK_DEFAULT_QUEUE": self.queue}
        env = {**usual, **options.pop("env", {})}
        return self.stack.enter_context(WorkerProcess(app, redis_url=self.results, env=env, **options))

    @contextmanager
    def channel(self) -> Generator[Any]:
        with Connection(self.url, transport_options={"confirm_publish": True}) as connection:
            yield connection.channel()

    def depth(self, queue: str | None = None) -> int:
        """Messages that wait; those in the hands of a worker do not count."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue or self.queue, passive=True).message_count)

    def put(self, body: Any = b"", **properties: Any) -> None:
        """A message as any client might write it, straight into the queue."""
        with self.channel() as channel:
            channel.basic_publish(Message(body, **properties), routing_key=self.queue)


@contextmanager
def rabbit_on(url: str, results: str) -> Generator[Rabbit]:
    """A queue of one's own on a server, where nothing is dead yet."""
    with ExitStack() as stack:
        rabbit = Rabbit(url, f"queue-{uuid4().hex[:8]}", results, stack)
        with rabbit.channel() as channel:
            declare_dead_letters(channel)
            channel.queue_purge(DEAD)
        yield rabbit
