"""Fetching what users wrote: nothing is lost, and nothing is done twice, whenever the bot is stopped or killed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiogram.exceptions import AiogramError, TelegramConflictError, TelegramNotFound, TelegramUnauthorizedError
from aiogram.methods import GetUpdates

from delivery.bot.retrying import AWAY, pauses

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from aiogram import Bot, Dispatcher
    from aiogram.types import BotCommand, Update

T = TypeVar("T")

__all__ = ["Polling", "TokenRefusedError"]

logger = logging.getLogger(__name__)

WAIT: Final = 30
"""Seconds for which Telegram holds a question for updates."""
GRACE: Final = 10.0
"""Seconds that messages in hand get at the end."""
APART: Final = 1.0
"""Seconds between two questions while a chat is slow: Telegram answers at once, as long as updates are in hand."""
TRIES: Final = 5
"""How often an answer is tried that fails with Telegram there for others: it would hold them up for ever."""
_KINDS: Final = ["message", "callback_query"]
_ANSWERED_WITHIN: Final = 15


class TokenRefusedError(Exception):
    """Telegram does not know the token."""


class Polling:
    """Asks Telegram for updates, and has them handled.

    Updates are acknowledged by the next question, up to the oldest whose answer is not out. So a bot that is killed
    gets that one again, and those behind it; whatever must not be done twice is kept under the update's id. Chats are
    served side by side, and the messages of one chat in their order. A chat that is slow holds up no other, unless a
    hundred updates have come since: Telegram shows no more at a time.

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
        self._there = False
        self._handled: dict[int, bool] = {}
        """Whether an update is handled, for those that are not acknowledged, in their order."""
        self._queues: dict[int | None, deque[Update]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set.

        Raises:
            TokenRefusedError: Telegram does not know the token.
        """
        stopping = asyncio.create_task(stop.wait())
        try:
            await self._unless(stopping, self._introduce())
            while not stop.is_set():
                for update in await self._unless(stopping, self._fetch()) or []:
                    self._take(update)
                if self._serving:
                    await self._unless(stopping, asyncio.wait([*self._serving], timeout=APART))
            await self._finish()
            await self._acknowledge()
        except (TelegramUnauthorizedError, TelegramNotFound):
            msg = "Telegram refuses the token in BOT_TOKEN. Ask @BotFather for the one that counts"
            raise TokenRefusedError(msg) from None
        finally:
            for each in (stopping, *self._serving):
                each.cancel()

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
        question = GetUpdates(offset=self._next(), timeout=WAIT, allowed_updates=_KINDS)
        try:
            updates = await self._bot(question, request_timeout=WAIT + _ANSWERED_WITHIN)
        except (TelegramUnauthorizedError, TelegramNotFound):
            raise
        except AiogramError as error:
            self._there = False
            await self._rest(error)
            return []
        self._there = True
        self._pauses = pauses()
        return updates

    async def _rest(self, error: AiogramError) -> None:
        pause = max(next(self._pauses), float(getattr(error, "retry_after", 0)))
        why = "another bot, or a webhook, has this token" if isinstance(error, TelegramConflictError) else "away"
        logger.warning("Telegram is not asked for %g s (%s): %s", pause, why, error)
        await asyncio.sleep(pause)

    def _take(self, update: Update) -> None:
        """Put it behind those of its chat, unless it is in hand: what is not acknowledged comes with each answer."""
        if update.update_id in self._handled:
            return
        self._handled[update.update_id] = False
        chat = _chat_of(update)
        if chat in self._queues:
            self._queues[chat].append(update)
            return
        self._queues[chat] = deque([update])
        serving = asyncio.create_task(self._serve(chat))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, chat: int | None) -> None:
        queue = self._queues[chat]
        while queue:
            update = queue.popleft()
            await self._handle(update)
            self._handled[update.update_id] = True
        del self._queues[chat]

    async def _handle(self, update: Update) -> None:
        """Until its answer is out: one that Telegram did not take, being away, is made again."""
        tries = 0
        for pause in pauses():
            try:
                await self._dispatcher.feed_update(self._bot, update)
            except AWAY as error:
                tries += self._there
                if tries >= TRIES:
                    logger.exception("update %d cannot be answered, and is given up", update.update_id)
                    return
                logger.warning("update %d is handled again in %g s: %s", update.update_id, pause, error)
            except Exception:  # it would come again for ever
                logger.exception("update %d could not be handled", update.update_id)
                return
            else:
                return
            await asyncio.sleep(pause)

    def _next(self) -> int | None:
        """The oldest update that is not handled, as far as is known; all before it are acknowledged."""
        for update_id, handled in list(self._handled.items()):
            if not handled:
                break
            del self._handled[update_id]
            self._offset = update_id + 1
        return self._offset

    async def _finish(self) -> None:
        """Give what is in hand a little time."""
        if not self._serving:
            return
        _, late = await asyncio.wait(self._serving, timeout=GRACE)
        for each in late:
            each.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            left = sum(not handled for handled in self._handled.values())
            logger.warning("stopped in the middle of %d updates; Telegram keeps them", left)

    async def _acknowledge(self) -> None:
        """Tell Telegram what was handled, so that it does not come again."""
        offset = self._next()
        if offset is None:
            return
        try:
            question = GetUpdates(offset=offset, timeout=0, limit=1, allowed_updates=_KINDS)
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
