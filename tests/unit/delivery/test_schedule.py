"""What beat starts, as beat itself reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab
from pydantic import SecretStr

from core.configs.settings import Environment, RedisSettings, Settings
from ioc.container import build_container


@pytest.fixture(scope="module")
def entries() -> Iterator[dict[str, Any]]:
    redis = RedisSettings(redis_url=SecretStr("redis://localhost:1/0"))
    container = build_container(Settings(redis_settings=redis, environment=Environment.TEST))
    scheduler: Any = Scheduler(container.resolve(Celery))
    scheduler.setup_schedule()
    yield scheduler.schedule
    container.close()


@pytest.mark.proves("S002-11", "S004-6", "S004-7")
@pytest.mark.parametrize(
    ("name", "task", "seconds", "options"),
    [
        ("cleanup-every-hour", "cleanup_expired_data", 3600.0, {}),
        ("weekly-cleanup", "cleanup_old_data", 604800.0, {"queue": "low_priority"}),
        ("daily-refresh", "refresh_market_data", 86400.0, {"queue": "high_priority"}),
        ("hourly-index", "compute_index", 3600.0, {"queue": "high_priority"}),
    ],
)
def test_what_runs_every_so_often(entries, name, task, seconds, options):
    entry = entries[name]
    assert entry.task == task
    assert entry.schedule.run_every.total_seconds() == seconds
    assert entry.options == options


@pytest.mark.proves("S002-12")
def test_the_report_of_a_day_is_made_at_two_in_the_next_night(entries):
    entry = entries["daily-report"]
    assert entry.task == "generate_daily_report"
    assert entry.schedule == crontab(hour=2, minute=0)
    assert entry.args == ()
