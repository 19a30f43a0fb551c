"""Who may use the bot, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiogram.enums import ChatType

from celeriac.security.callers import Caller

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aiogram import Bot
    from aiogram.types import Chat, Update, User

__all__ = ["Users", "is_for"]


class Users:
    """Telegram's users as callers.

    Args:
        scopes: what each may do, by Telegram's id.
        groups: ids of the groups in which they may ask, beside private chats.
    """

    def __init__(self, scopes: Mapping[int, Collection[str]], groups: Collection[int] = ()) -> None:
        self._scopes = scopes
        self._groups = groups

    def knows(self, user: User) -> bool:
        """Whether it is one of those who may do anything."""
        return user.id in self._scopes

    def caller(self, user: User) -> Caller:
        """The user as a caller; a stranger may do nothing. The id counts: names can be changed, and given to others."""
        return Caller(f"telegram:{user.id}", frozenset(self._scopes.get(user.id, ())), name=user.username or "")

    def may_ask_in(self, chat: Chat) -> bool:
        """Whether the bot answers there."""
        return chat.type == ChatType.PRIVATE or chat.id in self._groups


async def is_for(bot: Bot, update: Update, chat: Chat) -> bool:
    """Whether a bot is meant. In a group, people talk to each other, and to other bots."""
    if chat.type == ChatType.PRIVATE or update.message is None:
        return True
    first = (update.message.text or "").split(maxsplit=1)[:1]
    command, _, name = "".join(first).partition("@")
    if not command.startswith("/"):
        return False
    return not name or name.casefold() == ((await bot.me()).username or "").casefold()
