"""``python -m delivery.demo.stage PROGRAM ...``: what the tour needs around it, for as long as the program runs.

A mail server of this machine, which puts every letter into a directory, and a database of the tour's own. The program
brings a Redis that no other worker reads from: such a one would have neither.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox

from delivery.demo.places import DATA, LETTERS

__all__ = ["main"]


def main() -> None:
    """Run the program that the command line names, and end with its code."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    signal.signal(signal.SIGINT, _wait_for_the_program)
    given = {name: value for name, value in os.environ.items() if not name.startswith(("MAIL_", "MARKET_"))}
    with mail_server(LETTERS) as port:
        told = {
            "ENVIRONMENT": "development",
            "DATABASE_URL": f"sqlite:///{DATA / 'service.db'}",
            "EXPORTS_DIRECTORY": str(DATA / "exports"),
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(port),
            "MAIL_TLS": "none",
            "MAIL_SENDER": "tour@example.org",
        }
        sys.exit(subprocess.call(sys.argv[1:], env={**given, **told}))  # noqa: S603  the Makefile says which


def _wait_for_the_program(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C is for the program, which stops what it started. A function, as SIG_IGN would be inherited."""


@contextmanager
def mail_server(letters: Path) -> Generator[int]:
    """An SMTP server on a free port of this machine; each letter becomes a file of the Maildir ``letters``."""
    with socket.socket() as free:  # the server below cannot be asked which port it chose
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    server = Controller(Mailbox(letters), hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield port
    finally:
        server.stop()


if __name__ == "__main__":
    main()
