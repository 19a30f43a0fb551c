from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramNetworkError,
    TelegramRetryAfter,
    TelegramServerError,
)
from aiogram.methods import SendMessage

from delivery.bot.polling import TRIES, Polling
from delivery.bot.retrying import AWAY, Retrying

BOT = Bot("4242:token")
SAID: Any = SendMessage(chat_id=1, text="hello")
FOREVER = 10_000


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited, all of them at once."""
    waits: list[float] = []
    now = [0.0]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("delivery.bot.retrying.asyncio.sleep", sleep)
    monkeypatch.setattr("delivery.bot.retrying.time.monotonic", lambda: now[0])
    return waits


def call(*errors: Exception) -> Any:
    """Says it over a Telegram that answers with these errors, and then takes it."""
    left = list(errors)

    async def make_request(bot: Bot, method: Any) -> Any:
        del bot, method
        if left:
            raise left.pop(0)
        return "taken"

    return asyncio.run(Retrying()(make_request, BOT, SAID))


def test_what_telegram_asks_to_wait_is_waited_however_long_and_often(slept):
    assert call(*[TelegramRetryAfter(SAID, "slow down", retry_after=3600)] * 3) == "taken"
    assert slept == [3600.0] * 3


def test_a_call_is_tried_for_minutes_and_not_for_ever(slept):
    assert call(*[TelegramServerError(SAID, "Bad Gateway")] * 10) == "taken"
    slept.clear()
    with pytest.raises(TelegramServerError):
        call(*[TelegramServerError(SAID, "Bad Gateway")] * FOREVER)
    assert 500 < sum(slept) <= 600


@pytest.mark.usefixtures("slept")
def test_an_answer_that_is_not_telegrams_is_waited_out_and_one_that_cannot_be_read_is_not_asked_for_again():
    assert call(ClientDecodeError("Failed to decode object", ValueError(), "<html>log in</html>")) == "taken"
    with pytest.raises(TelegramAPIError) as raised:
        call(ClientDecodeError("Failed to deserialize object", ValueError(), {"ok": True, "result": {"new": 1}}))
    assert not isinstance(raised.value, AWAY)


def test_the_token_is_in_no_line(slept, caplog):
    assert call(TelegramNetworkError(SAID, "http://there/bot4242:token/sendMessage")) == "taken"
    assert slept == [0.5]
    assert "sendMessage is tried again in 0.5 s" in caplog.text
    assert "4242:token" not in caplog.text


@pytest.mark.parametrize("there", [True, False])
def test_an_answer_that_fails_with_telegram_there_for_others_is_given_up_in_the_end(monkeypatch, caplog, there):
    class Dispatcher:
        fed = 0

        async def feed_update(self, *_: object) -> None:
            self.fed += 1
            if self.fed <= 2 * TRIES:
                raise TelegramServerError(SAID, "Internal Server Error")

    class Update:
        update_id = 1

    dispatcher: Any = Dispatcher()
    update: Any = Update()
    monkeypatch.setattr("delivery.bot.polling.pauses", lambda: iter([0.0] * FOREVER))
    polling = Polling(BOT, dispatcher, [])
    monkeypatch.setattr(polling, "_there", there)
    asyncio.run(polling._handle(update))
    assert dispatcher.fed == (TRIES if there else 2 * TRIES + 1)
    assert ("is given up" in caplog.text) is there
