"""Every command that the documents show exists: make's targets, Celery's options, our variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer
from celery.bin.base import CLIContext
from celery.bin.celery import celery as celery_command
from tests.docs.blocks import PAGES, ROOT, blocks, name_of
from typer.testing import CliRunner

from celeriac import CelerySettings, create_celery_app
from celeriac.cli.callers import audit, keys, secret
from celeriac.cli.dead import dead
from celeriac.cli.dev import commands as celeriac_commands
from celeriac.cli.probe import probe
from celeriac.options.variables import variables_of

TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
VARIABLES = {variable for setting in CelerySettings.model_fields for variable in variables_of(setting)} | {
    "BOT_TOKEN",
    "BOT_USERS",
    "ENVIRONMENT",
    "FAULTS",
    "FAULTS_SEED",
    "HTTP_AUTH",
    "HTTP_JWT_AUDIENCE",
    "HTTP_JWT_ISSUER",
    "HTTP_JWT_JWKS_URL",
    "HTTP_RATE_LIMIT",
    "API",
    "LATER",
    "TASK",
    "LOGGING_FORMAT",
    "LOGGING_LEVEL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "PYTHONPATH",
    "TEST_RABBITMQ_URL",
    "TEST_REDIS_URL",
}
_SUBSTITUTION = re.compile(r"\$\([^)]*\)")
OTHER_PROGRAMS = {
    "cd",
    "curl",
    "docker",
    "export",
    "git",
    "pip",
    ".venv/bin/pip",
    ".venv/bin/pytest",
    ".venv/bin/python",
    "uvicorn",
}


def commands() -> Iterator[tuple[str, list[str]]]:
    """Where each command stands, and its words."""
    for page in PAGES:
        for block in blocks(page):
            if block.language != "bash":
                continue
            for number, line in enumerate(block.text.replace("\\\n", " ").splitlines(), start=block.line + 1):
                if words := shlex.split(_SUBSTITUTION.sub("SOMETHING", line), comments=True):
                    yield f"{name_of(page)}:{number}", words


def test_the_documents_show_commands():
    assert len(list(commands())) > 20


@pytest.mark.parametrize(("place", "words"), [pytest.param(*each, id=each[0]) for each in commands()])
def test_a_command_exists(place: str, words: list[str]):
    while words and (said := re.match(r"([A-Z_]+)=", words[0])):
        assert said[1] in VARIABLES, f"{said[1]} is no variable"
        words = words[1:]
    match words:
        case ["make", *targets]:
            unknown = {each for each in targets if "=" not in each} - TARGETS
            assert not unknown, f"no such target: {unknown}"
        case ["celery" | ".venv/bin/celery", *arguments]:
            parse_celery(arguments)
        case ["celeriac", "dead" | "keys" | "probe" as group, *arguments]:
            parse_group({"dead": dead, "keys": keys, "probe": probe}[group], arguments)
        case ["celeriac", "audit" | "secret" as name, *arguments]:
            typer.main.get_command({"audit": audit, "secret": secret}[name]).make_context(name, list(arguments))
        case ["celeriac", *arguments]:
            # Asked for help at the end, it reads the whole line and runs nothing. What follows `--` is another's.
            own = arguments[: arguments.index("--")] if "--" in arguments else arguments
            assert CliRunner().invoke(celeriac_commands, [*own, "--help"]).exit_code == 0
        case ["export", *variables]:
            assert {each.partition("=")[0] for each in variables} <= VARIABLES
        case [program, *_]:
            assert program in OTHER_PROGRAMS
        case _:
            pass


@pytest.mark.proves("H-7", "S000-28")
def test_the_documents_name_the_option_for_queues_that_exists_and_warn_of_the_one_that_does_not():
    shown = [words for _, words in commands() if words[0] == "celery"]
    assert any("--queues=high_priority" in words for words in shown)
    assert not any(word.startswith("--queue=") for words in shown for word in words)
    assert "no option `--queue`" in (ROOT / "docs/how-to/workers.md").read_text(encoding="utf-8")

    parse_celery(["worker", "--queues=high_priority"])
    parse_celery(["worker", "-Q", "high_priority"])
    with pytest.raises(click.NoSuchOption):
        parse_celery(["worker", "--queue=high_priority"])


def parse_celery(arguments: list[str]) -> None:
    """Read a command line as ``celery`` does, up to the point of running it.

    Raises:
        click.UsageError: there is no such command or option, or its value cannot be used.
    """
    first = next(position for position, word in enumerate(arguments) if not word.startswith("-"))
    name, options = arguments[first], arguments[first + 1 :]
    whole = celery_command.make_context("celery", [*arguments[:first], name], resilient_parsing=True)
    whole.obj = CLIContext(app=create_celery_app(), no_color=True, workdir=None, quiet=True)
    command = celery_command.get_command(whole, name)
    assert command is not None, f"celery has no command {name!r}"
    command.make_context(name, options, parent=whole)


def parse_group(commands: typer.Typer, arguments: list[str]) -> None:
    """Read the command line of ``celeriac dead`` and the like, without looking for the app that it names.

    Raises:
        Exception: typer's own usage error: there is no such command or option, or its value cannot be used.
    """
    group: Any = typer.main.get_command(commands)
    first = next(position for position, word in enumerate(arguments) if not word.startswith("-"))
    name, options = arguments[first], arguments[first + 1 :]
    whole = group.make_context("celeriac", [*arguments[:first], name])
    command = group.get_command(whole, name)
    assert command is not None, f"celeriac has no command {name!r} there"
    command.make_context(name, options, parent=whole)
