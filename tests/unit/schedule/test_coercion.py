from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from celery.beat import Scheduler
from celery.schedules import BaseSchedule
from celery.schedules import crontab as celery_crontab
from hypothesis import given
from hypothesis import strategies as st

from celeriac import CeleryAppConfig, create_celery_app, crontab, every
from celeriac.exceptions import InvalidScheduleEntry
from celeriac.schedule import coerce_beat_schedule, coerce_schedule

FORMS = (
    "write seconds, a timedelta, every(...), crontab(...), a cron string,"
    ' {"type": "interval", "seconds": 300} or {"type": "crontab", "hour": 2, "minute": 0}'
)

SOURCES = {
    "cleanup-every-hour": {"task": "app.tasks.cleanup.cleanup_expired_data", "schedule": 3600.0},
    "daily-report": {"task": "app.tasks.reports.generate_daily_report", "schedule": {"hour": 2, "minute": 0}},
    "daily-refresh": {"task": "refresh_market_data", "schedule": 86400.0, "options": {"queue": "high_priority"}},
    "hourly-index": {"task": "compute_index", "schedule": 3600.0, "options": {"queue": "high_priority"}},
    "weekly-cleanup": {"task": "cleanup_old_data", "schedule": 604800.0, "options": {"queue": "low_priority"}},
    "nightly_cleanup": {"task": "cleanup", "schedule": {"type": "crontab", "hour": 1, "minute": 0}},
    "health_check": {"task": "health_check", "schedule": {"type": "interval", "seconds": 300}},
    "cron-string": {"task": "nightly", "schedule": "30 4 * * mon-fri"},
}


def loaded(schedule: Any) -> Any:
    """The entries as a real scheduler of beat holds them."""
    app = create_celery_app(CeleryAppConfig.from_mapping({"beat_schedule": schedule}))
    scheduler = Scheduler(app)
    scheduler.setup_schedule()
    return scheduler.schedule


@pytest.mark.proves("S002-11", "S002-12", "S004-6", "H-5")
def test_beat_loads_every_form_of_the_sources():
    entries = loaded(SOURCES)
    assert SOURCES.keys() <= entries.keys()
    assert entries["cleanup-every-hour"].task == "app.tasks.cleanup.cleanup_expired_data"
    seconds = {name: entries[name].schedule.seconds for name in SOURCES if hasattr(entries[name].schedule, "seconds")}
    assert seconds == {
        "cleanup-every-hour": 3600,
        "daily-refresh": 86400,
        "hourly-index": 3600,
        "weekly-cleanup": 604800,
        "health_check": 300,
    }
    report: Any = entries["daily-report"].schedule
    assert (type(report), report.hour, report.minute) == (celery_crontab, {2}, {0})
    assert (entries["cron-string"].schedule.hour, entries["cron-string"].schedule.minute) == ({4}, {30})
    queues = {name: entry.options.get("queue") for name, entry in entries.items()}
    assert [queues[name] for name in ("daily-refresh", "hourly-index", "weekly-cleanup")] == [
        "high_priority",
        "high_priority",
        "low_priority",
    ]
    for entry in entries.values():
        assert entry.is_due()[1] > 0


@pytest.mark.proves("S002-12")
def test_plain_celery_cannot_load_the_bare_table():
    app = create_celery_app()
    app.conf.beat_schedule = {"daily-report": SOURCES["daily-report"]}
    with pytest.raises(AttributeError):
        Scheduler(app).setup_schedule()


def test_a_schedule_comes_from_the_environment_too(monkeypatch):
    monkeypatch.setenv("CELERY_BEAT_SCHEDULE", '{"tick": {"task": "t", "schedule": {"minutes": 5}, "args": [1]}}')
    entry = create_celery_app().conf.beat_schedule["tick"]
    assert (entry["schedule"].seconds, entry["args"]) == (300, [1])


@pytest.mark.proves("H-5")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (300, every(seconds=300)),
        (0.5, every(seconds=0.5)),
        (timedelta(minutes=2), every(minutes=2)),
        (every(minutes=3), every(minutes=3)),
        (crontab(minute=5), crontab(minute=5)),
        ({"type": "interval", "minutes": 5}, every(minutes=5)),
        ({"hours": 1, "minutes": 30}, every(minutes=90)),
        ({"type": "crontab", "minute": "*/10"}, crontab(minute="*/10")),
        ({"hour": 2, "minute": 0}, crontab(hour=2, minute=0)),
        ({"minute": 0, "hour": 9, "day_of_week": "mon"}, crontab(minute=0, hour=9, day_of_week="mon")),
        ("0 2 * * *", crontab(hour=2, minute=0)),
        ("0  0   1 */3 *", crontab(hour=0, minute=0, day_of_month=1, month_of_year="*/3")),
    ],
)
def test_every_form_means_one_schedule(value, expected):
    assert coerce_schedule(value, "entry") == expected


def test_other_schedules_of_celery_stay_as_they_are():
    class Tides(BaseSchedule):
        """A schedule of somebody's own."""

    tides = Tides()
    assert coerce_schedule(tides, "entry") is tides


@pytest.mark.proves("H-5")
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "every day",
            (
                "'every day' is no schedule: a cron string has five fields"
                " (minute hour day_of_month month_of_year day_of_week), this one has 2"
            ),
        ),
        ("0 25 * * *", "'0 25 * * *' is no schedule: hour takes 0 to 23, not '25'"),
        ({"minute": 61}, "crontab(minute=61) is no schedule: minute takes 0 to 59, not 61"),
        ({"type": "solar"}, "{'type': 'solar'} is no schedule: type 'solar' is neither 'interval' nor 'crontab'"),
        (
            {"type": "interval", "second": 5},
            (
                "{'type': 'interval', 'second': 5} is no schedule: 'second' is no part of type 'interval'."
                " Did you mean 'seconds'?"
            ),
        ),
        (
            {"type": "interval"},
            "{'type': 'interval'} is no schedule: it names none of seconds, minutes, hours, days, weeks",
        ),
        ({}, "{} is no schedule: it names none of minute, hour, day_of_week, day_of_month, month_of_year"),
        (0, "every(seconds=0) is no schedule: an interval must be longer than zero"),
        (True, f"True is no schedule: {FORMS}"),
        ([60], f"[60] is no schedule: {FORMS}"),
    ],
)
def test_a_bad_schedule_is_an_error_that_names_its_entry(value, problem):
    with pytest.raises(InvalidScheduleEntry) as caught:
        CeleryAppConfig.from_mapping({"beat_schedule": {"nightly": {"task": "t", "schedule": value}}})
    assert str(caught.value) == f"schedule entry 'nightly' is wrong: {problem}"
    assert caught.value.entry == "nightly"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"schedule": 60}, "it says no 'task'"),
        ({"task": "t"}, "it says no 'schedule'"),
        ({"task": "t", "schedule": None}, "it says no 'schedule'"),
        ({"task": "t", "schedule": 60, "option": {}}, "'option' is no key of an entry. Did you mean 'options'?"),
        ("t", 'it is no table: write {"task": ..., "schedule": ...}'),
    ],
)
def test_an_entry_that_beat_could_not_run_is_an_error_that_names_it(entry, problem):
    with pytest.raises(InvalidScheduleEntry) as caught:
        coerce_beat_schedule({"nightly": entry})
    assert str(caught.value) == f"schedule entry 'nightly' is wrong: {problem}"


def test_a_schedule_that_is_no_table_of_entries_is_refused():
    with pytest.raises(InvalidScheduleEntry) as caught:
        coerce_beat_schedule([1])
    assert str(caught.value) == "schedule entry 'beat_schedule' is wrong: it is no table of entries by name"


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "hour", "minute", "seconds", "x"]), inner),
)


@given(json_like)
def test_whatever_stands_in_for_a_schedule_becomes_one_or_an_error_that_names_the_entry(value):
    try:
        schedule = coerce_schedule(value, "here")
    except InvalidScheduleEntry as error:
        named = error.entry
    else:
        assert schedule.is_due(schedule.now() - timedelta(days=1))
        named = "here"
    assert named == "here"
