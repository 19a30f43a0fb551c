"""One log: our events, Celery's records and libraries' records in one form, with the task they belong to."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import structlog
from celery import Celery, signals

from celeriac.exceptions import InvalidSetting
from celeriac.tasks.context import TaskContext
from celeriac.telemetry.logging import configure_logging

Run = Callable[[str], subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("own_logging")


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def _worker_says(level: int, **options: Any) -> None:
    """What Celery's worker does when it starts."""
    signals.setup_logging.send(sender=None, loglevel=level, logfile=options.get("logfile"), format="", colorize=None)


def test_an_event_of_ours_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", "celery-worker")
    structlog.get_logger("mail").info("sent", user_id=7, tags={"a": [1, None]})
    (line,) = _lines(capsys)
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "mail",
        "event": "sent",
        "service": "celery-worker",
        "user_id": 7,
        "tags": {"a": [1, None]},
    }


def test_a_record_of_a_library_looks_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", "celery-worker")
    logging.getLogger("kombu.connection").warning("%s of %s", 1, 2)
    (line,) = _lines(capsys)
    assert {key: line[key] for key in ("level", "logger", "event", "service")} == {
        "level": "warning",
        "logger": "kombu.connection",
        "event": "1 of 2",
        "service": "celery-worker",
    }


def test_an_exception_keeps_to_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        try:
            _ = 1 / 0
        except ZeroDivisionError:
            log.exception("failed")
    ours, theirs = _lines(capsys)
    assert ours["exception"].endswith("ZeroDivisionError: division by zero")
    assert theirs["exception"].startswith("Traceback (most recent call last)")


def test_people_get_one_short_line_and_a_plain_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "console", "celery-worker")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        structlog.get_logger("mail").exception("failed", user_id=7)
    first, *rest = capsys.readouterr().err.splitlines()
    assert "[error    ] failed" in first
    assert first.endswith("[mail] user_id=7")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ZeroDivisionError: division by zero"
    assert "\x1b" not in first  # colours are for terminals


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "console", "first")
    configure_logging("INFO", "json", "second")
    logging.getLogger("any").info("once")
    (line,) = _lines(capsys)
    assert line["service"] == "second"


@pytest.mark.proves("S003-13")
@pytest.mark.parametrize(("level", "shown"), [("DEBUG", 4), ("info", 3), ("WARNING", 2), ("ERROR", 1)])
def test_the_level_holds_for_structlog_and_for_logging(
    level: str, shown: int, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(level, "json")
    for log in (structlog.get_logger("ours"), logging.getLogger("theirs")):
        log.debug("1")
        log.info("2")
        log.warning("3")
        log.error("4")
    assert len(_lines(capsys)) == 2 * shown


def test_a_level_or_format_of_another_name_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="LOGGING_LEVEL cannot be used: it must be DEBUG, INFO"):
        configure_logging("LOUD")
    with pytest.raises(InvalidSetting, match="LOGGING_FORMAT cannot be used: it must be console or json"):
        configure_logging(format="xml")  # type: ignore[arg-type]


def _fail(url: str) -> None:
    raise ConnectionError(url)


@pytest.mark.proves("H-9")
def test_no_password_reaches_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    url = "redis://app:hunter2@cache:6379/0"
    ours, theirs = structlog.get_logger("ours"), logging.getLogger("theirs")
    ours.info(f"connecting to {url}")
    ours.info("connecting", url=url, nested={"urls": [url]}, unknown=ConnectionError(url))
    theirs.info("connecting to %s", url)
    for log in (ours, theirs):
        try:
            _fail(url)
        except ConnectionError:
            log.exception("failed")
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert said.count("app:***@cache:6379/0") == 7


def _context(task_id: str, retries: int = 0) -> TaskContext:
    class Request:
        id = task_id
        root_id = task_id

    class Task:
        name = "example.add"
        request = Request()

    Task.request.retries = retries  # type: ignore[attr-defined]
    return TaskContext(Task())


def test_a_line_names_its_task_in_threads_and_in_coroutines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    log = structlog.get_logger("body")

    async def coroutine() -> None:
        await asyncio.sleep(0)
        log.info("coroutine")

    def thread(number: int) -> None:
        token = _context(f"id-{number}", retries=number).enter()
        log.info("thread")
        with ThreadPoolExecutor(1) as loop_thread:
            import contextvars

            loop_thread.submit(contextvars.copy_context().run, asyncio.run, coroutine()).result()
        TaskContext.leave(token)
        log.info("after")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(thread, range(4)))
    lines = _lines(capsys)
    for number in range(4):
        own = [line["event"] for line in lines if line.get("task_id") == f"id-{number}"]
        assert own == ["thread", "coroutine"]
        assert {line["attempt"] for line in lines if line.get("task_id") == f"id-{number}"} == {number + 1}
    assert {line.get("task_name") for line in lines if line["event"] != "after"} == {"example.add"}
    assert all("task_id" not in line for line in lines if line["event"] == "after")


def test_a_line_of_a_stock_celery_task_names_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    app = Celery("stock", set_as_current=False)

    @app.task(shared=False, name="stock.task")
    def stock() -> None:
        logging.getLogger("body").info("inside")

    result = stock.apply()
    inside = next(line for line in _lines(capsys) if line["event"] == "inside")
    assert (inside["task_id"], inside["task_name"], inside["attempt"]) == (result.id, "stock.task", 1)


def test_a_line_of_the_workers_main_process_names_the_task_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    about = {"id": "1", "name": "ping", "args": "()"}
    logging.getLogger("celery.worker.strategy").info("Task received", extra={"data": about})
    (line,) = _lines(capsys)
    assert (line["task_id"], line["task_name"]) == ("1", "ping")


def test_celery_configures_nothing_and_its_level_is_honoured(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    _worker_says(logging.DEBUG)
    logging.getLogger("celery.worker").debug("one")
    assert [line["event"] for line in _lines(capsys)] == ["one"]
    # WARNING is what Celery passes on when nobody chose a level: ours holds then.
    _worker_says(logging.WARNING)
    logging.getLogger("celery.worker").info("two")
    assert [line["event"] for line in _lines(capsys)] == ["two"]


def test_celerys_logfile_is_honoured(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    configure_logging("INFO", "json")
    _worker_says(logging.WARNING, logfile=str(tmp_path / "worker.log"))
    logging.getLogger("celery.worker").info("to the file")
    assert json.loads((tmp_path / "worker.log").read_text())["event"] == "to the file"
    assert capsys.readouterr().err == ""


REDIRECTING = """
import sys
from types import SimpleNamespace
from celery import Celery, signals
from celeriac.telemetry.logging import configure_logging

configure_logging("INFO", "json", "first")
app = Celery("main", set_as_current=False)
worker = SimpleNamespace(app=app, redirect_stdouts=True, redirect_stdouts_level="WARNING")
signals.celeryd_after_setup.send(sender="worker", instance=worker)
print("to stdout")
configure_logging("INFO", "json", "second")  # stderr is the log itself by now
print("to stderr", file=sys.stderr)
"""


def test_redirected_output_becomes_lines_of_the_log_without_going_round_in_circles(run_program: Run) -> None:
    done = run_program(REDIRECTING)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["event"], line["logger"], line["level"], line["service"]) for line in lines] == [
        ("to stdout", "celery.redirected", "warning", "first"),
        ("to stderr", "celery.redirected", "warning", "second"),
    ]
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("celeriac.telemetry.logging", ["rich", "opentelemetry"]),
        ("celeriac.telemetry.tracing", ["opentelemetry", "structlog"]),
        ("celeriac", ["structlog", "opentelemetry", "punq", "typer", "rich"]),
    ],
)
def test_importing_brings_in_nothing_that_is_not_needed(module: str, unwanted: list[str], run_program: Run) -> None:
    look = f"import sys, {module}; print([name for name in {unwanted!r} if name in sys.modules])"
    done = run_program(look)
    assert done.stdout.strip() == "[]"
