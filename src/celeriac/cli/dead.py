"""``celeriac dead``: the dead letters of an app, seen, sent back and thrown away."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from celery.app.utils import find_app
from kombu.utils.encoding import bytes_to_str
from rich.console import Console
from rich.table import Table
from rich.text import Text

from celeriac.exceptions import CeleriacError
from celeriac.history.deadletters import DeadLetters
from celeriac.history.letters import DeadLetterFilter, DeadReason

if TYPE_CHECKING:
    from celeriac.history.letters import DeadLetter, MoveReport

__all__ = ["dead"]

dead = typer.Typer(help="Look at dead letters, send them back, or throw them away.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters, as `list` shows them.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Only of this task.")]
QueueName = Annotated[str | None, typer.Option("--queue", help="Only from this queue.")]
Reason = Annotated[DeadReason | None, typer.Option(help="Only those that died of this.")]
Since = Annotated[datetime | None, typer.Option(help="Only those that died then or later, UTC.")]
Every = Annotated[bool, typer.Option("--all", help="All of them, where no other option says which.")]
Limit = Annotated[int | None, typer.Option(help="How many, at most.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which it would be.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@dead.callback()
def _of_app(
    context: typer.Context, app: Annotated[str, typer.Option(help="Module of the Celery app, as in celery --app.")]
) -> None:
    context.obj = DeadLetters(cast("Any", find_app(app)))


@dead.command("list")
def show_list(
    context: typer.Context,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    reason: Reason = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="How many, at most.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after the page that ended with this.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show dead letters, oldest first."""
    page = _letters(context).list(limit, cursor, task=task, queue=queue, reason=reason, since=_utc(since))
    if as_json:
        typer.echo(json.dumps([_plain(letter) for letter in page.letters], default=str))
        return
    if not page.letters:
        typer.echo("no dead letters")
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("ID", "DIED", "TASK", "QUEUE", "REASON", "DELIVERIES"):
        table.add_column(name, no_wrap=name == "ID")
    for letter in page.letters:
        deliveries = "" if letter.deliveries is None else str(letter.deliveries)
        died = letter.died.astimezone(UTC).isoformat(" ", "seconds")
        cells = (letter.id, died, letter.task or "-", letter.queue, str(letter.reason), deliveries)
        table.add_row(*(Text(cell) for cell in cells))
    Console(highlight=False).print(table)
    typer.echo(f"{_counted(len(page.letters))}{'' if page.cursor is None else f'; more: --cursor={page.cursor!r}'}")


@dead.command()
def show(context: typer.Context, letter_id: str, *, as_json: AsJson = False) -> None:
    """Show all of one dead letter but its body, which may hold secrets."""
    try:
        letter = _letters(context).show(letter_id)
    except CeleriacError as error:
        sys.exit(f"celeriac: {error}")
    plain = _plain(letter)
    if as_json:
        typer.echo(json.dumps(plain, default=str))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in plain.items():
        table.add_row(Text(name, style="bold"), Text("" if value is None else str(value)))
    Console(highlight=False).print(table)


@dead.command()
def replay(
    context: typer.Context,
    ids: Ids = None,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    reason: Reason = None,
    since: Since = None,
    every: Every = False,
    rate: Annotated[float | None, typer.Option(help="How many a second, at most.")] = None,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Put dead letters back into their queues."""
    letters, chosen = _letters(context), _chosen(task, queue, reason, since)
    _check_choice(ids, chosen, every=every)
    if ids:
        _one_by_one(ids, letters.replay, "replayed")
    else:
        _tell(letters.replay_some(chosen, rate=rate, limit=limit, dry_run=dry_run), "replayed")


@dead.command()
def drop(
    context: typer.Context,
    ids: Ids = None,
    *,
    task: TaskName = None,
    queue: QueueName = None,
    reason: Reason = None,
    since: Since = None,
    every: Every = False,
    limit: Limit = None,
    dry_run: DryRun = False,
) -> None:
    """Throw dead letters away."""
    letters, chosen = _letters(context), _chosen(task, queue, reason, since)
    _check_choice(ids, chosen, every=every)
    if ids:
        _one_by_one(ids, letters.drop, "dropped")
    else:
        _tell(letters.drop_some(chosen, limit=limit, dry_run=dry_run), "dropped")


def _letters(context: typer.Context) -> DeadLetters:
    return cast("DeadLetters", context.obj)


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _chosen(task: str | None, queue: str | None, reason: DeadReason | None, since: datetime | None) -> DeadLetterFilter:
    return DeadLetterFilter(task=task, queue=queue, reason=reason, since=_utc(since))


def _check_choice(ids: list[str] | None, chosen: DeadLetterFilter, *, every: bool) -> None:
    """Ids, or what they have in common, or all on purpose: never all because nothing was said."""
    if sum((bool(ids), chosen != DeadLetterFilter(), every)) != 1:
        msg = "say which: ids, or options such as --task and --reason, or --all"
        raise typer.BadParameter(msg)


def _one_by_one(ids: list[str], move: Any, verb: str) -> None:
    failed = 0
    for letter_id in ids:
        try:
            letter = move(letter_id)
        except CeleriacError as error:
            failed += 1
            typer.echo(f"celeriac: {error}", err=True)
        else:
            typer.echo(f"{letter.id} ({letter.task or 'no task'}) {verb}")
    typer.echo(f"{len(ids) - failed} {verb}")
    if failed:
        raise typer.Exit(1)


def _tell(report: MoveReport, verb: str) -> None:
    for letter_id, problem in report.failed.items():
        typer.echo(f"celeriac: {letter_id}: {problem}", err=True)
    done = len(report.done)
    typer.echo(f"{done} would be {verb}" if report.dry_run else f"{done} {verb} in {report.seconds:.1f} s")
    if report.failed:
        raise typer.Exit(1)


def _plain(letter: DeadLetter) -> dict[str, Any]:
    """What may be shown: everything but the body, and headers whose values print."""
    shown = {name: getattr(letter, name) for name in ("id", "task", "task_id", "queue")}
    shown |= {"reason": str(letter.reason), "detail": letter.detail, "deliveries": letter.deliveries}
    shown |= {"worker": letter.worker, "died": letter.died.astimezone(UTC).isoformat()}
    shown |= {"args": letter.args, "kwargs": letter.kwargs, "bytes": len(letter.message)}
    headers = {str(name): bytes_to_str(value) for name, value in letter.headers.items() if value is not None}
    return shown | {"headers": headers}


def _counted(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"
