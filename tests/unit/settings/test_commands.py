"""The ``celery`` command reads variables of its own, some under the names of options: neither may disturb the other."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from celery.bin.celery import celery

from celeriac.exceptions import UnknownSetting
from celeriac.options.variables import refuse_unknown

APP = "from celeriac import create_celery_app\napp = create_celery_app()\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "entry.py").write_text(APP)

    def run(*arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "celery", "--app=entry", *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def _variables(command, prefix="CELERY"):
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield f"{prefix}_{parameter.name}".upper()
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _variables(child, f"{prefix}_{name.replace('-', '_')}")


def test_no_variable_of_a_celery_command_is_taken_for_a_mistake():
    from celeriac import CelerySettings

    for variable in _variables(celery):
        refuse_unknown({variable: "1"}, CelerySettings.model_fields)
    with pytest.raises(UnknownSetting):
        refuse_unknown({"CELERY_WORKER_QUEUE": "1"}, CelerySettings.model_fields)


@pytest.mark.proves("S001-2")
def test_celery_broker_is_not_taken_for_the_option_of_the_command(run):
    shown = run("report", CELERY_BROKER="redis", REDIS_HOST="cache")
    assert shown.returncode == 0, shown.stderr
    assert "redis://:********@cache:6379/0" in shown.stdout


def test_the_broker_option_of_the_command_still_beats_the_environment(run):
    shown = run("--broker=redis://option:1/0", "report", REDIS_URL="redis://variable:2/0")
    assert shown.returncode == 0, shown.stderr
    assert "redis://:********@option:1/0" in shown.stdout


def test_a_schedule_in_the_environment_is_not_taken_for_the_name_of_beats_file(run, tmp_path):
    table = '{"tick": {"task": "t", "schedule": 60}}'
    script = tmp_path / "show.py"
    script.write_text(
        "from entry import app\n"
        "beat = app.Beat(schedule=__import__('os').environ['CELERY_BEAT_SCHEDULE'])\n"
        "print(beat.schedule, sorted(app.conf.beat_schedule))\n"
        "print(app.Beat(schedule='/run/beat').schedule)\n"
    )
    shown = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "CELERY_BEAT_SCHEDULE": table, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout.splitlines() == ["celerybeat-schedule ['tick']", "/run/beat"]


def test_a_file_name_for_beat_is_not_taken_for_a_schedule(run):
    shown = run("report", CELERY_BEAT_SCHEDULE="/run/beat/schedule")
    assert shown.returncode == 0, shown.stderr


def test_a_mistake_in_a_variable_is_told_in_one_line_by_the_command(run):
    shown = run("report", CELERY_TASK_ACK_LATE="1")
    assert shown.returncode != 0
    assert "CELERY_TASK_ACK_LATE is no setting of Celery or Celeriac. Did you mean 'CELERY_TASK_ACKS_LATE'?" in (
        shown.stdout + shown.stderr
    )
