"""``.env``, as the make targets that run something read it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.e2e.made import ROOT, make_command

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
RUNS, _, CHECKS = MAKEFILE.partition("##@ Run")[2].partition("##@ Check")
TARGET = re.compile(r"^([a-z-]+):.*##", re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    return tmp_path


def made(checkout: Path, *arguments: str, **env: str) -> str:
    """What make prints."""
    outer = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = make_command("QUEUE=default", *arguments)
    return subprocess.run(
        command, cwd=checkout, env={**outer, **env}, capture_output=True, text=True, check=True
    ).stdout


def environment(checkout: Path, target: str, program: str, **env: str) -> dict[str, str]:
    """What the ``program`` of a target finds in its environment."""
    printed = made(checkout, target, f"{program}=env #", **env)
    return dict(re.findall(r"^(\w+)=(.*)$", printed, re.MULTILINE))


def test_a_value_is_taken_as_it_stands_whatever_a_shell_would_make_of_it(checkout):
    (checkout / ".env").write_text(
        "# a comment\n"
        "MARKET_SOURCE=https://prices.example.com/{symbol}?from={first}&to={last}\n"
        "HTTP_TITLE=Ada's service; $(touch stolen) `touch stolen`\n"
        "MAIL_PASSWORD='p$4#\"word'\n"
        "export LOGGING_LEVEL = DEBUG  # another\n",
        encoding="utf-8",
    )
    found = environment(checkout, "celery-worker", "CELERY")
    assert found["MARKET_SOURCE"] == "https://prices.example.com/{symbol}?from={first}&to={last}"
    assert found["HTTP_TITLE"] == "Ada's service; $(touch stolen) `touch stolen`"
    assert found["MAIL_PASSWORD"] == 'p$4#"word'
    assert found["LOGGING_LEVEL"] == "DEBUG"
    assert not (checkout / "stolen").exists()


def test_a_variable_that_is_set_wins_and_one_that_is_empty_in_the_file_is_not_set(checkout):
    (checkout / ".env").write_text("REDIS_URL=redis://file\nMAIL_HOST=file\nMAIL_SENDER=\n", encoding="utf-8")
    found = environment(checkout, "celery-worker", "CELERY", REDIS_URL="", MAIL_HOST="outside")
    assert (found["REDIS_URL"], found["MAIL_HOST"]) == ("", "outside")
    assert "MAIL_SENDER" not in found


def test_what_a_target_says_unless_told_otherwise_gives_way_to_the_file(checkout):
    assert environment(checkout, "dev", "DEV")["HTTP_AUTH"] == "off"
    (checkout / ".env").write_text("HTTP_AUTH=required\n", encoding="utf-8")
    assert environment(checkout, "dev", "DEV")["HTTP_AUTH"] == "required"


def test_every_line_of_the_example_arrives(checkout):
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    said = dict(re.findall(r"^#([A-Z_]+)=(.+)$", text, re.MULTILINE))
    (checkout / ".env").write_text(re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert said.items() <= environment(checkout, "celery-worker", "CELERY").items()


@pytest.mark.parametrize("target", TARGET.findall(RUNS))
def test_everything_that_is_run_reads_it_where_it_is(checkout, target):
    assert "dotenv" not in made(checkout, "--dry-run", target)
    (checkout / ".env").touch()
    assert "dotenv" in made(checkout, "--dry-run", target)


@pytest.mark.parametrize("target", [name for name in TARGET.findall(CHECKS) if name.startswith(("test", "lint"))])
def test_no_test_reads_it(checkout, target):
    (checkout / ".env").touch()
    assert "dotenv" not in made(checkout, "--dry-run", target)
