"""The entry point of the Telegram bot: ``python -m delivery.bot.app``."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

from core.configs.infrastructure import configure_infrastructure
from core.configs.settings import BotSettings, SettingsError
from delivery.bot.polling import TokenRefusedError
from delivery.bot.program import BotProgram
from ioc.bot import register_bot
from ioc.container import get_container

__all__ = ["main"]

logger = structlog.get_logger(__name__)


def main() -> None:
    """Serve until SIGINT or SIGTERM. Without a token there is nothing to serve, which is no error."""
    try:
        configure_infrastructure(service_name="bot")
        if BotSettings().token is None:
            logger.warning("there is no bot: BOT_TOKEN is not set. @BotFather on Telegram gives one")
            return
        asyncio.run(_until_asked_to_stop(get_container(register_bot).resolve(BotProgram)))
    except (SettingsError, TokenRefusedError) as error:
        sys.exit(f"bot: {error}")


async def _until_asked_to_stop(program: BotProgram) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await program.run(stop)


if __name__ == "__main__":
    main()
