"""No way to send letters."""

from __future__ import annotations

from typing import NoReturn

from core.mail import Letter, MailSetupError

__all__ = ["AbsentMailSender"]


class AbsentMailSender:
    """Fulfils :class:`core.mail.ports.MailSender` in production that names no server: it refuses every letter.

    A service that sends none starts without a server, and none that does takes a letter for sent which nobody got.
    """

    async def send(self, letter: Letter) -> NoReturn:
        """See :meth:`core.mail.ports.MailSender.send`."""
        msg = f"the letter to {', '.join(letter.to)} cannot be sent: set MAIL_HOST and MAIL_SENDER"
        raise MailSetupError(msg)
