"""Outcomes of workflows in real databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from infrastructure.database.data import SqlResults
from infrastructure.database.models import ResultRow
from infrastructure.database.unit_of_work import SqlUnitOfWork


def test_the_first_outcome_stays_with_its_time(unit):
    results = SqlResults(unit)
    with unit:
        first = results.keep("w", {"processed": 3})
    with unit:
        assert results.keep("w", {"processed": 4}) == first
        assert results.keep("other", {"processed": 4})[0] == {"processed": 4}
    assert first[0] == {"processed": 3}


def test_two_who_keep_the_same_at_the_same_time_keep_it_once(database):
    def keep(number: int) -> dict[str, object]:
        with SqlUnitOfWork(database) as unit:
            return dict(SqlResults(unit).keep("w", {"processed": number})[0])

    with ThreadPoolExecutor(4) as threads:
        kept = list(threads.map(keep, range(8)))
    assert all(one == kept[0] for one in kept)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(ResultRow)) == 1
