"""Which message shows which task, kept on Redis, so that a bot that is started again goes on where it was."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from celeriac.http.problems import ProblemError

if TYPE_CHECKING:
    from celeriac.http.services import Services

__all__ = ["LONGEST", "Followed", "Shown"]

logger = logging.getLogger(__name__)

LONGEST: Final = 24 * 3600
"""Seconds after which a task is no longer followed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message of the bot's that shows a task.

    Attributes:
        chat: the id of its chat.
        message: its id there.
        task: the id of the task.
        name: the task's name, empty if it is not known.
    """

    chat: int
    message: int
    task: str
    name: str


class Followed:
    """Remembers them as well as it can: while Redis is away, nothing is remembered, and nobody waits.

    Args:
        desk: has the server.
        bot_id: whose messages these are.
    """

    def __init__(self, desk: Services, bot_id: int) -> None:
        self._desk = desk
        self._bot_id = bot_id

    async def add(self, shown: Shown) -> None:
        """Remember one, for a day."""
        said = json.dumps([time.time(), shown.chat, shown.message, shown.task, shown.name])
        await self._ask(("HSET", self._key, _field(shown), said), ("EXPIRE", self._key, LONGEST))

    async def drop(self, shown: Shown) -> None:
        """Forget one."""
        await self._ask(("HDEL", self._key, _field(shown)))

    async def all(self) -> list[Shown]:
        """Those that an earlier process left."""
        kept = [json.loads(said) for values in await self._ask(("HVALS", self._key)) for said in values]
        return [Shown(*said) for since, *said in kept if time.time() - since < LONGEST]

    @property
    def _key(self) -> str:
        return "" if self._desk.shelf is None else self._desk.shelf.key(f"bot:{self._bot_id}:followed")

    async def _ask(self, *commands: tuple[str | int, ...]) -> list[Any]:
        if self._desk.shelf is None:
            return []
        try:
            return await self._desk.ask_redis(self._desk.shelf.pipeline, list(commands))
        except (RedisError, ProblemError) as error:
            logger.warning("which messages show which tasks is not kept: %s", error)
            return []


def _field(shown: Shown) -> str:
    return f"{shown.chat}:{shown.message}"
