"""``celeriac dev``: what a developer starts on his own machine.

An embedded Redis is shared by everything that runs in one directory, unless ``REDIS_URL`` names another.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from kombu.utils.url import maybe_sanitize_url

from celeriac.cli.runner import Runner
from celeriac.cli.screen import Screen
from celeriac.exceptions import ServerNotFound
from celeriac.testing.embedded import EmbeddedRedis
from celeriac.testing.shared import shared_redis

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["commands"]

BEAT_MEMORY = "celerybeat-schedule"
FIRST_PORT = 8000

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
dev = typer.Typer(help="Run a Celery app on this machine, for development.")
commands.add_typer(dev, name="dev")


@commands.callback()
def _root() -> None:
    """A typed, injected layer on Celery."""


@dataclass(frozen=True)
class Place:
    """Which app runs, where it keeps its files, and whose changes matter."""

    app: str
    data: Path
    watch: tuple[Path, ...]
    api: str | None = None

    @property
    def level(self) -> str:
        """The log level, ``INFO`` unless ``LOGGING_LEVEL`` says otherwise."""
        return os.environ.get("LOGGING_LEVEL", "INFO")

    def celery(self, command: str, *options: str) -> list[str]:
        """``celery --app=... <command> --loglevel=... <options>``, with this very Python and without the banner."""
        program = [sys.executable, "-m", "celery", f"--app={self.app}", "--quiet"]
        return [*program, command, f"--loglevel={self.level}", *options]

    def worker(self, *options: str) -> tuple[str, list[str]]:
        """The worker, under a name that no other terminal's worker has."""
        return "worker", self.celery("worker", f"--hostname=worker-{os.getpid()}@%h", *options)

    def beat(self, memory: str = BEAT_MEMORY) -> tuple[str, list[str]]:
        """Beat, which remembers in the file ``memory`` what it sent last."""
        return "beat", self.celery("beat", self.schedule(memory))

    def http(self, port: int) -> tuple[str, list[str]]:
        """The HTTP server, on this machine alone."""
        options = ["--host=127.0.0.1", f"--port={port}", f"--log-level={self.level.lower()}"]
        return "http", [sys.executable, "-m", "uvicorn", str(self.api), *options]

    def schedule(self, memory: str = BEAT_MEMORY) -> str:
        """The option that says where beat remembers."""
        return f"--schedule={self.data / memory}"


@dev.callback(invoke_without_command=True)
def everything(
    context: typer.Context,
    app: Annotated[str, typer.Option(help="Module of the Celery app, as in celery --app.")],
    data: Annotated[Path, typer.Option(help="Where the embedded Redis and beat keep their files.")] = Path(".data"),
    watch: Annotated[list[Path] | None, typer.Option(help="Start again when Python files in here change.")] = None,
    api: Annotated[str | None, typer.Option(help="The ASGI application, as uvicorn takes it.")] = None,
) -> None:
    """Run Redis, a worker and beat together, and the HTTP server where there is one. Ctrl-C stops all."""
    place = context.obj = Place(app=app, data=data, watch=tuple(watch or [Path("src")]), api=api)
    if context.invoked_subcommand is None:
        port = free_port()
        serving = [] if api is None else [place.http(port)]
        _run(place, [place.worker(), place.beat(), *serving], rows=_where(port) if serving else ())


@dev.command()
def worker(
    context: typer.Context,
    *,
    beat: Annotated[
        bool, typer.Option("--beat", help="Run beat inside the worker, which only development may.")
    ] = False,
) -> None:
    """Run a worker that starts again when the code changes."""
    place = cast("Place", context.obj)
    _run(place, [place.worker("--beat", place.schedule()) if beat else place.worker()])


@dev.command()
def beat(context: typer.Context) -> None:
    """Run beat, which starts again when the schedule changes."""
    place = cast("Place", context.obj)
    _run(place, [place.beat()])


@dev.command()
def http(context: typer.Context) -> None:
    """Run the HTTP server, which starts again when the code changes."""
    place = cast("Place", context.obj)
    if place.api is None:
        msg = "say which application: celeriac dev --api=MODULE:NAME http"
        raise typer.BadParameter(msg)
    port = free_port()
    _run(place, [place.http(port)], rows=_where(port))


@dev.command()
def process(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What stands before its lines.")],
    command: Annotated[list[str], typer.Argument(help="Program and arguments, after `--`.")],
) -> None:
    """Run a program of yours, such as a bot, that starts again when the code changes."""
    _run(cast("Place", context.obj), [(name, command)])


@dev.command()
def run(context: typer.Context, command: Annotated[list[str], typer.Argument(help="Program and arguments.")]) -> None:
    """Run Redis, a worker and beat, then a program against them; stop when it is done. Logs go to dev.log."""
    place = cast("Place", context.obj)
    # Another terminal's beat may be running: two on one file would spoil it.
    _run(place, [place.worker(), place.beat("celerybeat-schedule-run")], command)


def free_port() -> int:
    """``HTTP_PORT``, or the first port from 8000 on that nobody listens on."""
    if said := os.environ.get("HTTP_PORT"):
        return int(said)
    for port in range(FIRST_PORT, FIRST_PORT + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    return FIRST_PORT


def _where(port: int) -> list[tuple[str, str, str]]:
    return [("api", f"http://127.0.0.1:{port}", "its routes are shown at /docs")]


def _run(
    place: Place,
    processes: Sequence[tuple[str, list[str]]],
    command: Sequence[str] | None = None,
    rows: Sequence[tuple[str, str, str]] = (),
) -> None:
    place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_path = place.data / "dev.log"
    log = nullcontext() if command is None else log_path.open("w")
    try:
        with log as file, _redis(place.data) as (url, remark):
            screen = Screen(file)
            table = [
                ("redis", str(maybe_sanitize_url(url)), remark),
                ("app", place.app, f"log level {place.level}" + (f", logs in {log_path}" if command else "")),
                *rows,
            ]
            env = {"ENVIRONMENT": "development", **os.environ, "REDIS_URL": url, "PYTHONUNBUFFERED": "1"}
            runner = Runner(screen, env=env, watch=() if command else place.watch)
            for name, arguments in processes:
                runner.add(name, arguments)
            code = asyncio.run(runner.run(rows=table, command=command))
    except ServerNotFound as error:
        sys.exit(f"celeriac: {error}")
    sys.exit(code)


@contextmanager
def _redis(data: Path) -> Generator[tuple[str, str]]:
    """The URL to use, and where it comes from."""
    if given := os.environ.get("REDIS_URL"):
        yield given, "from REDIS_URL"
    else:
        with shared_redis(data) as url:
            yield url, f"embedded, pid {EmbeddedRedis(data).pid}, data in {data}"
