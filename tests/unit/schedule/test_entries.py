from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from celery.beat import Scheduler

import celeriac
from celeriac import Priority, TaskController, create_celery_app, crontab, entry, every, task
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import InvalidScheduleEntry
from celeriac.schedule import as_beat_schedule, install_schedule
from celeriac.testing.recording import RecordingPublisher


class ReportController(TaskController):
    @task("report.daily")
    def daily(self, day: datetime, copies: int = 1) -> None:
        """Write the report."""

    @task("cleanup")
    def cleanup(self) -> None:
        """Tidy up."""


class Registry(celeriac.TasksRegistry):
    daily = ReportController.daily
    cleanup = ReportController.cleanup


@pytest.fixture
def tasks():
    return Registry(RecordingPublisher())


def test_an_entry_holds_the_call_as_it_travels(tasks):
    made = entry("nightly", crontab(hour=2, minute=0), tasks.daily, datetime(2026, 1, 1, tzinfo=UTC), copies=2)
    assert made.as_dict() == {
        "task": "report.daily",
        "schedule": crontab(hour=2, minute=0),
        "args": ("2026-01-01T00:00:00Z",),
        "kwargs": {"copies": 2},
        "options": {},
    }


def test_an_entry_whose_arguments_do_not_fit_is_refused_by_name(tasks):
    with pytest.raises(InvalidScheduleEntry) as caught:
        entry("nightly", every(hours=1), tasks.daily)
    assert caught.value.entry == "nightly"
    assert str(caught.value).startswith("schedule entry 'nightly' is wrong: report.daily(")
    with pytest.raises(InvalidScheduleEntry, match="schedule entry 'nightly' is wrong: cleanup"):
        entry("nightly", every(hours=1), tasks.cleanup, 1)


def test_an_entry_takes_every_form_of_a_schedule_and_refuses_others_by_name(tasks):
    assert entry("tick", 60, tasks.cleanup).schedule == every(minutes=1)
    assert entry("tick", "0 2 * * *", tasks.cleanup).schedule == crontab(hour=2, minute=0)
    with pytest.raises(InvalidScheduleEntry) as caught:
        entry("tick", {"minute": 61}, tasks.cleanup)
    assert str(caught.value) == (
        "schedule entry 'tick' is wrong: crontab(minute=61) is no schedule: minute takes 0 to 59, not 61"
    )


def test_options_make_a_changed_copy(tasks):
    plain = entry("tick", every(minutes=1), tasks.cleanup)
    sent = plain.options(queue="low_priority", expires=timedelta(seconds=50)).options(priority=Priority.HIGH)
    assert plain.as_dict()["options"] == {}
    assert sent.as_dict("redis")["options"] == {"queue": "low_priority", "expires": 50.0, "priority": 3}
    assert sent.as_dict("amqp")["options"] == {"queue": "low_priority", "expires": 50.0, "priority": 6}
    with pytest.raises(FrozenInstanceError):
        sent.queue = "other"  # type: ignore[misc]
    with pytest.raises(InvalidScheduleEntry) as caught:
        plain.options(expires=0)
    assert str(caught.value) == "schedule entry 'tick' is wrong: expires must be more than 0 seconds, not 0"


def test_two_entries_of_one_name_are_refused(tasks):
    twice = [entry("tick", every(minutes=1), tasks.cleanup), entry("tick", every(minutes=2), tasks.cleanup)]
    with pytest.raises(InvalidScheduleEntry) as caught:
        as_beat_schedule(twice)
    assert str(caught.value) == "schedule entry 'tick' is wrong: another entry has the same name"


def test_installed_entries_are_what_beat_runs(tasks):
    said = {"broker_url": "amqp://localhost", "beat_schedule": {"known": {"task": "t", "schedule": 60}}}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    install_schedule(app, [entry("tick", every(minutes=1), tasks.cleanup).options(priority=Priority.CRITICAL)])
    scheduler = Scheduler(app)
    scheduler.setup_schedule()
    assert {"known", "tick"} <= scheduler.schedule.keys()
    assert scheduler.schedule["tick"].options == {"priority": 9}
    with pytest.raises(InvalidScheduleEntry, match="schedule entry 'known' is wrong: another entry has the same name"):
        install_schedule(app, [entry("known", every(minutes=1), tasks.cleanup)])
