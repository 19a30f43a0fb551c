"""Reports: which days they tell of, and that each is counted once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Self

import pytest

from core.reports.entities import Figures, Period, Report, ReportKind
from core.reports.errors import PeriodNotOverError
from core.reports.periods import latest, period_of
from core.reports.service import ReportService

SATURDAY = date(2026, 11, 21)
FIGURES = Figures(1, 1, 2, 3, 4, 5, 6, 7)


class Ledger:
    """Counts, notes, and is the transaction in which both happen."""

    def __init__(self) -> None:
        self.counted: list[Period] = []
        self.kept: list[Report] = []
        self.open = False

    def __enter__(self) -> Self:
        self.open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.open = False

    def figures(self, period: Period) -> Figures:
        assert self.open
        self.counted.append(period)
        return FIGURES

    def find(self, kind: ReportKind, period: Period) -> Report | None:
        assert self.open
        return next((report for report in self.kept if (report.kind, report.period) == (kind, period)), None)

    def keep(self, report: Report) -> None:
        assert self.open
        self.kept.append(report)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def service(ledger) -> ReportService:
    return ReportService(ledger, ledger, ledger)


@pytest.mark.parametrize(
    ("kind", "day", "first", "last"),
    [
        ("daily", SATURDAY, SATURDAY, SATURDAY),
        ("weekly", SATURDAY, date(2026, 11, 16), date(2026, 11, 22)),
        ("weekly", date(2026, 11, 16), date(2026, 11, 16), date(2026, 11, 22)),
        ("weekly", date(2027, 1, 1), date(2026, 12, 28), date(2027, 1, 3)),
        ("monthly", SATURDAY, date(2026, 11, 1), date(2026, 11, 30)),
        ("monthly", date(2028, 2, 3), date(2028, 2, 1), date(2028, 2, 29)),
        ("monthly", date(2026, 12, 31), date(2026, 12, 1), date(2026, 12, 31)),
    ],
)
def test_a_period_is_of_whole_days(kind, day, first, last):
    assert period_of(kind, day) == Period(first, last)


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("daily", date(2026, 11, 20), date(2026, 11, 20)),
        ("weekly", date(2026, 11, 9), date(2026, 11, 15)),
        ("monthly", date(2026, 10, 1), date(2026, 10, 31)),
    ],
)
def test_the_latest_one_is_over(kind, first, last):
    assert latest(kind, SATURDAY) == Period(first, last)


@pytest.mark.parametrize("kind", ["daily", "weekly", "monthly"])
def test_a_period_is_counted_once_and_then_known(service, ledger, kind):
    first = service.generate(kind)
    assert first.figures == FIGURES
    assert service.generate(kind) == first
    assert service.generate(kind, first.period.last) == first
    assert ledger.counted == [first.period]


def test_without_a_day_it_is_yesterdays_report(service):
    before = datetime.now(UTC).date()
    day = service.generate("daily").period.first
    assert day in {before - timedelta(days=1), datetime.now(UTC).date() - timedelta(days=1)}


@pytest.mark.parametrize("kind", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("day", [datetime.now(UTC).date() + timedelta(days=1), date.max], ids=["tomorrow", "last"])
def test_what_is_not_over_is_refused(service, ledger, kind, day):
    with pytest.raises(PeriodNotOverError, match=rf"^the {kind} report that {day} belongs to cannot be made yet"):
        service.generate(kind, day)
    assert not ledger.kept
