"""The table, on both databases."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from celeriac.exceptions import HistoryUnavailable, InvalidCursor
from celeriac.history.database import address_of, engine_of
from celeriac.history.events import facts_of
from celeriac.history.facts import Facts
from celeriac.history.records import HistoryFilter, HistoryState
from celeriac.history.repository import HistoryRepository
from celeriac.history.schema import MIGRATIONS, upgrade
from celeriac.history.story import ms_of

NOW = ms_of(datetime(2026, 1, 1, tzinfo=UTC))


def published(
    task_id: str, *, at: int = NOW, name: str = "add", queue: str = "default", tags: tuple[str, ...] = ()
) -> Facts:
    event = {"k": "q", "t": name, "u": queue, "s": tags, "c": [[task_id, "root", "parent", [[1], {}]]]}
    ((_, facts),) = facts_of(at, json.dumps(event).encode())
    return facts


def ended(key: str, task_id: str, *, at: int, end: str = "SUCCESS", result: object = 3) -> Facts:
    row = [task_id, key, 0, 5, 5, 0, end, None, {"result": result}]
    ((_, facts),) = facts_of(at, json.dumps({"k": "w", "w": "celery@here", "p": 1, "c": [row]}).encode())
    return facts


@pytest.fixture
def repository(url: str) -> Generator[HistoryRepository]:
    engine = engine_of(url)
    yield HistoryRepository(engine)
    engine.dispose()


def filled(repository: HistoryRepository, count: int) -> None:
    repository.add(
        {
            f"id-{number:03}": published(
                f"id-{number:03}", at=NOW + number // 3, name=f"task{number % 3}", tags=("odd",) if number % 2 else ()
            )
            for number in range(count)
        }
    )


@pytest.mark.proves("S001-19")
def test_to_learn_something_twice_changes_nothing(repository):
    one = published("one")
    assert repository.add({"one": one}) == 1
    assert repository.add({"one": one}) == 0
    assert repository.add({"one": ended("r", "one", at=NOW + 9)}) == 1
    assert repository.add({"one": one}) == 0
    assert repository.count(HistoryFilter(states=(HistoryState.SUCCEEDED,))) == 1


@pytest.mark.proves("S001-14")
def test_pages_follow_each_other_without_a_gap_or_a_repetition(repository):
    filled(repository, 25)
    seen: list[str] = []
    cursor = None
    while True:
        page = repository.page(cursor=cursor, limit=7)
        seen += [each.id for each in page.tasks]
        repository.add(
            {f"late-{len(seen)}": published(f"late-{len(seen)}", at=NOW + 99)}
        )  # newer than all that is read
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == sorted((f"id-{number:03}" for number in range(25)), reverse=True)
    assert list(repository.ids(HistoryFilter(until=datetime(2026, 1, 1, 0, 0, 0, 50_000, tzinfo=UTC)))) == seen
    assert list(repository.ids(limit=3)) == [each.id for each in repository.page(limit=3).tasks]


@pytest.mark.proves("S001-14")
def test_filters_choose_and_count(repository):
    filled(repository, 12)
    repository.add({"id-001": ended("r", "id-001", at=NOW + 50, end="FAILURE", result={"exc_type": "Oops"})})
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=2)
    for chosen, count in [
        (HistoryFilter(), 12),
        (HistoryFilter(name="task1"), 4),
        (HistoryFilter(name="task1", tag="odd"), 2),
        (HistoryFilter(tag="od"), 0),
        (HistoryFilter(tag="%"), 0),
        (HistoryFilter(states=(HistoryState.FAILED, HistoryState.DEAD)), 1),
        (HistoryFilter(queue="elsewhere"), 0),
        (HistoryFilter(parent_id="parent", root_id="root"), 12),
        (HistoryFilter(group_id="none"), 0),
        (HistoryFilter(since=moment), 6),
        (HistoryFilter(until=moment), 6),
    ]:
        assert repository.count(chosen) == count, chosen
        assert len(repository.page(chosen).tasks) == count
    assert repository.children("parent")[0] == "id-000"


def test_texts_that_databases_dislike_are_kept_as_far_as_they_can_be(repository):
    repository.add(
        {"ok": ended("r", "ok", at=NOW, result="nul \x00, half \ud83d, whole 🎉"), "x\x00y": published("x\x00y")}
    )
    repository.add({"n" * 300: published("n" * 300)})
    assert [each.id for each in repository.page().tasks] == ["ok"]
    assert repository.page().tasks[0].result == "nul \x00, half \ud83d, whole 🎉"


def test_what_is_old_is_forgotten_in_bounded_steps(repository):
    filled(repository, 12)
    before = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=2)
    assert repository.prune(before, limit=4) == 4
    assert repository.prune(before, limit=4) == 2
    assert repository.prune(before, limit=4) == 0
    assert repository.count() == 6


def test_several_that_write_at_once_lose_nothing(url):
    def write(worker: int) -> None:
        engine = engine_of(url)
        mine = HistoryRepository(engine)
        for number in range(20):
            mine.add({f"shared-{number}": ended(f"run-{worker}", f"shared-{number}", at=NOW + worker, end="FAILURE")})
        engine.dispose()

    threads = [Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine = engine_of(url)
    page = HistoryRepository(engine).page(limit=50)
    engine.dispose()
    assert len(page.tasks) == 20
    assert {len(each.attempts) for each in page.tasks} == {4}


def test_tables_are_made_once_by_whoever_comes_first(url):
    engine = engine_of(url)
    threads = [Thread(target=upgrade, args=(engine,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert MIGRATIONS.current(engine) == MIGRATIONS.newest() == "0002"
    engine.dispose()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("postgres://me:secret@host/name", "postgresql+psycopg://me:***@host/name"),
        ("postgresql+asyncpg://me@host/name", "postgresql+psycopg://me@host/name"),
        ("sqlite+aiosqlite:///file.db", "sqlite:///file.db"),
    ],
)
def test_an_address_may_be_written_as_others_write_it(said, meant):
    assert address_of(said).render_as_string() == meant


@pytest.mark.parametrize("said", ["mysql://host/name", "nonsense"])
def test_another_kind_of_database_is_an_error(said):
    with pytest.raises(HistoryUnavailable):
        address_of(said)


def test_a_cursor_of_somebody_elses_making_is_refused(repository):
    with pytest.raises(InvalidCursor):
        repository.page(cursor="!")
