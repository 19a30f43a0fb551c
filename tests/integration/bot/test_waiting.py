"""Answers that Telegram does not take for the moment: they are given later, and other chats do not wait for them."""

from __future__ import annotations

import asyncio

import pytest
from tests.faults.harness.waiting import until
from tests.integration.bot.conftest import BOSS, sent
from tests.kit.bot import BotThread

from celeriac.security.audit import AuditLog
from celeriac.security.server import Server
from celeriac.transport.link import connector
from delivery.bot.retrying import Retrying

pytestmark = pytest.mark.xdist_group("bot")
OTHER = 9
RUN = "/run example.add x=1 y=2"
USERS: dict[int, frozenset[str]] = dict.fromkeys((BOSS, OTHER), frozenset({"*"}))


def recorded(url: str) -> list[tuple[str, str, str]]:
    async def look():
        server = Server(connector(url))
        try:
            return (await AuditLog(server).page(100)).records
        finally:
            await server.close()

    return [(each.action, each.outcome, each.task_id) for each in asyncio.run(look())]


def test_an_answer_that_telegram_is_away_for_is_given_when_it_is_back(api, empty_url, monkeypatch):
    monkeypatch.setattr("ioc.bot.Retrying", lambda: Retrying(patience=0.1))
    api.fail("sendMessage", 502, times=3, description="Bad Gateway")
    with BotThread(empty_url, api, USERS, rate_limit="1/h"):
        api.write(RUN, BOSS)
        until(lambda: sent(empty_url) == 1)
        assert api.waiting == 1
        message = api.answer(BOSS)
        assert message.text.startswith("example.add waits")
        until(lambda: not api.waiting)
    assert sent(empty_url) == 1
    assert len(api.said_to(BOSS)) == 1
    assert recorded(empty_url) == [("run_task", "done", message.text.splitlines()[1])]


def test_a_refusal_that_telegram_is_away_for_is_given_when_it_is_back(api, empty_url, monkeypatch):
    monkeypatch.setattr("ioc.bot.Retrying", lambda: Retrying(patience=0.1))
    api.fail("sendMessage", 502, times=2, description="Bad Gateway")
    with BotThread(empty_url, api, USERS, rate_limit="1/h"):
        assert "no task is named 'exemple.add'" in api.ask("/run exemple.add", BOSS).text
        until(lambda: not api.waiting)
    assert recorded(empty_url) == [("run_task", "invalid", "")]


def test_a_chat_that_hangs_holds_up_no_other_and_keeps_its_order(api, empty_url):
    with BotThread(empty_url, api, USERS):
        api.hold(BOSS)
        api.write(RUN, BOSS)
        api.write("/help", BOSS)
        until(lambda: sent(empty_url) == 1)
        asked = len(api.calls)
        for _ in range(3):
            assert "/help" in api.ask("/help", OTHER).text
        assert api.waiting == 5
        assert len([call for call in api.calls[asked:] if call.method == "getUpdates"]) < 10
        api.release(BOSS)
        assert api.answer(BOSS).text.startswith("example.add waits")
        assert "/help" in api.answer(BOSS, 2).text
        until(lambda: not api.waiting)
    assert (len(api.said_to(BOSS)), len(api.said_to(OTHER)), sent(empty_url)) == (2, 3, 1)


def test_stopped_while_a_chat_hangs_it_leaves_its_message_and_those_behind_it_to_the_next(api, empty_url, monkeypatch):
    monkeypatch.setattr("delivery.bot.polling.GRACE", 0.5)
    with BotThread(empty_url, api, USERS):
        assert "/help" in api.ask("/help", OTHER).text
        api.hold(BOSS)
        api.write(RUN, BOSS)
        until(lambda: sent(empty_url) == 1)
        assert "/help" in api.ask("/help", OTHER).text
    assert api.waiting == 2
    api.release(BOSS)
    with BotThread(empty_url, api, USERS):
        assert api.answer(BOSS).text.startswith("example.add waits")
        until(lambda: not api.waiting)
    assert sent(empty_url) == 1
