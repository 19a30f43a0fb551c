"""Users in the database."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from core.accounts import EmailTakenError, User
from core.mail import NoAddressError
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.models import UserRow
from infrastructure.database.models.accounts import may_be_user
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork

__all__ = ["SqlAddressBook", "SqlUsers"]


class SqlUsers:
    """Fulfils :class:`core.accounts.ports.Users`."""

    def __init__(self, unit: AsyncSqlUnitOfWork, database: AsyncDatabase) -> None:
        self._unit = unit
        self._database = database

    async def add(self, email: str, name: str) -> User:
        """See :meth:`core.accounts.ports.Users.add`."""
        row = UserRow(email=email, name=name, created=datetime.now(UTC))
        self._unit.session.add(row)
        try:
            await self._unit.session.flush()
        except IntegrityError as error:  # nothing but the address has to be the only one
            raise EmailTakenError.of(email) from error
        return _user(row)

    async def find(self, user_id: int) -> User | None:
        """See :meth:`core.accounts.ports.Users.find`."""
        row = await _row(self._database, user_id)
        return None if row is None else _user(row)


class SqlAddressBook:
    """Fulfils :class:`core.mail.ports.AddressBook`."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def address_of(self, user_id: int) -> str:
        """See :meth:`core.mail.ports.AddressBook.address_of`."""
        if (row := await _row(self._database, user_id)) is None:
            msg = f"user {user_id} does not exist, so nobody knows where to write: it may have been deleted"
            raise NoAddressError(msg)
        return row.email


async def _row(database: AsyncDatabase, user_id: int) -> UserRow | None:
    if not may_be_user(user_id):
        return None
    async with database.reading() as session:
        return await session.get(UserRow, user_id)


def _user(row: UserRow) -> User:
    return User(row.id, row.email, row.name, row.created)
