"""Sending letters."""

from __future__ import annotations

from typing import Final

import structlog

from core.mail.entities import Letter, MailReceipt
from core.mail.ports import AddressBook, MailSender

__all__ = ["MailService"]

logger = structlog.get_logger(__name__)

_WELCOME_SUBJECT: Final = "Welcome!"
_WELCOME_BODY: Final = "Welcome!\n\nYour account is ready.\n"


class MailService:
    """Writes letters and has them sent."""

    def __init__(self, sender: MailSender, addresses: AddressBook) -> None:
        self._sender = sender
        self._addresses = addresses

    async def send(self, letter_id: str, to: str, subject: str, body: str) -> MailReceipt:
        """Send one letter to one address.

        Args:
            letter_id: the same for every attempt: see :class:`Letter`.
            to: an address.
            subject: one line.
            body: plain text.

        Raises:
            MailError: see :meth:`MailSender.send`.
        """
        return await self._sender.send(Letter(letter_id, (to,), subject, body))

    async def send_welcome(self, letter_id: str, user_id: int, email: str) -> MailReceipt:
        """Welcome a new user.

        Raises:
            MailError: see :meth:`MailSender.send`.
        """
        logger.info("Sending welcome email", user_id=user_id, email=email)
        try:
            receipt = await self.send(letter_id, email, _WELCOME_SUBJECT, _WELCOME_BODY)
        except Exception as error:
            logger.error("Failed to send welcome email", user_id=user_id, error=str(error))  # noqa: TRY400  its task tells the traceback
            raise
        logger.info("Welcome email sent", user_id=user_id)
        return receipt

    async def send_notification(self, letter_id: str, user_id: int, subject: str, body: str) -> MailReceipt:
        """Write to a user at the address that they have now.

        Raises:
            NoAddressError: there is no such user.
            DatabaseUnavailableError: nobody can look the address up now.
            MailError: see :meth:`MailSender.send`.
        """
        return await self.send(letter_id, await self._addresses.address_of(user_id), subject, body)
