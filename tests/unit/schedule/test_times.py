from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery.schedules import crontab as celery_crontab
from celery.schedules import schedule as celery_schedule
from hypothesis import given
from hypothesis import strategies as st

from celeriac import crontab, every
from celeriac.exceptions import InvalidSchedule
from celeriac.schedule import DAILY, HOURLY, MINUTELY, WEEKLY


def as_any(value: Any) -> Any:
    """What a type checker would refuse."""
    return value


@pytest.mark.proves("S004-7")
def test_the_presets_are_seconds():
    assert (MINUTELY, HOURLY, DAILY, WEEKLY) == (60, 3600, 86400, 604800)
    weekly: Any = every(seconds=WEEKLY)
    assert weekly.run_every == timedelta(weeks=1)


@pytest.mark.parametrize(
    ("made", "seconds"),
    [
        (every(seconds=0.5), 0.5),
        (every(minutes=5), 300),
        (every(hours=2), 7200),
        (every(days=1), 86400),
        (every(weeks=1), 604800),
        (every(hours=1, minutes=30), 5400),
        (every(timedelta(minutes=1)), 60),
        (every(timedelta(minutes=1), seconds=5), 65),
    ],
)
def test_an_interval_is_the_sum_of_its_parts(made: Any, seconds):
    assert (type(made), made.run_every.total_seconds()) == (celery_schedule, seconds)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (every, "every(seconds=0) is no schedule: an interval must be longer than zero"),
        (lambda: every(minutes=-5), "every(minutes=-5) is no schedule: an interval must be longer than zero"),
        (
            lambda: every(timedelta(0)),
            "every(datetime.timedelta(0)) is no schedule: an interval must be longer than zero",
        ),
        (
            lambda: every(seconds=as_any("60")),
            "every(seconds='60') is no schedule: each part must be a number, and the sum a time span",
        ),
        (
            lambda: every(days=1e12),
            "every(days=1000000000000.0) is no schedule: each part must be a number, and the sum a time span",
        ),
        (
            lambda: every(hours=float("nan")),
            "every(hours=nan) is no schedule: each part must be a number, and the sum a time span",
        ),
    ],
)
def test_an_interval_that_is_none_is_refused(make, error):
    with pytest.raises(InvalidSchedule) as caught:
        make()
    assert str(caught.value) == error


def test_a_crontab_is_celerys():
    made: Any = crontab(hour="2,14", minute=30, day_of_week="mon-fri")
    assert (type(made), made.minute, made.hour) == (celery_crontab, {30}, {2, 14})
    assert made.day_of_week == {1, 2, 3, 4, 5}
    quarterly: Any = crontab(minute="*/15")
    assert quarterly.hour == set(range(24))
    assert crontab() == celery_crontab()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: crontab(minute=61), "crontab(minute=61) is no schedule: minute takes 0 to 59, not 61"),
        (lambda: crontab(minute=0, hour=24), "crontab(minute=0, hour=24) is no schedule: hour takes 0 to 23, not 24"),
        (lambda: crontab(minute="often"), "crontab(minute='often') is no schedule: minute takes 0 to 59, not 'often'"),
        (lambda: crontab(minute=[5, 99]), "crontab(minute=[5, 99]) is no schedule: minute takes 0 to 59, not [5, 99]"),
        (lambda: crontab(minute=as_any(2.5)), "crontab(minute=2.5) is no schedule: minute takes 0 to 59, not 2.5"),
        (lambda: crontab(minute=True), "crontab(minute=True) is no schedule: minute takes 0 to 59, not True"),
        (
            lambda: crontab(minute=0, day_of_week=7),
            "crontab(minute=0, day_of_week=7) is no schedule: day_of_week takes 0 to 6, not 7",
        ),
        (
            lambda: crontab(minute=0, day_of_month=0),
            "crontab(minute=0, day_of_month=0) is no schedule: day_of_month takes 1 to 31, not 0",
        ),
        (
            lambda: crontab(minute=0, day_of_month=30, month_of_year=2),
            (
                "crontab(minute=0, day_of_month=30, month_of_year=2) is no schedule:"
                " day_of_month 30 is in no month of month_of_year 2"
            ),
        ),
        (
            lambda: crontab(hour=2),
            (
                "crontab(hour=2) is no schedule: it says no minute, so it would run every minute of the hour:"
                ' say minute=0, or minute="*" if meant'
            ),
        ),
    ],
)
def test_a_crontab_that_means_no_point_in_time_is_refused(make, error):
    with pytest.raises(InvalidSchedule) as caught:
        make()
    assert str(caught.value) == error


@given(st.integers(-200, 200), st.integers(-200, 200), st.integers(-200, 200))
def test_numbers_in_range_make_a_crontab_and_all_others_an_error(minute, hour, day):
    fits = 0 <= minute <= 59 and 0 <= hour <= 23 and 1 <= day <= 31
    try:
        made: Any = crontab(minute=minute, hour=hour, day_of_month=day)
    except InvalidSchedule:
        assert not fits
    else:
        assert fits
        assert (made.minute, made.hour, made.day_of_month) == ({minute}, {hour}, {day})
