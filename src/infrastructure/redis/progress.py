"""How far exports are, in Redis, for whoever knows the id of the task."""

from __future__ import annotations

import json
from typing import Final

import structlog
from redis import Redis, RedisError

from core.exports.entities import ExportProgress

__all__ = ["RedisProgressBoard"]

logger = structlog.get_logger(__name__)

_LIFETIME: Final = 3600
"""Seconds for which a step is shown."""


class RedisProgressBoard:
    """Fulfils :class:`core.exports.ports.ProgressBoard` by the key ``export_progress:{task_id}``, which holds JSON."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def put(self, task_id: str, progress: ExportProgress) -> None:
        """See :meth:`core.exports.ports.ProgressBoard.put`."""
        try:
            self._redis.set(f"export_progress:{task_id}", json.dumps(progress), ex=_LIFETIME)
        except RedisError as error:
            logger.warning("progress of an export was not shown", task_id=task_id, error=str(error))
