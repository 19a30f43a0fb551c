"""The bot as a whole: opened, run until it is asked to stop, and closed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from aiogram import Bot

    from celeriac.http.services import Services
    from celeriac.security.gate import Gate
    from delivery.bot.following import Follows
    from delivery.bot.polling import Polling

__all__ = ["BotProgram"]

logger = logging.getLogger(__name__)


class BotProgram:
    """Everything that a bot's process does.

    Args:
        bot: speaks to Telegram.
        polling: what users write.
        follows: the messages that are kept up to date.
        desk: what handlers work with.
        gate: who may do what.
    """

    def __init__(self, bot: Bot, polling: Polling, follows: Follows, desk: Services, gate: Gate) -> None:
        self._bot = bot
        self._polling = polling
        self._follows = follows
        self._desk = desk
        self._gate = gate

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set.

        Raises:
            TokenRefusedError: Telegram does not know the token.
        """
        async with self._desk.lifespan():
            try:
                await self._follows.resume()
                await self._polling.run(stop)
            finally:
                await self._follows.close()
                await self._gate.close()
                await self._bot.session.close()
        logger.info("stopped")
