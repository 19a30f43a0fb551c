"""Letters that nobody gets: a developer reads them in the log."""

from __future__ import annotations

import structlog

from core.mail import Letter, MailReceipt
from infrastructure.mail.messages import message_id_of

__all__ = ["ConsoleMailSender"]

logger = structlog.get_logger(__name__)


class ConsoleMailSender:
    """Fulfils :class:`core.mail.ports.MailSender` by writing letters into the log.

    Args:
        sender: the address that they would come from.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender

    async def send(self, letter: Letter) -> MailReceipt:
        """See :meth:`core.mail.ports.MailSender.send`."""
        message_id = message_id_of(letter, self._sender)
        logger.info(
            "Letter written here and sent nowhere: MAIL_HOST is not set",
            message_id=message_id,
            to=letter.to,
            subject=letter.subject,
            body=letter.body,
        )
        return MailReceipt(message_id, letter.to)
