"""Mail: what sends letters, and what knows where to."""

from __future__ import annotations

from core.configs.settings import Environment, Settings
from core.mail.ports import AddressBook, MailSender
from core.mail.service import MailService
from infrastructure.database.accounts import SqlAddressBook
from infrastructure.mail.absent import AbsentMailSender
from infrastructure.mail.console import ConsoleMailSender
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_mail"]


def register_mail(container: Container) -> None:
    """Register the use case and its ports. Nothing connects before a letter is sent."""
    container.register(MailService, lifetime=Lifetime.SINGLETON)
    container.register(MailSender, _sender, lifetime=Lifetime.SINGLETON)
    container.register(AddressBook, SqlAddressBook, lifetime=Lifetime.SINGLETON)


def _sender(settings: Settings) -> MailSender:
    mail = settings.mail_settings
    if mail.host is not None:
        from infrastructure.mail.smtp import SmtpMailSender  # noqa: PLC0415  who sends no letters need not load it

        return SmtpMailSender(mail)
    if settings.environment is Environment.PRODUCTION:
        return AbsentMailSender()
    return ConsoleMailSender(mail.sender)
