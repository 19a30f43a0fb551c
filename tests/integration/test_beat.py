"""Beat itself, on a server that no worker reads: what is due lies in the queue."""

from __future__ import annotations

import json

import pytest
from tests.faults.harness.waiting import until
from tests.integration.conftest import APP

from celeriac.testing.worker import BeatProcess

pytestmark = [pytest.mark.xdist_group("beat"), pytest.mark.timeout(120)]


@pytest.mark.proves("S000-2")
def test_intervals_and_crontabs_of_one_configuration_are_sent_when_due(alone):
    schedule = {
        "every second": {"task": "ping", "schedule": {"type": "interval", "seconds": 1}},
        "every minute": {"task": "add", "schedule": {"type": "crontab", "minute": "*"}, "args": [2, 3]},
    }

    def sent(task: str) -> int:
        messages = [json.loads(message) for key in alone.redis.keys("default*") for message in lists(key)]
        return sum(message["headers"]["task"] == task for message in messages)

    def lists(key: bytes) -> list[bytes]:
        found: list[bytes] = alone.redis.lrange(key, 0, -1)
        return found

    with BeatProcess(APP, redis_url=alone.url, env={"CELERY_BEAT_SCHEDULE": json.dumps(schedule)}):
        until(lambda: sent("ping") >= 2)
        until(lambda: sent("add"), timeout=90)  # the minute may have just begun
