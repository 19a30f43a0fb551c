"""What sending letters needs from outside."""

from __future__ import annotations

from typing import Protocol

from core.mail.entities import Letter, MailReceipt

__all__ = ["AddressBook", "MailSender"]


class MailSender(Protocol):
    """Hands letters over to whoever delivers them."""

    async def send(self, letter: Letter) -> MailReceipt:
        """Hand a letter over: for all who are to get it, or for none.

        Raises:
            MailServerUnavailableError: not now; it was not sent.
            DeliveryUncertainError: it may have been sent.
            LetterRefusedError: not this letter, ever.
            MailSetupError: not with what the service was told of its mail server.
        """
        ...


class AddressBook(Protocol):
    """Knows where users get their mail."""

    async def address_of(self, user_id: int) -> str:
        """The address of a user.

        Raises:
            NoAddressError: there is no such user.
            DatabaseUnavailableError: nobody can look it up now.
        """
        ...
