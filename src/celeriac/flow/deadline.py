"""A deadline for a task as a whole: counted from its publish, over all of its attempts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import SoftTimeLimitExceeded
from typing_extensions import override

from celeriac.exceptions import DeadlineExceeded
from celeriac.flow.frame import Gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.flow.clock import Clock
    from celeriac.flow.frame import Attempt

__all__ = ["DEADLINE", "Deadline"]

DEADLINE: Final = "celeriac-deadline"
"""The message's header that says when the task must have ended: seconds since the epoch, by the clock of all."""
_EARLY: Final = 0.1
"""Seconds by which timers and clocks are apart."""


class Deadline(Gate):
    """Starts no attempt after the deadline, sends none that would begin after it, and names what fails because of it.

    What runs at that moment is interrupted by the soft limit, which is brought down to what is left: see
    :mod:`celeriac.worker.deadlines`.

    Args:
        task: its name.
        seconds: from the publish. For a message that was sent by others, such as plain Celery, from its first start.
        clock: what all go by.
    """

    def __init__(self, task: str, seconds: float, clock: Clock) -> None:
        self._task = task
        self._seconds = seconds
        self._clock = clock

    @override
    def stamp(self) -> dict[str, Any]:
        return {DEADLINE: round(self._clock.now() + self._seconds, 3)}

    @override
    def before_run(self, attempt: Attempt) -> None:
        attempt.remember(DEADLINE, self._of(attempt.headers))  # so that the next one has it
        attempt.left = lambda: self.left(attempt.headers)
        if (left := self.left(attempt.headers)) <= 0:
            raise self._exceeded(problem=f"an attempt came {-left:.1f} s after that and was not started")

    @override
    def before_retry(self, attempt: Attempt, seconds: float, error: BaseException | None) -> None:
        left = self.left(attempt.headers)
        if left <= _EARLY and isinstance(error, SoftTimeLimitExceeded):
            raise self._exceeded(problem="was interrupted at the end of it") from error
        if seconds >= left:
            raise self._exceeded(problem="the next attempt would have begun after that") from error

    @override
    def named(self, attempt: Attempt, error: Exception) -> Exception:
        if isinstance(error, SoftTimeLimitExceeded) and self.left(attempt.headers) <= _EARLY:
            return self._exceeded(problem="was interrupted at the end of it")
        return error

    def left(self, headers: Mapping[str, Any]) -> float:
        """Seconds until the deadline of a message; less than 0 after it."""
        return self._of(headers) - self._clock.now()

    def moment(self, headers: Mapping[str, Any]) -> datetime:
        """The deadline of a message, by the clock of this machine, UTC."""
        return datetime.fromtimestamp(self._of(headers) - self._clock.offset, UTC)

    def _of(self, headers: Mapping[str, Any]) -> float:
        said = headers.get(DEADLINE)
        return float(said) if isinstance(said, int | float) else self._clock.now() + self._seconds

    def _exceeded(self, *, problem: str) -> DeadlineExceeded:
        return DeadlineExceeded(task=self._task, deadline=self._seconds, problem=problem)
