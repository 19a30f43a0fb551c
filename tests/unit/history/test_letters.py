"""Which dead letters are meant, and what one shows of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import ConfigurationError
from celeriac.history.deadletters import DeadLetters
from celeriac.history.letters import DeadLetter, DeadLetterFilter, DeadReason

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


def letter(**said: object) -> DeadLetter:
    usual = {"task": "mail.send", "task_id": "t", "queue": "mail", "reason": DeadReason.MALFORMED, "detail": "broken"}
    rest = {"deliveries": 1, "worker": "w", "died": NOON, "message": b"secret", "headers": {"token": "secret"}}
    return DeadLetter(id="1", **{**usual, **rest, **said})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "chosen",
    [
        DeadLetterFilter(),
        DeadLetterFilter(task="mail.send", queue="mail", reason="malformed"),
        DeadLetterFilter(since=NOON, until=NOON + timedelta(seconds=1)),
    ],
)
def test_a_letter_fits_all_that_is_said(chosen):
    assert chosen.fits(letter())


@pytest.mark.parametrize(
    "chosen",
    [
        DeadLetterFilter(task="mail"),
        DeadLetterFilter(task="mail.send", queue="other"),
        DeadLetterFilter(reason=DeadReason.REJECTED),
        DeadLetterFilter(since=NOON + timedelta(seconds=1)),
        DeadLetterFilter(until=NOON),
    ],
)
def test_one_thing_that_differs_is_enough(chosen):
    assert not chosen.fits(letter())


def test_a_choice_that_means_nothing_is_refused():
    with pytest.raises(ValueError, match="'tired' is no reason to be dead; reasons are too-many-deliveries, malformed"):
        DeadLetterFilter(reason="tired")
    with pytest.raises(ValueError, match="needs a time zone"):
        DeadLetterFilter(since=datetime(2030, 1, 1))  # noqa: DTZ001  the point of it


def test_a_letter_keeps_its_secrets():
    assert "secret" not in repr(letter())


def test_reasons_of_others_are_other():
    assert DeadReason.of("rejected") is DeadReason.REJECTED
    assert DeadReason.of("maxlen") is DeadReason.OTHER


def test_only_two_brokers_keep_dead_letters():
    app = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "memory://"}))
    with pytest.raises(ConfigurationError, match="the broker is memory"):
        DeadLetters(app).list()
