"""The Redis server on which policies keep what all workers have to know."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celeriac.exceptions import InvalidTask
from celeriac.transport.connector import leads_to_redis
from celeriac.transport.server import broker_server, shelf_of

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.transport.server import RedisServer

__all__ = ["Shelf"]


class Shelf:
    """The results' Redis server, else the broker's. One for all tasks of an app: see :meth:`of`."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._server: RedisServer | None = None
        self._broker: RedisServer | None = None
        self._pid = 0

    @classmethod
    def of(cls, app: Celery, task: str, policy: object) -> Shelf:
        """The app's; opens no connection.

        Raises:
            InvalidTask: neither results nor messages go to a Redis server, so that no two workers have one in common.
        """
        known = cls.known(app)
        if known is None and app.conf.task_always_eager:
            return cls(app)  # nobody will ask it: tasks run inside of their callers
        if known is None:
            problem = f"what all workers have to know of its policy ({policy}) is kept in Redis, and neither"
            raise InvalidTask(task=task, problem=f"{problem} CELERY_RESULT_BACKEND nor CELERY_BROKER_URL leads to one")
        return known

    @classmethod
    def known(cls, app: Celery) -> Shelf | None:
        """The app's; ``None`` where neither results nor messages go to a Redis server."""
        conf: Any = app.conf
        results, broker = str(conf.result_backend or ""), str(conf.broker_read_url or "")
        if not (leads_to_redis(results) or leads_to_redis(broker)):
            return None
        found: Shelf | None = vars(app).get("_celeriac_shelf")
        if found is None:
            found = vars(app)["_celeriac_shelf"] = cls(app)
        return found

    @property
    def server(self) -> RedisServer:
        """The server, with connections of this process's own."""
        self._settle_in()
        if self._server is None:
            msg = "neither results nor messages go to a Redis server"
            raise RuntimeError(msg)
        return self._server

    @property
    def broker(self) -> RedisServer | None:
        """The server of messages, where that is a Redis server."""
        self._settle_in()
        return self._broker

    def _settle_in(self) -> None:
        if self._pid != os.getpid():
            self._server, self._broker = shelf_of(self._app), broker_server(self._app)
            self._pid = os.getpid()
