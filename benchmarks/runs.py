"""Every run as it was measured, and what follows from them. Imports nothing that only one environment has."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Run", "Runs"]

_SAME = ("Machine", "Python", "Redis", "Versions")


@dataclass(frozen=True, slots=True)
class Run:
    """One measure of one system in one round."""

    measure: str
    system: str
    round: int
    figures: dict[str, float]


@dataclass(slots=True)
class Runs:
    """All runs on one machine.

    Attributes:
        machine: what they ran on, by name.
        runs: in the order they were taken.
        failures: what could not be measured, and why.
        sections: what is not compared with every system, as Markdown, by measure.
    """

    machine: dict[str, str]
    runs: list[Run] = field(default_factory=list["Run"])
    failures: list[str] = field(default_factory=list[str])
    sections: dict[str, str] = field(default_factory=dict[str, str])

    def systems(self, measure: str) -> list[str]:
        """Who was measured, in the order of the runs."""
        return list(dict.fromkeys(run.system for run in self.runs if run.measure == measure))

    def by_round(self, measure: str, system: str, figure: str) -> dict[int, float]:
        """One figure, round by round."""
        return {
            run.round: run.figures[figure]
            for run in self.runs
            if run.measure == measure and run.system == system and figure in run.figures
        }

    def median(self, measure: str, system: str, figure: str) -> float | None:
        """The median over all rounds, if there was one."""
        values = self.by_round(measure, system, figure)
        return median(values.values()) if values else None

    def ratio(self, measure: str, figure: str, ours: str, theirs: str) -> float | None:
        """The median, over rounds that have both, of one by the other: a machine that slows down slows both."""
        mine, other = self.by_round(measure, ours, figure), self.by_round(measure, theirs, figure)
        pairs = [mine[each] / other[each] for each in mine if other.get(each)]
        return median(pairs) if pairs else None

    def keep(self, earlier: Runs, *, but: Iterable[str]) -> None:
        """Take over the runs of other measures from earlier, if they were taken on the same machine and versions."""
        again = set(but)
        if any(earlier.machine.get(name) != self.machine.get(name) for name in _SAME):
            return
        kept = [run for run in earlier.runs if run.measure not in again]
        sections = {name: text for name, text in earlier.sections.items() if name not in again}
        if kept or sections:
            taken = ", ".join([*dict.fromkeys(run.measure for run in self.runs), *self.sections])
            self.machine["Runs"] += f"; {taken} taken again later than the others"
            self.runs = kept + self.runs
            self.sections = sections | self.sections

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Runs:
        """Read what was saved."""
        saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        runs = [Run(**each) for each in saved["runs"]]
        return cls(saved["machine"], runs, saved["failures"], saved.get("sections", {}))
