"""P2: the whole worker is killed again and again, at random moments, under load."""

from __future__ import annotations

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.seed import FULL, times
from tests.faults.storm import SLOTS, storm

TASKS = times(900, 12_000)
KILLS = times(3, 40)


@pytest.mark.timeout(900 if FULL else 120)
@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_a_storm_of_kill_9_loses_nothing(scenario, server, pool):
    verdict = storm(scenario, server, tasks=TASKS, kills=KILLS, pool=pool)
    verdict.require(duplicates=KILLS * SLOTS)
    assert len(verdict.done) == TASKS
