"""Letters where there is no mail server."""

from __future__ import annotations

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from core.configs.settings import Environment, MailSettings, RedisSettings, Settings, SettingsError
from core.mail import Letter, MailReceipt, MailSetupError
from core.mail.ports import MailSender
from infrastructure.mail.absent import AbsentMailSender
from infrastructure.mail.console import ConsoleMailSender
from infrastructure.mail.smtp import SmtpMailSender
from ioc.container import build_container

LETTER = Letter("one", ("ada@example.org",), "Hello", "Body")


def test_on_the_console_a_letter_can_be_read_whole(own_logging, monkeypatch):
    monkeypatch.setattr("infrastructure.mail.console.logger", structlog.get_logger())
    with capture_logs() as lines:
        receipt = asyncio.run(ConsoleMailSender("service@example.org").send(LETTER))
    assert receipt == MailReceipt("<one@example.org>", LETTER.to)
    (line,) = lines
    assert (line["to"], line["subject"], line["body"]) == (LETTER.to, "Hello", "Body")
    assert "MAIL_HOST is not set" in line["event"]


def test_in_production_nobody_takes_a_letter_for_sent_that_no_server_got():
    with pytest.raises(MailSetupError, match="set MAIL_HOST and MAIL_SENDER"):
        asyncio.run(AbsentMailSender().send(LETTER))


@pytest.mark.parametrize(
    ("environment", "host", "expected"),
    [
        (Environment.DEVELOPMENT, None, ConsoleMailSender),
        (Environment.TEST, None, ConsoleMailSender),
        (Environment.PRODUCTION, None, AbsentMailSender),
        (Environment.DEVELOPMENT, "mail.example.org", SmtpMailSender),
        (Environment.PRODUCTION, "mail.example.org", SmtpMailSender),
    ],
)
def test_the_environment_says_who_sends(environment, host, expected):
    mail = MailSettings(host=host, sender="service@example.org")
    redis = RedisSettings(redis_url="redis://localhost:1/0")
    container = build_container(Settings(environment=environment, redis_settings=redis, mail_settings=mail))
    assert isinstance(container.resolve(MailSender), expected)
    container.close()


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"HOST": "mail.example.org"}, "MAIL_HOST takes MAIL_SENDER beside it"),
        ({"HOST": "h", "SENDER": "nobody"}, "MAIL_SENDER cannot be used"),
        ({"PORT": "0"}, "MAIL_PORT cannot be used"),
        ({"TLS": "ssl"}, "MAIL_TLS cannot be used"),
        ({"TIMEOUT": "0"}, "MAIL_TIMEOUT cannot be used"),
        ({"USERNAME": "me"}, "MAIL_USERNAME and MAIL_PASSWORD go together"),
        ({"USERNAME": "me", "PASSWORD": "s3cret", "TLS": "none"}, "everybody on the way would read MAIL_PASSWORD"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(monkeypatch, variables, problem):
    for name, value in variables.items():
        monkeypatch.setenv(f"MAIL_{name}", value)
    with pytest.raises(SettingsError, match=problem) as refused:
        MailSettings()
    assert "s3cret" not in str(refused.value)
