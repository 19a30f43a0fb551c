"""What was revoked stays revoked, whichever worker meets it."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.waiting import until

from celeriac import TaskState
from celeriac.exceptions import TaskRevoked
from celeriac.transport.revocations import KEPT, Revocations
from celeriac.transport.server import shelf_of
from celeriac.worker.control import DurableControl

WAIT = 30


@pytest.mark.parametrize("pool", ["lane", "solo"])
@pytest.mark.proves("S001-17")
def test_a_task_that_was_revoked_while_no_worker_ran_never_runs(alone, start, pool, tmp_path):
    path = tmp_path / "ran"
    revoked = alone.registry.record.delay(path, "revoked")
    revoked.revoke()
    last = alone.registry.record.delay(path, "last")

    start(pool=pool, concurrency=1)

    last.get(timeout=WAIT)
    until(lambda: revoked.state is TaskState.REVOKED)
    assert path.read_text() == "last\n"
    with pytest.raises(TaskRevoked):
        revoked.get(timeout=WAIT)


@pytest.mark.proves("S001-17")
def test_a_second_worker_knows_what_the_first_was_told(alone, start, tmp_path):
    path = tmp_path / "ran"
    first = start(concurrency=1)
    later = alone.registry.record.s(path, "revoked").set(countdown=4).delay()
    until(lambda: alone.app.control.inspect(timeout=1).scheduled())
    later.revoke()
    first.stop()

    start(concurrency=1)

    until(lambda: later.state is TaskState.REVOKED, timeout=WAIT)
    assert not path.exists()


def test_several_are_remembered_together_and_forgotten_in_the_end(alone):
    assert isinstance(alone.app.control, DurableControl)
    shelf = shelf_of(alone.app)
    assert shelf is not None
    now = [time.time()]
    revocations = Revocations(shelf, clock=lambda: now[0])

    revocations.add(["a", "b"])
    now[0] += 10
    revocations.add(["c"])

    assert revocations.since() == ["a", "b", "c"]
    assert revocations.since(now[0] - 5) == ["c"]
    assert revocations.among(["a", "c", "d"]) == {"a", "c"}
    now[0] += KEPT - 5
    assert revocations.since() == ["c"]
    revocations.add(["d"])
    assert revocations.among(["a", "b", "c", "d"]) == {"c", "d"}
    shelf.close()
