"""Probes that look at a file, and at nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until

from celeriac.probe import Sign, problem_of, signs
from celeriac.testing.worker import BeatProcess, WorkerProcess


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CELERIAC_PROBE_DIRECTORY", str(tmp_path / "signs"))
    return tmp_path / "signs"


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As in a container: without a broker, and in a directory without the app."""
    env = {name: value for name, value in os.environ.items() if "REDIS" not in name}
    command = [sys.executable, "-m", "celeriac", "probe", *arguments]
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)


@pytest.mark.parametrize("pool", forms(["lane"], ["solo"]))
def test_a_worker_that_lives_passes_and_one_that_is_killed_does_not(alone, pool):
    assert probe("worker").returncode == 1
    with WorkerProcess("tests.kit.app", redis_url=alone.url, pool=pool, concurrency=1) as worker:
        until(lambda: problem_of("worker", ready=True) is None, timeout=60)
        assert probe("worker", "--ready").returncode == 0
        os.killpg(worker.pid, signal.SIGKILL)
        until(lambda: worker.returncode is not None)
        answer = probe("worker")
        assert (answer.returncode, "is gone" in answer.stderr) == (1, True)


def test_a_worker_whose_process_stands_still_is_found_out(alone):
    with WorkerProcess("tests.kit.app", redis_url=alone.url, concurrency=1) as worker:
        until(lambda: problem_of("worker") is None, timeout=60)
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            (sign,) = signs("worker")
            assert sign.problem(ready=False, now=time.time()) is None
            assert "no sign of life" in str(sign.problem(ready=False, now=sign.until + 1))
        finally:
            os.kill(worker.pid, signal.SIGCONT)


def test_a_worker_that_stops_takes_its_sign_away(alone):
    with WorkerProcess("tests.kit.app", redis_url=alone.url, concurrency=1):
        until(lambda: problem_of("worker") is None, timeout=60)
    assert "is gone" in str(problem_of("worker")) or "has ever given" in str(problem_of("worker"))


def test_beat_passes_while_it_looks_at_its_schedule(alone, tmp_path):
    assert probe("beat").returncode == 1
    arguments = [f"--schedule={tmp_path / 'beat'}"]
    with BeatProcess("tests.kit.app", redis_url=alone.url, arguments=arguments):
        until(lambda: problem_of("beat") is None, timeout=60)
        assert probe("beat").returncode == 0
        (sign,) = signs("beat")
        assert "no sign of life" in str(sign.problem(ready=False, now=sign.until + 1))
    assert probe("beat").returncode == 1


def test_strange_files_are_passed_over(directory):
    directory.mkdir()
    (directory / "worker-a.json").write_text("{")
    (directory / "worker-b.json").write_text(json.dumps({"kind": "worker"}))
    assert signs("worker") == []
    sign = Sign("worker", "a/b c@host", os.getpid(), time.time() + 60, 0.0)
    sign.write()
    assert signs("worker", "a/b c@host") == [sign]
    assert problem_of("worker", "a/b c@host") is None
    assert "consumed nothing" in str(problem_of("worker", "a/b c@host", ready=True))
    assert "has ever given" in str(problem_of("worker", "other"))
