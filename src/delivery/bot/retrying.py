"""Calls to Telegram that wait where it asks for that, try again while it is away, and never show the token."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from aiogram.client.session.middlewares.base import BaseRequestMiddleware
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import GetUpdates
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiogram import Bot
    from aiogram.client.session.middlewares.base import NextRequestMiddlewareType
    from aiogram.methods import Response, TelegramMethod
    from aiogram.methods.base import TelegramType

__all__ = ["AWAY", "Retrying", "pauses"]

logger = logging.getLogger(__name__)

AWAY: Final = (TelegramNetworkError, TelegramServerError, TelegramRetryAfter, ClientDecodeError)
"""What passes by itself: no network, Telegram broken or busy, or something else that answers in its place."""
PATIENCE: Final = 600.0
"""Seconds for which one call is tried, beside those that Telegram asks to wait."""
_FIRST, _LAST = 0.5, 30.0


def pauses() -> Iterator[float]:
    """Seconds between one try and the next: twice as long each time, up to half a minute."""
    pause = _FIRST
    while True:
        yield pause
        pause = min(2 * pause, _LAST)


class Retrying(BaseRequestMiddleware):
    """For every call but the one for updates, which :class:`~delivery.bot.polling.Polling` repeats by itself.

    A call whose answer was lost is made again, so a message may come twice, and is not lost. What Telegram asks to wait
    is waited, however long that is.

    Args:
        patience: seconds after which a call has failed, while Telegram asks for nothing.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience

    @override
    async def __call__(
        self, make_request: NextRequestMiddlewareType[TelegramType], bot: Bot, method: TelegramMethod[TelegramType]
    ) -> Response[TelegramType]:
        once = method.__api_method__ == GetUpdates.__api_method__
        end = time.monotonic() + (0.0 if once else self._patience)
        for pause in pauses():
            try:
                return await make_request(bot, method)
            except AWAY as error:
                shown, wait, now = _without_token(error, bot, method), pause, time.monotonic()
                if not once and _was_taken(error):
                    raise TelegramAPIError(method, "it was taken, and answered by what cannot be read") from None
                if not once and isinstance(error, TelegramRetryAfter):
                    wait = float(error.retry_after)
                    end = now + wait + self._patience
                if now + wait > end:
                    raise shown from None
                logger.warning("%s is tried again in %g s: %s", method.__api_method__, wait, shown)
            await asyncio.sleep(wait)
        raise AssertionError  # pauses() has no end


def _was_taken(error: Exception) -> bool:
    """Whether Telegram did what it was asked for, so that it must not be asked again."""
    return isinstance(error, ClientDecodeError) and isinstance(error.data, dict) and error.data.get("ok") is True


def _without_token(
    error: TelegramAPIError | ClientDecodeError, bot: Bot, method: TelegramMethod[TelegramType]
) -> TelegramAPIError | ClientDecodeError:
    """The error itself, or one that says the same without the token: it is part of each URL."""
    if bot.token not in str(error):
        return error
    return TelegramNetworkError(method=method, message=str(error).replace(bot.token, "***"))
