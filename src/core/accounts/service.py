"""Opening accounts, and looking at them."""

from __future__ import annotations

import structlog

from core.accounts.entities import User
from core.accounts.errors import UnknownUserError
from core.accounts.ports import FollowUps, Users
from core.transactions import AsyncUnitOfWork

__all__ = ["AccountService"]

logger = structlog.get_logger(__name__)


class AccountService:
    """Opens accounts, and looks them up.

    Args:
        unit: the transaction that a user and what follows are kept in.
        users: where they are kept.
        follow_ups: what follows.
    """

    def __init__(self, unit: AsyncUnitOfWork, users: Users, follow_ups: FollowUps) -> None:
        self._unit = unit
        self._users = users
        self._follow_ups = follow_ups

    async def create(self, email: str, name: str = "") -> User:
        """Keep a new user, and that they are to be welcomed: both, or neither.

        Nothing waits for the letter: it is sent once the transaction is kept, however long that takes.

        Raises:
            EmailTakenError: somebody has the address.
            DatabaseUnavailableError: the database is away.
        """
        async with self._unit:
            user = await self._users.add(email.lower(), name)
            self._follow_ups.welcome(user)
        logger.info("user created", user_id=user.id)
        return user

    async def get(self, user_id: int) -> User:
        """The user.

        Raises:
            UnknownUserError: there is none.
            DatabaseUnavailableError: the database is away.
        """
        if (user := await self._users.find(user_id)) is None:
            raise UnknownUserError.of(user_id)
        return user
