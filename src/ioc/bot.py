"""The bot, and what its handlers work with. Only the bot's process registers it."""

from __future__ import annotations

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.enums import ParseMode
from celery import Celery

from celeriac.http.services import Services
from celeriac.security.gate import Gate
from celeriac.security.server import server_of
from core.configs.settings import BotSettings, Settings, SettingsError
from delivery.bot.access import Access
from delivery.bot.following import Follows
from delivery.bot.handlers.general import COMMANDS, GeneralHandlers
from delivery.bot.handlers.system import SystemHandlers
from delivery.bot.handlers.tasks import TaskHandlers
from delivery.bot.polling import Polling
from delivery.bot.program import BotProgram
from delivery.bot.retrying import Retrying
from delivery.bot.sending import Sending
from delivery.bot.users import Users
from delivery.tasks.registry import TasksRegistry
from ioc.punq_container import Container
from ioc.registration import Lifetime
from ioc.services import register_services

__all__ = ["register_bot"]


def register_bot(container: Container) -> None:
    """Register the bot. It opens nothing before it runs."""
    register_services(container)
    container.register(BotProgram, _program, lifetime=Lifetime.SINGLETON)


def _program(settings: Settings, celery: Celery, registry: TasksRegistry, desk: Services) -> BotProgram:
    """All of it. The gate counts at the bot's rate, and knows nobody by keys.

    Raises:
        SettingsError: there is no token.
    """
    said = settings.bot_settings
    bot = _bot(said)
    follows = Follows(desk, bot)
    gate = Gate(server_of(celery), rate=None if said.rate_limit == "off" else said.rate_limit)
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.update.outer_middleware(Access(gate, Users(said.users, said.groups)))
    dispatcher.include_routers(
        TaskHandlers(desk, registry, Sending(desk, bot.id), follows).router(),
        SystemHandlers(desk).router(),
        GeneralHandlers(registry).router(),
    )
    return BotProgram(bot, Polling(bot, dispatcher, COMMANDS), follows, desk, gate)


def _bot(said: BotSettings) -> Bot:
    if said.token is None:
        msg = "BOT_TOKEN is not set: @BotFather on Telegram gives one"
        raise SettingsError(msg)
    session = AiohttpSession(api=TelegramAPIServer.from_base(said.api_url))
    session.middleware(Retrying())
    return Bot(said.token.get_secret_value(), session, default=DefaultBotProperties(parse_mode=ParseMode.HTML))
