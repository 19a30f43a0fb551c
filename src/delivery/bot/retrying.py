"""Calls to Telegram that wait where it asks for that, try again while it is away, and never show the token."""

from __future__ import annotations

import asyncio
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

AWAY: Final = (TelegramNetworkError, TelegramServerError, TelegramRetryAfter, ClientDecodeError)
"""What passes by itself: no network, Telegram broken or busy, or something else that answers in its place."""
PATIENCE: Final = 60.0
"""Seconds for which one call is tried; what is said later than that is of no use."""
_FIRST, _LAST = 0.5, 30.0


def pauses() -> Iterator[float]:
    """Seconds between one try and the next: twice as long each time, up to half a minute."""
    pause = _FIRST
    while True:
        yield pause
        pause = min(2 * pause, _LAST)


class Retrying(BaseRequestMiddleware):
    """For every call but the one for updates, which :class:`~delivery.bot.polling.Polling` repeats by itself.

    A call whose answer was lost is made again, so a message may come twice, and is not lost.

    Args:
        patience: seconds after which a call has failed.
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
                wait = float(error.retry_after) if isinstance(error, TelegramRetryAfter) else pause
                if time.monotonic() + wait > end:
                    raise _without_token(error, bot, method) from None
            await asyncio.sleep(wait)
        raise AssertionError  # pauses() has no end


def _without_token(
    error: TelegramAPIError | ClientDecodeError, bot: Bot, method: TelegramMethod[TelegramType]
) -> TelegramAPIError | ClientDecodeError:
    """The error itself, or one that says the same without the token: it is part of each URL."""
    if bot.token not in str(error):
        return error
    return TelegramNetworkError(method=method, message=str(error).replace(bot.token, "***"))
