"""Messages that are kept up to date with the tasks that they are about."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from aiogram.exceptions import TelegramAPIError, TelegramBadRequest
from redis.exceptions import RedisError

from celeriac.exceptions import HistoryUnavailable
from celeriac.http.lookup import Found, look
from celeriac.http.problems import ProblemError
from celeriac.http.views import is_final
from celeriac.tasks.policies import TaskState
from delivery.bot.followed import LONGEST, Followed, Shown
from delivery.bot.retrying import AWAY
from delivery.bot.texts import cancel_button, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiogram import Bot
    from aiogram.types import Message

    from celeriac.http.services import Services

__all__ = ["Follows"]

logger = logging.getLogger(__name__)

MOST: Final = 25
"""Tasks that are followed at the same time: Telegram takes about thirty messages a second from a bot."""
APART: Final = 1.0
"""Seconds between two edits of one message, which is what Telegram allows in a chat."""
LOOK_EVERY: Final = 5.0
"""Seconds of silence after which a task is looked up: one that was cancelled while it waited says nothing."""


class _Latest:
    """The newest of what was said; what nobody has read by then is skipped."""

    def __init__(self) -> None:
        self._found: Found | None = None
        self._news = asyncio.Event()

    def put(self, found: Found) -> None:
        self._found = found
        self._news.set()

    async def get(self) -> Found:
        while self._found is None or not self._news.is_set():
            await self._news.wait()
        self._news.clear()
        return self._found

    def unread(self) -> None:
        """What was read last could not be shown, and is news again."""
        self._news.set()


class Follows:
    """Edits one message for each task, about once a second at most, until the task has ended.

    Args:
        desk: where tasks are looked up.
        bot: who edits.
        most: how many are followed at the same time.
        apart: seconds between two edits of a message.
    """

    def __init__(self, desk: Services, bot: Bot, *, most: int = MOST, apart: float = APART) -> None:
        self._desk = desk
        self._bot = bot
        self._followed = Followed(desk, bot.id)
        self._most = most
        self._apart = apart
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Message, view: Mapping[str, Any], name: str = "") -> None:
        """Answer a message with a task, and keep the answer up to date until the task has ended.

        Args:
            asked: the message of the user.
            view: what is known of the task now.
            name: its name, where the view has none.
        """
        task_id, name = str(view["task_id"]), str(view.get("name") or name)
        text = told(view, name)
        if is_final(TaskState(view["status"])):
            await asked.answer(text)
            return
        follows = len(self._running) < self._most
        note = "" if follows else f"\nI follow {self._most} tasks already: ask /status for this one."
        message = await asked.answer(text + note, reply_markup=cancel_button(task_id))
        if follows:
            shown = Shown(message.chat.id, message.message_id, task_id, name)
            await self._followed.add(shown)
            self._start(shown, text)

    async def resume(self) -> None:
        """Go on with the messages that an earlier process of this bot has left."""
        for shown in (await self._followed.all())[: self._most]:
            self._start(shown, "")

    def _start(self, shown: Shown, text: str) -> None:
        running = asyncio.get_running_loop().create_task(self._guarded(shown, text))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Follow nothing any more. The messages stay as they are, until the next process goes on with them."""
        running = list(self._running)
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _guarded(self, shown: Shown, text: str) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await self._follow(shown, text)
        except TimeoutError:
            logger.info("%s takes long and is no longer followed", shown.task)
        except TelegramAPIError as error:  # deleted, or the user has blocked the bot
            logger.info("%s is no longer followed: %s", shown.task, error)
        except Exception:
            logger.exception("%s is no longer followed", shown.task)
        await self._followed.drop(shown)

    async def _follow(self, shown: Shown, before: str) -> None:
        latest = _Latest()
        reader = asyncio.create_task(self._read(shown.task, latest))
        try:
            while True:
                found = await latest.get()
                text = told(found.view(self._desk), shown.name)
                try:
                    if text != before:
                        await self._edit(shown, text, ended=found.ended)
                except AWAY as error:
                    logger.warning("a message cannot be edited for now: %s", error)
                    latest.unread()
                else:
                    before = text
                    if found.ended:
                        return
                await asyncio.sleep(self._apart)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, task_id: str, latest: _Latest) -> None:
        """Put what the task is, whenever that changes, until it has ended. While Redis is away, nothing changes."""
        while True:
            with suppress(RedisError, HistoryUnavailable, ProblemError):
                async with aclosing(self._desk.states.follow(task_id, LOOK_EVERY)) as states:
                    async for meta in states:
                        found = Found(task_id, meta, None, revoked=False)
                        if meta is None or found.ended:
                            found = await self._whole(task_id, found)
                        latest.put(found)
                        if found.ended:
                            return
            await asyncio.sleep(LOOK_EVERY)

    async def _whole(self, task_id: str, found: Found) -> Found:
        """With what the history knows, if it can be asked."""
        try:
            return await look(self._desk, task_id)
        except (HistoryUnavailable, ProblemError):
            return found

    async def _edit(self, shown: Shown, text: str, *, ended: bool) -> None:
        markup = None if ended else cancel_button(shown.task)
        try:
            await self._bot.edit_message_text(text, chat_id=shown.chat, message_id=shown.message, reply_markup=markup)
        except TelegramBadRequest as error:
            if "message is not modified" not in str(error):
                raise
