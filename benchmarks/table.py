"""Figures as one table, ratios first."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "table"]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: the runs of ours and of the peer, taken in turn, in the same unit."""

    what: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float]
    goal: str
    difference: bool = False
    """Whether the goal speaks of ours minus the peer's, and not of their ratio."""

    @property
    def verdict(self) -> float:
        """The median over pairs of runs, so that a machine that slows down midway slows both."""
        pairs = zip(self.ours, self.peer, strict=True)
        return median(a - b if self.difference else a / b for a, b in pairs)

    def cells(self) -> tuple[str, ...]:
        """The row's cells, as the table's head names them."""
        sign, unit = ("+", f" {self.unit}") if self.difference and self.verdict > 0 else ("", "")
        unit = f" {self.unit}" if self.difference else unit
        spread = f"{min(self.ours):.4g} to {max(self.ours):.4g}"
        figures = f"{median(self.ours):.4g}", f"{median(self.peer):.4g}"
        verdict = f"{sign}{self.verdict:.2f}{unit}"
        return (verdict, self.goal, self.what, *figures, self.unit, f"{len(self.ours)}: {spread}")


_HEAD = ("ours : Celery", "goal", "what", "ours", "Celery", "unit", "runs: ours from to")


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [_HEAD, tuple("---" for _ in _HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
