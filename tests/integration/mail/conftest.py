"""A mail server on this machine, and what sends through it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.certificates import for_localhost
from tests.kit.post_office import PostOffice

from core.configs.settings import MailSettings
from infrastructure.mail.smtp import SmtpMailSender

Sending = Callable[..., SmtpMailSender]


@pytest.fixture
def post_office() -> Generator[PostOffice]:
    with PostOffice() as office:
        yield office


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return for_localhost(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[0]))


def sender_to(port: int, context: ssl.SSLContext | None = None, **said: Any) -> SmtpMailSender:
    """A sender to a server on this machine."""
    usual: dict[str, Any] = {"host": "localhost", "sender": "service@example.org", "tls": "none", "timeout": 5}
    settings: dict[str, Any] = usual | {"port": port} | said
    return SmtpMailSender(MailSettings(**settings), context)
