"""What stands before every handler: who writes, whether they may now, what they are answered if not, and the record."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiogram import BaseMiddleware
from aiogram.exceptions import TelegramAPIError
from aiogram.types import Update
from typing_extensions import override

from celeriac.exceptions import NotAuthenticated, TooManyRequests
from celeriac.security.audit import AuditRecord
from celeriac.security.trail import Trail, current_trail
from delivery.bot.problems import answer_of, outcome_of, reply
from delivery.bot.retrying import AWAY
from delivery.bot.users import Users, is_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiogram.types import Chat, TelegramObject, User

    from celeriac.security.callers import Caller
    from celeriac.security.gate import Gate

__all__ = ["Access"]

logger = logging.getLogger(__name__)

_WRITES: Final = frozenset({"run_task", "revoke_task"})
_MOST_TOLD: Final = 10_000


class Access(BaseMiddleware):
    """Gives handlers the ``caller``, and turns what they raise into answers.

    What is done, and what is refused, goes into the record that HTTP writes, too. A stranger is told an id to hand to
    whoever runs the service, and nothing else; who asks too often is told once.

    That Telegram is away is no answer: such an error goes on to whoever handles the update again. Then it is neither
    counted nor recorded once more.

    Args:
        gate: counts and records.
        users: who may do what, and where.
    """

    def __init__(self, gate: Gate, users: Users) -> None:
        self._gate = gate
        self._users = users
        self._quiet: dict[int, float] = {}
        self._unanswered: set[int] = set()
        """Updates that were counted, and whose answer is not out."""

    @override
    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        user: User | None = data.get("event_from_user")
        chat: Chat | None = data.get("event_chat")
        if not isinstance(event, Update) or user is None or chat is None or user.is_bot:
            return
        if not await is_for(data["bot"], event, chat):
            return
        known = self._users.knows(user)
        if not self._users.may_ask_in(chat):
            if known:
                await self._say(event, f"I answer in private, and in the groups of BOT_GROUPS. This is {chat.id}.")
            return
        caller = data["caller"] = self._users.caller(user)
        trail = Trail(caller)
        again = event.update_id in self._unanswered
        token = current_trail.set(trail)
        try:
            error = await self._handled(handler, event, data, caller, known=known)
        finally:
            current_trail.reset(token)
        away = error if isinstance(error, AWAY) else None
        if away is not None:  # it was done, and cannot be said
            error = None
        if not again and (error is not None or trail.action in _WRITES):
            keep = known and not isinstance(error, TooManyRequests)
            self._gate.audit.record(_made(trail, caller, chat, error), keep=keep)
        if away is not None:
            raise away
        if error is not None and not self._is_quiet(user, error):
            answer = answer_of(error) if known else f"I do not know you. Your id is {user.id}."
            await self._say(event, answer)
        self._unanswered.discard(event.update_id)

    async def _handled(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: Update,
        data: dict[str, Any],
        caller: Caller,
        *,
        known: bool,
    ) -> Exception | None:
        """What went wrong, if anything did."""
        try:
            if event.update_id not in self._unanswered:
                await self._gate.admit(caller)
                self._unanswered.add(event.update_id)
            if not known:
                raise NotAuthenticated(problem="BOT_USERS does not name this user")  # noqa: TRY301  as a handler's own
            await handler(event, data)
        except Exception as error:  # noqa: BLE001  whoever asked is told, and the next one is served
            return error
        return None

    def _is_quiet(self, user: User, error: Exception) -> bool:
        """Whether nothing is to be said: an answer to each of too many messages would be too many, too."""
        if not isinstance(error, TooManyRequests):
            return False
        now = time.monotonic()
        if now < self._quiet.get(user.id, 0.0):
            return True
        if len(self._quiet) >= _MOST_TOLD:
            self._quiet.clear()
        self._quiet[user.id] = now + error.retry_after
        return False

    @staticmethod
    async def _say(event: Update, text: str) -> None:
        try:
            await reply(event, text)
        except AWAY:
            raise
        except TelegramAPIError as error:
            logger.warning("an answer did not reach its chat: %s", error)


def _made(trail: Trail, caller: Caller, chat: Chat, error: Exception | None) -> AuditRecord:
    return AuditRecord(
        at=datetime.now(UTC),
        subject=caller.subject,
        method=str(caller.method),
        name=caller.name,
        action=trail.action,
        permission=trail.permission,
        task=trail.task,
        task_id=trail.task_id,
        outcome=outcome_of(error),
        address=f"chat:{chat.id}",
        detail=trail.detail,
    )
