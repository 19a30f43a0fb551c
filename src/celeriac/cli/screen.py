"""What the development commands show: first who runs where, then what each of them says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

__all__ = ["Screen"]

_STYLES = ("cyan", "magenta", "green", "yellow", "blue")


class Screen:
    """Prints to standard output, or its log lines into ``log`` where another program has the screen."""

    def __init__(self, log: TextIO | None = None) -> None:
        self._console = Console(highlight=False)
        self._logs = self._console if log is None else Console(file=log, highlight=False)
        self._styles: dict[str, str] = {}

    def table(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Who runs where: rows of name, place and remark."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for name, place, remark in rows:
            table.add_row(Text(name, style=f"bold {self._style(name)}"), Text(place), Text(remark, style="dim"))
        self._console.print(table)
        self._console.print()

    def line(self, name: str, text: str) -> None:
        """One line that a process wrote, with its colours, under its name."""
        self._print(self._logs, name, Text.from_ansi(text))

    def say(self, text: str, *, wrong: bool = False) -> None:
        """One line of the command itself."""
        self._print(self._console, "dev", Text(text, style="bold red" if wrong else "bold"))

    def _print(self, console: Console, name: str, text: Text) -> None:
        console.print(Text.assemble((f"{name:<7}", self._style(name)), (" | ", "dim"), text), soft_wrap=True)

    def _style(self, name: str) -> str:
        return self._styles.setdefault(name, _STYLES[len(self._styles) % len(_STYLES)])
