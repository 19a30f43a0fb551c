"""A bot that is stopped, or killed, and started again: no message is lost, and no task runs twice for one."""

from __future__ import annotations

import signal

import pytest
from redis import Redis
from tests.faults.harness.waiting import until
from tests.integration.bot.conftest import BOSS, sent
from tests.kit.bot import BotProcess, BotThread, bot_env

from celeriac.testing.worker import WorkerProcess
from delivery.bot.app import main

pytestmark = pytest.mark.xdist_group("bot")
RUN = "/run example.add x=1 y=2"
USERS = {BOSS: frozenset({"*"})}


def followed(url: str) -> bool:
    with Redis.from_url(url) as redis:
        return bool(redis.exists("celeriac.bot:4242:followed"))


@pytest.mark.proves("M-5")
@pytest.mark.timeout(240)
def test_killed_before_its_answer_was_out_it_answers_after_the_next_start_and_has_sent_one_task(api, empty_url):
    with BotProcess(**bot_env(empty_url, api.url, f"{BOSS}=*")) as bot:
        api.fail("sendMessage", 502, times=1000, description="Bad Gateway")
        update = api.write(RUN, BOSS)
        until(lambda: sent(empty_url) == 1, timeout=60)
        bot.kill()
        assert api.waiting == 1

        api.forgive()
        bot.start()
        first = api.answer(BOSS)
        assert "example.add waits" in first.text
        assert sent(empty_url) == 1

        api.again(update, RUN, BOSS)
        assert api.answer(BOSS, 2).text == first.text
        assert sent(empty_url) == 1
        assert bot.stop(signal.SIGINT) == 0
        assert api.waiting == 0
        for noise in ("Traceback", "never awaited", "the-token_of_the-tests"):
            assert noise not in bot.log


def test_what_was_written_while_it_was_stopped_is_handled_at_the_next_start(api, empty_url):
    with BotThread(empty_url, api, USERS):
        assert "example.add waits" in api.ask(RUN, BOSS).text
    assert api.waiting == 0
    api.write(RUN, BOSS)
    with BotThread(empty_url, api, USERS):
        assert "example.add waits" in api.answer(BOSS, 2).text
    assert sent(empty_url) == 2


def test_a_message_that_shows_a_task_is_kept_up_to_date_by_the_next_process(api, empty_url):
    with BotThread(empty_url, api, USERS):
        message = api.ask(RUN, BOSS)
    with WorkerProcess("delivery.tasks.app", redis_url=empty_url, concurrency=1):
        until(lambda: sent(empty_url) == 0)
        with BotThread(empty_url, api, USERS):
            api.until_said(message, "example.add is done")
            assert message.buttons == []
            until(lambda: not followed(empty_url))
    assert len(api.messages) == 1


def test_stopped_while_telegram_takes_no_answer_it_gives_up_in_time_and_the_message_comes_again(
    api, empty_url, monkeypatch
):
    monkeypatch.setattr("delivery.bot.polling.GRACE", 0.5)
    api.fail("sendMessage", 502, times=1000, description="Bad Gateway")
    with BotThread(empty_url, api, USERS):
        api.write(RUN, BOSS)
        until(lambda: sent(empty_url) == 1)
    assert api.waiting == 1


@pytest.mark.usefixtures("own_logging")
def test_without_a_token_it_says_so_and_needs_nothing_else(monkeypatch, capsys):
    for name in ("BOT_TOKEN", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    main()
    (line,) = capsys.readouterr().err.splitlines()
    assert "there is no bot: BOT_TOKEN is not set. @BotFather on Telegram gives one" in line


@pytest.mark.usefixtures("own_logging")
def test_settings_that_cannot_be_used_end_it_with_one_line(monkeypatch):
    monkeypatch.setenv("BOT_USERS", "ann=*")
    with pytest.raises(SystemExit) as ended:
        main()
    said = str(ended.value)
    assert said.startswith("bot: BOT_USERS cannot be used: write it like 4711=tasks:run+tasks:read,4712=*")
