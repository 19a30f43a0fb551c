"""Sending a task for a message once, however often Telegram delivers that message."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from celeriac.http.problems import ProblemError
from celeriac.http.sending import send
from celeriac.security.trail import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celeriac.http.services import Services
    from celeriac.security.callers import Caller
    from celeriac.tasks.call import CallOptions
    from celeriac.tasks.handle import TaskHandle

__all__ = ["Sending"]

_APART = 1.0
"""Seconds between two looks whether another process has sent it."""


class Sending:
    """Keeps for a day which message became which task.

    Args:
        desk: remembers, and has the broker.
        bot_id: whose updates these are: each bot has a row of numbers of its own.
    """

    def __init__(self, desk: Services, bot_id: int) -> None:
        self._desk = desk
        self._bot_id = bot_id

    async def send(
        self, caller: Caller, handle: TaskHandle[..., Any], args: Sequence[Any], kwargs: dict[str, Any], update: str
    ) -> str:
        """Send a task, unless this update sent it before; gives its id.

        A bot that is killed on the way leaves it open whether the task was sent. Then it is sent under the same id.

        Raises:
            BrokerUnavailable: the broker did not take it.
            redis.exceptions.RedisError: it cannot be known whether it was sent before; nothing was done.
        """
        key = f"telegram:{self._bot_id}:{update}"
        while True:
            try:
                async with self._desk.idempotency.turn(caller.subject, key, handle.name.encode()) as turn:
                    if turn.replay is not None:
                        task_id = turn.replay.decode()
                        note(task=handle.name, task_id=task_id, detail="sent before")
                        return task_id
                    options: CallOptions = {} if turn.task_id is None else {"task_id": turn.task_id}
                    task_id = await send(handle.call(args, kwargs, options), handle)
                    turn.answer = task_id.encode()
                    return task_id
            except ProblemError as error:
                if error.kind != "request-in-flight":
                    raise
            await asyncio.sleep(_APART)
