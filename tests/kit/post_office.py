"""A mail server of a test's own: it keeps what it is given, and goes wrong as it is told."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.faults.harness.waiting import until

Tls = Literal["none", "starttls", "tls"]
Fault = Literal["hang up", "keep silent", "break TLS"]


@dataclass(frozen=True)
class Delivered:
    """A letter as it arrived."""

    sender: str
    to: tuple[str, ...]
    message: EmailMessage

    @property
    def id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return str(self.message.get_content()).replace("\r\n", "\n")


class PostOffice:
    """An SMTP server on 127.0.0.1, as a context manager.

    Args:
        tls: how it is spoken to.
        certificate: its certificate and key, for TLS.
        users: name to password; with any, nobody else sends. For ``starttls``.
        utf8: whether it knows ``SMTPUTF8``.

    Attributes:
        letters: what it took, in order, whatever it said then.
        refusals: address -> what it says to whoever wants to write there, such as ``550 no such user``.
        answers: what it says to the next letters, instead of taking them.
        faults: what it does after it took the next letters, instead of answering.
        unsafe_for: addresses at which it breaks TLS instead of answering.
    """

    def __init__(
        self,
        tls: Tls = "none",
        certificate: tuple[Path, Path] | None = None,
        users: Mapping[str, str] | None = None,
        *,
        utf8: bool = True,
    ) -> None:
        self.letters: list[Delivered] = []
        self.refusals: dict[str, str] = {}
        self.answers: deque[str] = deque()
        self.faults: deque[Fault] = deque()
        self.unsafe_for: set[str] = set()
        self._tls = tls
        self._users = dict(users or {})
        self._utf8 = utf8
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stop = asyncio.Event()
        self._sessions: list[SMTP] = []

    def __enter__(self) -> Self:
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what it thinks of broken lines is no news here
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    @property
    def env(self) -> dict[str, str]:
        """What a process that sends through it has to know, but for TLS and passwords."""
        return {
            "MAIL_HOST": "localhost",
            "MAIL_PORT": str(self.port),
            "MAIL_TLS": self._tls,
            "MAIL_SENDER": "service@example.org",
            "MAIL_TIMEOUT": "5",
        }

    def reset(self) -> None:
        """Forget every letter and all that it was told."""
        for each in (self.letters, self.refusals, self.answers, self.faults, self.unsafe_for):
            each.clear()

    def to(self, address: str) -> list[Delivered]:
        """The letters to one address."""
        return [each for each in self.letters if address in each.to]

    def wait(self, count: int = 1, *, timeout: float = 30.0) -> list[Delivered]:
        """The letters, once there are so many."""
        until(lambda: len(self.letters) >= count, timeout=timeout, what=f"the arrival of {count} letters")
        return list(self.letters)

    async def handle_RCPT(  # noqa: N802  the library's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Somebody wants to write to somebody."""
        if (refusal := self.refusals.get(address)) is not None:
            return refusal
        if address in self.unsafe_for:
            await self._break_tls(server)
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  likewise
        """A letter came."""
        if self.answers:
            return self.answers.popleft()
        content: Any = envelope.content
        message: Any = message_from_bytes(content, policy=default)
        self.letters.append(Delivered(str(envelope.mail_from), tuple(envelope.rcpt_tos), message))
        if self.faults:
            fault = self.faults.popleft()
            if fault == "break TLS":
                await self._break_tls(server)
            if fault == "keep silent":
                await self._stop.wait()
            cast("asyncio.Transport", server.transport).abort()
        return "250 taken"

    async def _break_tls(self, server: SMTP) -> None:
        """Say something into the connection that is no TLS."""
        os.write(
            cast("asyncio.Transport", server.transport).get_extra_info("socket").fileno(), b"451 not under TLS\r\n"
        )
        await self._stop.wait()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()

    async def _run(self) -> None:
        implicit = self._context if self._tls == "tls" else None
        server = await self._loop.create_server(self._session, sock=self._listener, ssl=implicit)
        await self._stop.wait()
        server.close()
        for transport in [each.transport for each in self._sessions if each.transport is not None]:
            cast("asyncio.Transport", transport).abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the next round

    def _session(self) -> SMTP:
        session = SMTP(
            self,
            hostname="localhost",
            enable_SMTPUTF8=self._utf8,
            tls_context=self._context if self._tls == "starttls" else None,
            require_starttls=self._tls == "starttls",
            auth_required=bool(self._users),
            authenticator=self._authenticate if self._users else None,
            loop=self._loop,
        )
        self._sessions.append(session)
        return session

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, said: Any) -> AuthResult:
        assert isinstance(said, LoginPassword)
        known = self._users.get(said.login.decode())
        return AuthResult(success=known is not None and known == said.password.decode(), handled=False)
