"""Apps that call tasks, and hold on to no server afterwards."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from celery import Celery


@contextmanager
def client(app: Celery) -> Generator[Celery]:
    """The app while it calls, disconnected at the end."""
    try:
        yield app
    finally:
        disconnect(app)


def disconnect(app: Celery) -> None:
    """Close what the app opened to read results, which Celery's own ``close`` leaves open.

    What it opened to send is kombu's: one pool for all apps of a URL, for as long as the process lives.

    A result that is let go later takes leave of the server, for which Celery would connect again: the server may be
    gone by then, so all of them take leave now.
    """
    gc.collect()
    backend: Any = app.backend
    backend.result_consumer.stop()
    backend.result_consumer.subscribed_to.clear()
    backend.client.connection_pool.disconnect()
    app.close()
