"""What became of the tasks, in the words of Jepsen's checker for queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.harness.census import Census
from tests.faults.harness.ledger import Ledger

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every task's fate. Keys of tasks, or how often for each."""

    attempted: frozenset[str]
    """The producer tried to send it."""
    acknowledged: frozenset[str]
    """The producer was told that it is sent."""
    done: Mapping[str, int]
    """It ran to its end, so many times."""
    starts: Mapping[str, int]
    """It was begun, so many times."""
    failed: frozenset[str]
    """The producer was told that it failed, as it had to."""
    dead: frozenset[str]
    """It is a dead letter."""
    waiting: frozenset[str]
    """It has not run, and the broker still has it."""
    held: frozenset[str]
    """It has run, and the broker still has it: it will run again one day."""
    lost: frozenset[str]
    """It was acknowledged, never ran to its end, nobody has it, and nobody was told."""
    duplicated: Mapping[str, int]
    """It ran to its end more than once: how often too many."""
    recovered: frozenset[str]
    """The producer was told that it failed, or nothing at all, and it ran."""
    unexpected: frozenset[str]
    """It ran, and nobody had attempted to send it."""

    @classmethod
    def of(cls, ledger: Ledger, census: Census) -> Verdict:
        """Compare what the ledger says with what the broker holds."""
        attempted = frozenset(ledger.counts("attempted"))
        acknowledged = frozenset(ledger.counts("acknowledged"))
        done = ledger.counts("done")
        failed = frozenset(ledger.counts("failed"))
        dead = frozenset(census.dead)
        waiting = frozenset(census.owned - set(done) - dead)
        return cls(
            attempted=attempted,
            acknowledged=acknowledged,
            done=done,
            starts=ledger.counts("started"),
            failed=failed,
            dead=dead,
            waiting=waiting,
            held=frozenset(census.owned & set(done)),
            lost=acknowledged - set(done) - failed - dead - waiting,
            duplicated={key: count - 1 for key, count in done.items() if count > 1},
            recovered=(frozenset(done) & attempted) - acknowledged,
            unexpected=frozenset(done) - attempted,
        )

    @property
    def duplicates(self) -> int:
        """How many executions were too many."""
        return sum(self.duplicated.values())

    @property
    def interrupted(self) -> int:
        """How many starts did not come to an end."""
        return sum(self.starts.values()) - sum(self.done.values())

    def __str__(self) -> str:
        counts = {
            "attempted": len(self.attempted),
            "acknowledged": len(self.acknowledged),
            "done": len(self.done),
            "lost": len(self.lost),
            "duplicated": self.duplicates,
            "recovered": len(self.recovered),
            "unexpected": len(self.unexpected),
            "failed": len(self.failed),
            "dead": len(self.dead),
            "waiting": len(self.waiting),
            "held": len(self.held),
            "interrupted": self.interrupted,
        }
        return " ".join(f"{name}={count}" for name, count in counts.items())

    def require(self, *, duplicates: int = 0, dead: int = 0, waiting: int = 0) -> None:
        """Nothing lost, nothing unexpected, and at most so much of the rest.

        Raises:
            AssertionError: says what, and names some of the tasks.
        """
        problems = []
        if self.lost:
            problems.append(f"lost: {_some(self.lost)}")
        if self.unexpected:
            problems.append(f"unexpected: {_some(self.unexpected)}")
        if self.duplicates > duplicates:
            problems.append(f"{self.duplicates} duplicates, {duplicates} allowed: {_some(frozenset(self.duplicated))}")
        if len(self.dead) > dead:
            problems.append(f"dead letters: {_some(self.dead)}")
        if len(self.waiting) > waiting:
            problems.append(f"never run, but still with the broker: {_some(self.waiting)}")
        if self.held:
            problems.append(f"done, but still with the broker: {_some(self.held)}")
        assert not problems, f"{'; '.join(problems)} ({self})"


def _some(keys: frozenset[str]) -> str:
    shown = ", ".join(sorted(keys)[:_SHOWN])
    return f"{len(keys)} ({shown}{', ...' if len(keys) > _SHOWN else ''})"
