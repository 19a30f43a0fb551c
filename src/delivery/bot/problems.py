"""Whatever goes wrong, as an answer in a chat."""

from __future__ import annotations

import asyncio
import logging
from html import escape
from typing import TYPE_CHECKING, Final, TypeVar

from aiogram.exceptions import AiogramError
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from celeriac.exceptions import (
    AccessError,
    BrokerUnavailable,
    CallError,
    HistoryUnavailable,
    ResultTimeout,
    ResultUnavailable,
    TaskRevoked,
)
from celeriac.http.problems import ProblemError, unavailable
from delivery.bot.texts import cut

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from aiogram.types import Update

T = TypeVar("T")

__all__ = ["answer_of", "in_time", "outcome_of", "reply"]

logger = logging.getLogger(__name__)

_TOAST: Final = 200
"""Characters that the answer to a button may have."""
_BUDGET: Final = 1.5
"""Seconds; with what the count of requests takes at most, somebody is answered within two."""
_BROKEN: Final = 500
_AGAIN: Final = "Try again in a moment."


def answer_of(error: Exception) -> str:
    """What is said of an error: its own words where they are meant for callers."""
    if isinstance(error, (AccessError, CallError, ResultTimeout, TaskRevoked)):
        return str(error)
    if isinstance(error, ProblemError):
        return str(error) if error.status < _BROKEN else f"{error} {_AGAIN}"
    if isinstance(error, BrokerUnavailable):
        sent = "It may have been sent all the same: look before you try again." if error.uncertain else _AGAIN
        return f"The broker is away: {error}. {sent}"
    if isinstance(error, (RedisError, OperationalError)):
        logger.warning("Redis or the broker did not answer: %s", error)
        return f"The broker is away: it did not answer. Nothing was done. {_AGAIN}"
    if isinstance(error, (HistoryUnavailable, ResultUnavailable)):
        return f"{error}. {_AGAIN}"
    if isinstance(error, AiogramError):
        logger.warning("Telegram did not take an answer: %s", error)
    else:
        logger.error("a message could not be handled", exc_info=error)
    return "Something went wrong here. The log of the bot says what."


def outcome_of(error: Exception | None) -> str:
    """The same for the record."""
    if error is None:
        return "done"
    if isinstance(error, AccessError):
        return "refused"
    refused = isinstance(error, CallError) or (isinstance(error, ProblemError) and error.status < _BROKEN)
    return "invalid" if refused else "failed"


async def in_time(question: Awaitable[T]) -> T:
    """What comes of a question, or of sending what may be sent twice.

    Raises:
        ProblemError: there is none in time: somebody waits at the other end of a chat.
    """
    try:
        async with asyncio.timeout(_BUDGET):
            return await question
    except TimeoutError as error:
        if isinstance(error, ConnectionError):  # an error of ours that says more
            raise
        unavailable(f"The broker is away: no answer came within {_BUDGET:g} s.", error)


async def reply(update: Update, text: str) -> None:
    """Answer a message by a message, and a button by a note over it."""
    if update.callback_query is not None:
        await update.callback_query.answer(cut(text, _TOAST - 50), show_alert=True)
    elif update.message is not None:
        await update.message.answer(escape(cut(text)))
