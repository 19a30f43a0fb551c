"""Tasks that send letters. Each attempt has the task's id as the letter's: see docs/how-to/mail.md."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import EmailStr
from typing_extensions import TypedDict

from celeriac import Retry, TaskContext, TaskController, constant, linear, task
from core.errors import RefusedError, UnavailableError
from core.mail import MailError, MailReceipt, Subject
from core.mail.service import MailService

__all__ = ["MailTaskController", "SentEmail"]

_LATER: Final = Retry(on=(MailError, UnavailableError), never_on=RefusedError, max_retries=3, backoff=constant(60))


class SentEmail(TypedDict):
    """What ``send_email`` answers."""

    status: Literal["sent"]
    to: str


class MailTaskController(TaskController):
    """Letters to anybody, and to users."""

    def __init__(self, mail: MailService, context: TaskContext) -> None:
        self._mail = mail
        self._context = context

    @task("send_email", retry=_LATER)
    async def send_email(self, to: EmailStr, subject: Subject, body: str) -> SentEmail:
        """Send a letter, and say to whom."""
        await self._mail.send(self._context.id, to, subject, body)
        return {"status": "sent", "to": to}

    @task("email.send", retry=_LATER)
    async def send(self, to: EmailStr, subject: Subject, body: str) -> MailReceipt:
        """Send a letter, and give the receipt."""
        return await self._mail.send(self._context.id, to, subject, body)

    @task(
        "email.send_welcome",
        queue="default",
        retry=Retry(on=MailError, never_on=RefusedError, max_retries=3, backoff=linear(60)),
    )
    async def send_welcome(self, user_id: int, email: EmailStr) -> MailReceipt:
        """Welcome a new user."""
        return await self._mail.send_welcome(self._context.id, user_id, email)

    @task("email.send_notification", retry=_LATER)
    async def send_notification(self, user_id: int, subject: Subject, body: str) -> MailReceipt:
        """Write to a user, whose address is looked up when the letter is sent."""
        return await self._mail.send_notification(self._context.id, user_id, subject, body)
