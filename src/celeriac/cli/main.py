"""The command itself: what it is called with, and what it says when its libraries are missing."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command of ``sys.argv`` and exit with its code."""
    try:
        from celeriac.cli.callers import audit, keys, secret  # noqa: PLC0415 - typer, rich and watchfiles come by an extra
        from celeriac.cli.db import db  # noqa: PLC0415 - as the others
        from celeriac.cli.dead import dead  # noqa: PLC0415 - the same
        from celeriac.cli.dev import commands  # noqa: PLC0415 - the same
        from celeriac.cli.probe import probe  # noqa: PLC0415 - the same
    except ModuleNotFoundError as error:
        if error.name not in {"rich", "typer", "watchfiles"}:
            raise
        sys.exit(f"celeriac: {error.name} is not installed. Install the extra: pip install 'celeriac[cli]'")
    commands.add_typer(db, name="db")
    commands.add_typer(dead, name="dead")
    commands.add_typer(probe, name="probe")
    commands.add_typer(keys, name="keys")
    commands.add_typer(audit, name="audit")
    commands.add_typer(secret, name="secret")
    commands(prog_name="celeriac")
