"""Opening accounts, without a database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import pytest

from core.accounts import EmailTakenError, UnknownUserError, User
from core.accounts.service import AccountService
from core.errors import ConflictError, NotFoundError

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@dataclass
class Ledger:
    """A transaction, what is kept in it, and what follows: one list of what happened."""

    happened: list[str] = field(default_factory=list[str])
    users: dict[int, User] = field(default_factory=dict[int, User])
    broken: bool = False

    async def __aenter__(self) -> Self:
        self.happened.append("begin")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.happened.append("commit" if error is None else f"rollback {type(error).__name__}")

    async def add(self, email: str, name: str) -> User:
        if any(each.email == email for each in self.users.values()):
            raise EmailTakenError.of(email)
        user = self.users[len(self.users) + 1] = User(len(self.users) + 1, email, name, NOW)
        self.happened.append(f"add {email}")
        return user

    async def find(self, user_id: int) -> User | None:
        return self.users.get(user_id)

    def welcome(self, user: User) -> None:
        if self.broken:
            raise LookupError
        self.happened.append(f"welcome {user.id} {user.email}")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def accounts(ledger: Ledger) -> AccountService:
    return AccountService(ledger, ledger, ledger)


@pytest.mark.proves("S002-20")
def test_a_user_and_their_welcome_belong_to_one_transaction(accounts, ledger):
    user = asyncio.run(accounts.create("Ada@Example.org", "Ada"))
    assert user == User(1, "ada@example.org", "Ada", NOW)
    assert ledger.happened == ["begin", "add ada@example.org", "welcome 1 ada@example.org", "commit"]


def test_a_welcome_that_cannot_be_noted_takes_the_user_back(accounts, ledger):
    ledger.broken = True
    with pytest.raises(LookupError):
        asyncio.run(accounts.create("ada@example.org"))
    assert ledger.happened[-1] == "rollback LookupError"


def test_an_address_is_taken_once_whatever_its_letters(accounts, ledger):
    asyncio.run(accounts.create("ada@example.org"))
    with pytest.raises(ConflictError, match=r"ada@example\.org exists already: take another address"):
        asyncio.run(accounts.create("ADA@example.org"))
    assert ledger.happened[-1] == "rollback EmailTakenError"


def test_who_is_known_is_found_and_nobody_else(accounts):
    user = asyncio.run(accounts.create("ada@example.org"))
    assert asyncio.run(accounts.get(user.id)) == user
    with pytest.raises(UnknownUserError, match="there is no user 2") as refused:
        asyncio.run(accounts.get(2))
    assert isinstance(refused.value, NotFoundError)
