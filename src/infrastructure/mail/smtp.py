"""Letters by SMTP."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from core.configs.settings import MailSettings
from core.mail import (
    DeliveryUncertainError,
    Letter,
    LetterRefusedError,
    MailError,
    MailReceipt,
    MailServerUnavailableError,
    MailSetupError,
)
from infrastructure.mail.messages import ascii_domain, message_id_of, message_of

__all__ = ["SmtpMailSender"]

_PERMANENT = 500
_SETTINGS: Final = {
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
}
"""What OpenSSL says in the greeting where no attempt will work: no TLS there, or none that both sides speak."""


class SmtpMailSender:
    """Fulfils :class:`core.mail.ports.MailSender` by a connection of its own for each letter.

    Args:
        settings: which server, and how to come in there.
        tls: whom to trust; what the machine trusts unless said.
    """

    def __init__(self, settings: MailSettings, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        # Made once: it reads every certificate that the machine trusts.
        self._tls = tls if tls is not None or settings.tls == "none" else ssl.create_default_context()

    async def send(self, letter: Letter) -> MailReceipt:
        """See :meth:`core.mail.ports.MailSender.send`."""
        utf8 = self._needs_utf8(letter)  # asked first: it refuses domains that cannot be
        client = self._client()
        try:
            with self._explained("did not take a connection", greeting=True):
                await client.connect()
            await self._offer(client, letter, utf8=utf8)
            await self._hand_over(client, letter, utf8=utf8)
            with suppress(SMTPException, OSError):  # the server has it, whatever becomes of the farewell
                await client.quit()
        finally:
            client.close()
        return MailReceipt(message_id_of(letter, self._settings.sender), letter.to)

    def _client(self) -> SMTP:
        said = self._settings
        return SMTP(
            hostname=said.host,
            port=said.port,
            username=said.username,
            password=None if said.password is None else said.password.get_secret_value(),
            timeout=said.timeout,
            use_tls=said.tls == "tls",
            start_tls=said.tls == "starttls",
            tls_context=self._tls,
        )

    async def _offer(self, client: SMTP, letter: Letter, *, utf8: bool) -> None:
        """Say from whom and to whom; stop, with nothing sent to anybody, if one of them is refused."""
        options, encoding = (["SMTPUTF8"], "utf-8") if utf8 else ([], "ascii")
        with self._explained("did not take the letter"):
            await client.ehlo()
            if options and not client.supports_extension("smtputf8"):
                msg = f"{self._server} knows no addresses beyond ASCII such as {', '.join(letter.to)}"
                raise LetterRefusedError(msg)
            await client.mail(ascii_domain(self._settings.sender), options=options, encoding=encoding)
            refusals: list[SMTPRecipientRefused] = []
            for address in letter.to:
                try:
                    await client.rcpt(ascii_domain(address), encoding=encoding)
                except SMTPRecipientRefused as refusal:
                    refusals.append(refusal)
        if refusals:
            raise self._refused(refusals)

    async def _hand_over(self, client: SMTP, letter: Letter, *, utf8: bool) -> None:
        message = message_of(letter, self._settings.sender, utf8=utf8)
        try:
            with self._explained("did not take the letter"):
                await client.data(message)
        except MailServerUnavailableError as error:
            if isinstance(error.__cause__, SMTPDataError):
                raise
            msg = f"{self._server} was lost before it said whether it has the letter: {error.__cause__}"
            raise DeliveryUncertainError(msg) from error.__cause__

    def _refused(self, refusals: list[SMTPRecipientRefused]) -> MailError:
        """One error for all who were refused. If any was for good, another attempt would end here again."""
        said = "; ".join(f"{each.recipient}: {each.code} {each.message}" for each in refusals)
        kind = LetterRefusedError if any(each.code >= _PERMANENT for each in refusals) else MailServerUnavailableError
        return kind(f"{self._server} does not deliver to everybody, so nobody got the letter: {said}")

    @contextmanager
    def _explained(self, what: str, *, greeting: bool = False) -> Generator[None]:
        """Turn what the library raises into what the port says.

        Only in the greeting does TLS tell of settings: what breaks it later is a lost connection.
        """
        try:
            yield
        except SMTPResponseException as error:
            kind: type[MailError] = MailServerUnavailableError
            if error.code >= _PERMANENT:
                kind = MailSetupError if isinstance(error, SMTPAuthenticationError) else LetterRefusedError
            msg = f"{self._server} {what}: {error.code} {error.message}"
            raise kind(msg) from error
        except (SMTPException, OSError) as error:
            unsafe = greeting and (_tells_of_settings(error) or _tells_of_settings(error.__cause__))
            away = isinstance(error, OSError)  # connections that fail and answers that do not come are such, too
            kind = MailServerUnavailableError if away and not unsafe else MailSetupError
            msg = f"{self._server} {what}: {error}"
            raise kind(msg) from error

    def _needs_utf8(self, letter: Letter) -> bool:
        return not all(ascii_domain(each).isascii() for each in (self._settings.sender, *letter.to))

    @property
    def _server(self) -> str:
        return f"the mail server {self._settings.host}:{self._settings.port}"


def _tells_of_settings(error: BaseException | None) -> bool:
    return isinstance(error, ssl.SSLCertVerificationError) or (
        isinstance(error, ssl.SSLError) and error.reason in _SETTINGS
    )
