"""Apps that call tasks, and hold on to no server afterwards."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.backends.redis import RedisBackend


@contextmanager
def client(app: Celery) -> Generator[Celery]:
    """The app while it calls, disconnected at the end."""
    try:
        yield app
    finally:
        disconnect(app)


def disconnect(app: Celery) -> None:
    """Close what the app opened to read results, which a plain Celery app's ``close`` leaves open.

    Celery makes a result backend for each thread and knows only that of the current one. A result that is let go later
    would connect again to take leave of the server, which may be gone by then: so all of them take leave now. An app of
    ours has one backend, and closes it.

    What the app opened to send is kombu's: one pool for all apps of a URL, for as long as the process lives.
    """
    backends: list[Any] = [each for each in gc.get_objects() if issubclass(type(each), RedisBackend)]
    for backend in backends:
        if backend.app is app and not hasattr(backend, "disconnect"):
            backend.result_consumer.stop()
            backend.result_consumer.subscribed_to.clear()
            backend.client.connection_pool.disconnect()
    app.close()
