from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest
from celery import Celery
from tests.faults.harness.forms import forms

from celeriac.exceptions import ServerNotFound
from celeriac.testing.worker import BeatProcess, WorkerProcess

APP = "tests.kit.app"

pytestmark = pytest.mark.timeout(90)


def running_in_group(pgid: int) -> list[str]:
    """The processes of a group that are more than an entry whose parent has yet to look."""
    everything = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=2) for line in everything.stdout.splitlines()]
    return [" ".join(line) for line in lines if line[0] == str(pgid) and not line[1].startswith("Z")]


@pytest.mark.parametrize("pool", forms(["prefork"], ["threads", "solo"]))
def test_a_worker_is_ready_when_its_context_begins_and_gone_when_it_ends(redis_url, pool):
    with WorkerProcess(APP, redis_url=redis_url, pool=pool) as worker:
        with Celery(broker=redis_url) as control:
            # Ready to work comes a moment before ready to be asked: the broker forgets a question that nobody heard.
            while not (answer := control.control.ping(destination=[worker.node], timeout=1, limit=1)):
                assert worker.returncode is None
        assert answer == [{worker.node: {"ok": "pong"}}]
        assert worker.returncode is None
        pid = worker.pid
    assert worker.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)


def test_the_fixture_starts_workers_on_the_server_of_the_run(celery_worker):
    worker = celery_worker(APP, pool="solo", queues=["default"])
    assert worker.returncode is None
    assert f"{worker.node} ready." in worker.log


def test_killing_takes_the_pool_processes_along(redis_url):
    with WorkerProcess(APP, redis_url=redis_url, concurrency=2) as worker:
        worker.kill()
        deadline = time.monotonic() + 20
        assert worker.returncode == -signal.SIGKILL
        while left := running_in_group(worker.pid):  # the kernel ends them one after the other
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


def test_a_worker_that_cannot_start_is_an_error_with_its_log(redis_url):
    with (
        pytest.raises(ServerNotFound, match="ended with") as raised,
        WorkerProcess("no_such_module", redis_url=redis_url),
    ):
        pass
    assert "no_such_module" in str(raised.value)


def test_the_log_is_shown_when_the_test_fails(redis_url, capsys):
    message = "the test fails"
    with pytest.raises(AssertionError, match=message), BeatProcess(APP, redis_url=redis_url):
        raise AssertionError(message)
    assert "beat: Starting" in capsys.readouterr().err


def test_beat_runs_until_it_is_stopped(redis_url):
    with BeatProcess(APP, redis_url=redis_url) as beat:
        assert beat.returncode is None
    assert beat.returncode == 0, beat.log
