"""``celeriac keys`` and ``celeriac audit``: who may come in, and what they did."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer
from celery.app.utils import find_app
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from celeriac.exceptions import CeleriacError
from celeriac.security.api_keys import ApiKeys
from celeriac.security.audit import AuditLog
from celeriac.security.server import server_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from celeriac.security.api_keys import ApiKey
    from celeriac.security.audit import AuditRecord
    from celeriac.security.server import Server

__all__ = ["audit", "keys", "secret"]

T = TypeVar("T")

keys = typer.Typer(help="Make API keys, list them, revoke them.", no_args_is_help=True)
audit = typer.Typer(help="See what callers did.", invoke_without_command=True)
secret = typer.Typer(help="Make a key that encrypts results or signs messages.", invoke_without_command=True)

App = Annotated[str, typer.Option(help="Module of the Celery app, as in celery --app.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
KeyId = Annotated[str, typer.Argument(help="Id of a key, as `list` shows it.")]

_SPAN = re.compile(r"(\d+)([smhdw])")
_WIDE = 240
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@keys.callback()
def _of_app(context: typer.Context, app: App) -> None:
    context.obj = app


@keys.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call its owner.")],
    *,
    scope: Annotated[list[str], typer.Option(help="What it may do, such as tasks:run; may be repeated.")],
    expires: Annotated[
        str | None, typer.Option(help="How long it works, such as 12h or 90d; for ever unless said.")
    ] = None,
    rate: Annotated[str | None, typer.Option(help="How often it may ask, such as 600/m.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once."""
    lasts = _span(expires)
    made = _run(context, lambda server: ApiKeys(server).create(name, scope, lasts=lasts, rate=rate))
    key, text = made
    if as_json:
        typer.echo(json.dumps({**_plain(key), "key": text}))
        return
    typer.echo(text)
    typer.echo(f"This is key {key.id} of {key.name}. It is shown this once: nobody can find it out again.", err=True)


@keys.command("list")
def show_list(
    context: typer.Context,
    *,
    every: Annotated[bool, typer.Option("--all", help="Those too that work no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which keys there are; never the keys themselves."""
    now = datetime.now(UTC)
    found = _run(context, lambda server: ApiKeys(server).list())
    shown = [key for key in found if every or key.state(now) == "active"]
    if as_json:
        typer.echo(json.dumps([_plain(key) for key in shown]))
        return
    rows = [
        (key.id, key.name, " ".join(key.scopes), key.state(now), _day(key.expires), key.rate or "", _minute(key.used))
        for key in shown
    ]
    _print(("ID", "NAME", "SCOPES", "STATE", "EXPIRES", "RATE", "LAST USED"), rows, "no keys")


@keys.command()
def revoke(
    context: typer.Context,
    key_id: KeyId,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Take it out of the list, too.")] = False,
) -> None:
    """Let a key work no more, within five seconds."""

    async def act(server: Server) -> ApiKey:
        revoked = await ApiKeys(server).revoke(key_id)
        if forget:
            await ApiKeys(server).forget(key_id)
        return revoked

    key = _run(context, act)
    typer.echo(f"{key.id} of {key.name} {'revoked and forgotten' if forget else 'revoked'}")


@audit.callback()
def show_audit(
    context: typer.Context,
    app: App,
    *,
    subject: Annotated[str | None, typer.Option(help="Only of this caller, such as key:3f2a....")] = None,
    action: Annotated[str | None, typer.Option(help="Only of this action.")] = None,
    task: Annotated[str | None, typer.Option(help="Only about this task.")] = None,
    task_id: Annotated[str | None, typer.Option(help="Only about the task of this id.")] = None,
    outcome: Annotated[str | None, typer.Option(help="done, refused, invalid or failed.")] = None,
    limit: Annotated[int, typer.Option(help="How many, at most.", min=1)] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on after the page that ended with this.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what callers did, newest first."""
    context.obj = app
    wanted = {"subject": subject, "action": action, "task": task, "task_id": task_id, "outcome": outcome}
    page = _run(context, lambda server: AuditLog(server).page(limit, cursor, **wanted))
    if as_json:
        for record in page.records:
            typer.echo(json.dumps(record.plain()))
        return
    _print(
        ("WHEN", "WHO", "ACTION", "TASK", "ID", "OUTCOME"),
        [_row(each) for each in page.records],
        "nothing was done yet",
    )
    if page.cursor is not None:
        typer.echo(f"more: --cursor={page.cursor}")


@secret.callback()
def make_secret() -> None:
    """Make a key for CELERY_RESULT_ENCRYPTION_KEYS or CELERY_TASK_SIGNING_KEYS: 256 random bits."""
    typer.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


def _run(context: typer.Context, act: Callable[[Server], Awaitable[T]]) -> T:
    """Do something on the app's server, and end with what is wrong in one line."""

    async def within() -> T:
        server = server_of(cast("Any", find_app(cast("str", context.obj))))
        try:
            return await act(server)
        finally:
            await server.close()

    try:
        return asyncio.run(within())
    except (CeleriacError, RedisError, ValueError) as error:
        sys.exit(f"celeriac: {error}")


def _span(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = _SPAN.fullmatch(text)
    if found is None:
        msg = "a time is a number and s, m, h, d or w, such as 90d"
        raise typer.BadParameter(msg)
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def _plain(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created", "expires", "revoked", "used")}
    said = {name: None if value is None else value.isoformat() for name, value in times.items()}
    return (
        {"id": key.id, "name": key.name, "scopes": key.scopes, "state": key.state(datetime.now(UTC))}
        | said
        | {"rate": key.rate}
    )


def _row(record: AuditRecord) -> tuple[str, ...]:
    who = f"{record.subject} ({record.name})" if record.name else record.subject
    about = record.task if record.count is None else f"{record.task} ({record.count})".strip()
    return (_minute(record.at), who, record.action, about, record.task_id, record.outcome)


def _print(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], none: str) -> None:
    lines = list(rows)
    if not lines:
        typer.echo(none)
        return
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in header:
        table.add_column(name, no_wrap=name == "ID")
    for line in lines:
        table.add_row(*map(Text, line))
    # Into a file or a pipe, whole lines: nobody there knows how wide the screen is.
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(table)


def _day(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).date().isoformat()


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat(" ", "seconds").removesuffix("+00:00")
