"""The record of what was done, on a real Redis and in the log."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.integration.security.conftest import opened

from celeriac.security.audit import AuditLog, AuditRecord
from celeriac.security.server import Server

pytestmark = pytest.mark.xdist_group("security")


async def answers(server: Server) -> bool:
    try:
        return bool(await server.ask("PING"))
    except RedisConnectionError:
        return False


def done(number: int, **said: Any) -> AuditRecord:
    at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    return replace(AuditRecord(at=at, subject="ann", task_id=str(number), outcome="done"), **said)


@pytest.mark.proves("S004-23")
def test_what_was_recorded_is_read_newest_first_page_by_page(on_server):
    async def story(server):
        audit = AuditLog(server)
        for number in range(7):
            audit.record(done(number, count=number, status=200))
        pages, cursor = [], None
        while True:
            page = await audit.page(3, cursor)
            pages.append([record.task_id for record in page.records])
            cursor = page.cursor
            if cursor is None:
                return pages, page.records[0]

    pages, first = on_server(story)
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert (first.count, first.status, first.at) == (0, 200, done(0).at)


def test_records_are_found_by_what_they_say(on_server):
    async def story(server):
        audit = AuditLog(server)
        for number in range(40):
            audit.record(done(number, subject=("ann", "bob")[number % 2], action=("run", "stop")[number % 5 == 0]))
        page = await audit.page(50, subject="bob", action="stop")
        return [record.task_id for record in page.records]

    assert on_server(story) == ["35", "25", "15", "5"]


def test_the_log_has_every_record_and_redis_those_to_keep(on_server, caplog):
    async def story(server):
        audit = AuditLog(server)
        audit.record(done(1))
        audit.record(done(2), keep=False)
        return (await audit.page()).records

    with caplog.at_level(logging.INFO, "celeriac.audit"):
        kept = on_server(story)
    said = [record.msg for record in caplog.records if record.name == "celeriac.audit"]
    assert [(line["event"], line["task_id"]) for line in said] == [("audit", "1"), ("audit", "2")]
    assert [record.task_id for record in kept] == ["1"]


def test_old_records_make_room_for_new_ones(on_server):
    async def story(server):
        audit = AuditLog(server, length=100)
        for number in range(2000):
            audit.record(done(number))
        await server.ask("PING")
        return await server.ask("XLEN", "celeriac.audit")

    assert 100 <= on_server(story) < 400


def test_what_a_caller_sent_is_not_kept_at_any_length(on_server):
    async def story(server):
        audit = AuditLog(server)
        audit.record(done(1, detail="x" * 10_000))
        return (await audit.page()).records[0].detail

    assert len(on_server(story)) < 600


def test_what_is_recorded_while_redis_is_away_gets_there_when_it_is_back(server):
    async def story():
        async with opened(server.url) as asked:
            audit = AuditLog(asked)
            audit.record(done(1))
            await asked.ask("PING")
            server.stop()
            audit.record(done(2))
            with pytest.raises(RedisConnectionError):
                await audit.page()
            server.start()
            for _ in range(100):
                if await answers(asked):
                    break
                await asyncio.sleep(0.1)
            await asked.ask("PING")
            return [record.task_id for record in (await audit.page()).records]

    assert asyncio.run(story())[0] == "2"
