"""A consumer that keeps what it is given, for tests that look at deliveries one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from celery import Celery


class Consumer:
    def __init__(self, app: Celery, connection: Any, **options: Any) -> None:
        self.connection = connection
        self.got: list[Any] = []
        self.consumer = app.amqp.TaskConsumer(connection, on_message=self.got.append, **options)
        self.consumer.consume()
        self.channel: Any = self.consumer.channel  # the transport's own

    def drain(self, seconds: float = 0.3, *, until: Callable[[], Any] | None = None) -> list[Any]:
        """Take what comes within ``seconds``, or until something holds; gives what was got in all."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not (until and until()):
            try:
                self.connection.drain_events(timeout=min(left, 0.2))
            except TimeoutError:
                continue
        return self.got

    def one(self) -> Any:
        """The next message."""
        before = len(self.got)
        self.drain(10, until=lambda: len(self.got) > before)
        assert len(self.got) > before, "nothing came"
        return self.got[before]


@contextmanager
def consuming(app: Celery, **options: Any) -> Generator[Consumer]:
    with app.connection_for_read() as connection:
        yield Consumer(app, connection, **options)
