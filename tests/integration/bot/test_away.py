"""Telegram busy, broken or away; the broker away; a message that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.integration.bot.conftest import BOSS, Scene
from tests.kit.bot import BotThread
from tests.kit.bot_api import BotApi

from delivery.bot.polling import TokenRefusedError

pytestmark = pytest.mark.xdist_group("bot")
READY = "ready: the bot is @celeriac_bot"
GENEROUS = 15.0
HASTY = 9
StartBot = Callable[..., BotThread]


@pytest.fixture
def start_bot(api: BotApi) -> Generator[StartBot]:
    """Starts bots of the service, which has no worker."""
    with ExitStack() as stack:

        def start(redis_url: str, **said: Any) -> BotThread:
            users: dict[int, frozenset[str]] = dict.fromkeys((BOSS, HASTY), frozenset({"*"}))
            return stack.enter_context(BotThread(redis_url, api, users, **said))

        yield start


def ended(message):
    until(lambda: not message.buttons, timeout=60, what="the end")
    return message.text


def test_a_message_goes_out_when_telegram_says_that_it_may(scene: Scene):
    scene.api.fail("sendMessage", 429, description="Too Many Requests", retry_after=1)
    assert "/help" in scene.api.ask("/help", BOSS).text


def test_an_edit_that_telegram_refuses_for_now_is_made_later_with_the_newest(scene: Scene):
    message = scene.api.ask('/run data.process {"data": [1, 2, 3], "pause": 1}', BOSS)
    scene.api.fail("editMessageText", 429, description="Too Many Requests", retry_after=2)
    scene.api.fail("editMessageText", 502, times=2, description="Bad Gateway")
    assert "processed" in ended(message)


def test_a_message_that_is_deleted_is_not_followed_any_more(scene: Scene):
    message = scene.api.ask('/run data.process {"data": [1, 2, 3], "pause": 1}', BOSS)
    message.deleted = True
    task_id = message.text.splitlines()[1]
    scene.bot.wait_for(f"{task_id} is no longer followed: .*message to edit not found")
    assert scene.api.ask("/ping", BOSS).text.startswith("pong")


def test_a_user_who_has_blocked_the_bot_holds_up_nobody(scene: Scene):
    scene.api.fail("sendMessage", 403, description="Forbidden: bot was blocked by the user")
    scene.api.write("/help", 2)
    assert scene.api.ask("/ping", BOSS).text.startswith("pong")


def test_telegram_may_be_away_for_a_while(scene: Scene):
    message = scene.api.ask("/run sleep seconds=3", BOSS)
    scene.api.go_away()
    scene.bot.wait_for("Telegram is not asked for")
    scene.api.come_back()
    assert ended(message).endswith("3.0")
    assert scene.api.ask("/ping", BOSS).text.startswith("pong")


def test_something_else_that_answers_in_telegrams_place_is_waited_out(scene: Scene):
    scene.api.fail("getUpdates", 200)
    scene.api.fail("getUpdates", 409, description="Conflict: terminated by other getUpdates request")
    assert scene.api.ask("/ping", BOSS).text.startswith("pong")
    scene.bot.wait_for("another bot, or a webhook, has this token")


def test_a_bot_starts_while_telegram_and_the_broker_are_away(api: BotApi, start_bot: StartBot):
    api.go_away()
    start_bot("redis://127.0.0.1:1/0")
    api.come_back()
    assert "The broker is away" in api.ask("/run example.add x=1 y=2", BOSS).text


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_with_the_broker_away_every_command_is_answered_and_with_it_back_all_goes_on(
    server: PrivateRedis, proxy: TcpProxy, api: BotApi, start_bot: StartBot, fault: str
):
    del server
    start_bot(proxy.url())
    message = api.ask("/run example.add x=1 y=2", BOSS)
    task_id = message.text.splitlines()[1]
    getattr(proxy, fault)()
    for command in ("/ping", "/run example.add x=1 y=2", f"/status {task_id}", f"/cancel {task_id}", "/queues"):
        began = time.monotonic()
        text = api.ask(command, BOSS).text
        assert "The broker is away" in text, (command, text)
        assert time.monotonic() - began < GENEROUS
    proxy.mend()
    until(lambda: "waits for a worker" in api.ask("/run example.add x=1 y=2", BOSS).text, timeout=40)


def test_who_asks_too_often_is_told_once(api: BotApi, start_bot: StartBot, redis_url: str):
    start_bot(redis_url, rate_limit="3/h")
    for _ in range(6):
        api.write("/help", HASTY)
    until(lambda: len(api.said_to(HASTY)) == 4)
    until(lambda: not api.waiting)
    refused = [f"telegram:{HASTY} may ask 3/h and no more" in each.text for each in api.said_to(HASTY)]
    assert refused == [False, False, False, True]


def test_a_token_that_telegram_refuses_ends_the_bot(api: BotApi, start_bot: StartBot, redis_url: str):
    api.fail("getMe", 401, description="Unauthorized")
    bot = start_bot(redis_url)
    bot.join()
    assert isinstance(bot.error, TokenRefusedError)
    assert "BOT_TOKEN" in str(bot.error)


def test_the_token_is_in_no_line_whatever_goes_wrong(
    api: BotApi, start_bot: StartBot, redis_url: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    api.fail(
        "getUpdates", 307, times=20
    )  # round and round, until the client gives up with an error that shows the address
    start_bot(redis_url)
    until(lambda: "TooManyRedirects" in caplog.text)
    assert "/help" in api.ask("/help", BOSS).text
    assert "the-token_of_the-tests" not in caplog.text
