"""Fetching what users wrote: nothing is lost, and nothing is done twice, whenever the bot is stopped or killed."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.methods import GetUpdates

from delivery.bot.retrying import pauses

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator

    from aiogram import Bot, Dispatcher
    from aiogram.types import BotCommand, Update

T = TypeVar("T")

__all__ = ["Polling", "TokenRefusedError"]

logger = logging.getLogger(__name__)

WAIT: Final = 30
"""Seconds for which Telegram holds a question for updates."""
GRACE: Final = 10.0
"""Seconds that messages in hand get at the end."""
_KINDS: Final = ["message", "callback_query"]
_ANSWERED_WITHIN: Final = 15


class TokenRefusedError(Exception):
    """Telegram does not know the token."""


class Polling:
    """Asks Telegram for updates, and has them handled.

    Updates are acknowledged by the next question, which is asked when the answers to all before are out. So a bot that
    is killed gets them again; whatever must not be done twice is kept under the update's id. Chats are served side by
    side, and the messages of one chat in their order.

    Args:
        bot: who is asked.
        dispatcher: what handles them.
        commands: what Telegram shows to users who type a slash.
    """

    def __init__(self, bot: Bot, dispatcher: Dispatcher, commands: list[BotCommand]) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._commands = commands
        self._pauses: Iterator[float] = pauses()
        self._offset: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set.

        Raises:
            TokenRefusedError: Telegram does not know the token.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            await self._unless(stopping, self._introduce())
            while not stop.is_set():
                updates = await self._unless(stopping, self._fetch()) or []
                if updates and await self._handle(updates, stopping):
                    self._offset = updates[-1].update_id + 1
            await self._acknowledge()
        except (TelegramUnauthorizedError, TelegramNotFound):
            msg = "Telegram refuses the token in BOT_TOKEN. Ask @BotFather for the one that counts"
            raise TokenRefusedError(msg) from None
        finally:
            stopping.cancel()

    async def _introduce(self) -> None:
        while True:
            try:
                me = await self._bot.me()
                await self._bot.set_my_commands(self._commands)
            except (TelegramUnauthorizedError, TelegramNotFound):
                raise
            except AiogramError as error:
                await self._rest(error)
            else:
                logger.info("ready: the bot is @%s", me.username)
                return

    async def _fetch(self) -> list[Update]:
        """The next updates, none where Telegram is away for the moment."""
        question = GetUpdates(offset=self._offset, timeout=WAIT, allowed_updates=_KINDS)
        try:
            updates = await self._bot(question, request_timeout=WAIT + _ANSWERED_WITHIN)
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise
        except AiogramError as error:
            await self._rest(error)
            return []
        self._pauses = pauses()
        return updates

    async def _rest(self, error: AiogramError) -> None:
        pause = max(next(self._pauses), float(getattr(error, "retry_after", 0)))
        why = "another bot, or a webhook, has this token" if isinstance(error, TelegramConflictError) else "away"
        logger.warning("Telegram is not asked for %g s (%s): %s", pause, why, error)
        await asyncio.sleep(pause)

    async def _handle(self, updates: list[Update], stopping: asyncio.Task[Any]) -> bool:
        """Whether all were handled; at the end, there is little time for that."""
        chats: defaultdict[int | None, list[Update]] = defaultdict(list)
        for update in updates:
            chats[_chat_of(update)].append(update)
        handling = asyncio.create_task(self._side_by_side(chats.values()))
        await asyncio.wait([handling, stopping], return_when=asyncio.FIRST_COMPLETED)
        try:
            await asyncio.wait_for(handling, GRACE if stopping.done() else None)
        except TimeoutError:
            logger.warning("stopped in the middle of %d updates; Telegram keeps them", len(updates))
            return False
        return True

    async def _side_by_side(self, chats: Iterable[list[Update]]) -> None:
        await asyncio.gather(*(self._in_order(each) for each in chats))

    async def _in_order(self, updates: list[Update]) -> None:
        for update in updates:
            try:
                await self._dispatcher.feed_update(self._bot, update)
            except Exception:  # it would come again for ever
                logger.exception("update %d could not be handled", update.update_id)

    async def _acknowledge(self) -> None:
        """Tell Telegram what was handled, so that it does not come again."""
        if self._offset is None:
            return
        try:
            question = GetUpdates(offset=self._offset, timeout=0, limit=1, allowed_updates=_KINDS)
            await self._bot(question, request_timeout=5)
        except AiogramError as error:
            logger.warning("the last updates will come again: %s", error)

    @staticmethod
    async def _unless(stopping: asyncio.Task[Any], work: Coroutine[Any, Any, T]) -> T | None:
        """What comes of it, or ``None`` once the bot is to stop."""
        task = asyncio.create_task(work)
        await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None


def _chat_of(update: Update) -> int | None:
    if update.message is not None:
        return update.message.chat.id
    callback = update.callback_query
    return None if callback is None or callback.message is None else callback.message.chat.id
