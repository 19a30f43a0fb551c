"""The workers, as they answer Celery's own remote control."""

from __future__ import annotations

import time
from asyncio import Lock
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from celeriac.http.problems import unavailable

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.http.offload import Offload

__all__ = ["Fleet"]

PATIENCE: Final = 1.0
"""Seconds without another answer after which all are taken to have answered."""
FRESH: Final = 1.0
"""Seconds for which an answer is given again to whoever asks the same."""


class Fleet:
    """Asks all workers at once. Many who ask the same at the same time are one question.

    Args:
        app: the application.
        ask: asks beside the loop.
    """

    def __init__(self, app: Celery, ask: Offload) -> None:
        self._app = app
        self._ask = ask
        self._locks: dict[str, Lock] = {}
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    async def tell(self, question: str) -> dict[str, Any]:
        """Each worker's answer by the worker's name.

        Args:
            question: a method of Celery's ``Inspect``, such as ``active``.

        Raises:
            ProblemError: the broker does not answer: 503.
        """
        async with self._locks.setdefault(question, Lock()):
            at, answer = self._known.get(question, (0.0, {}))
            if time.monotonic() - at < FRESH:
                return answer
            try:
                answer = await self._ask(self._inspect, question)
            except (RedisError, OperationalError, OSError) as error:
                unavailable(f"The broker did not answer: {type(error).__name__}.", error)
            self._known[question] = time.monotonic(), answer
            return answer

    def _inspect(self, question: str) -> dict[str, Any]:
        inspect: Any = self._app.control.inspect(timeout=PATIENCE)
        return dict(getattr(inspect, question)() or {})
