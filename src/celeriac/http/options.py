"""What a caller may say of one run beside its arguments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

from fastapi import Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from celeriac.http.filters import Text
from celeriac.http.problems import Fault, ProblemError
from celeriac.tasks.policies import Priority

if TYPE_CHECKING:
    from celeriac.tasks.call import CallOptions

__all__ = ["RunOptions", "RunRequest", "options_by_query"]

LONGEST: Final = 366 * 24 * 3600.0
"""Seconds that a task may wait for its time."""


class Urgency(StrEnum):
    """How urgent a task is."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    CRITICAL = "critical"


Seconds = Annotated[float, Field(ge=0, le=LONGEST, allow_inf_nan=False)]


class RunOptions(BaseModel):
    """How one run differs from what the task declares."""

    model_config = ConfigDict(extra="forbid")

    countdown: Seconds | None = Field(default=None, description="Seconds to wait before it may run.")
    eta: AwareDatetime | None = Field(default=None, description="The moment before which it must not run.")
    expires: Seconds | None = Field(default=None, description="Seconds after which it is no longer worth running.")
    queue: Text | None = Field(default=None, description="The queue it goes to; one that is declared.")
    priority: Urgency | None = None

    def options(self) -> CallOptions:
        """The same for the call.

        Raises:
            ProblemError: both ``countdown`` and ``eta``, or an ``eta`` too far away: 422.
        """
        said: dict[str, Any] = {
            "countdown": self.countdown,
            "eta": self.eta,
            "expires": self.expires,
            "queue": self.queue,
            "priority": None if self.priority is None else Priority[self.priority.name],
        }
        if self.eta is not None:
            if self.countdown is not None:
                _refuse("countdown", "Input should not stand beside eta")
            now = datetime.now(UTC)
            if not now - timedelta(seconds=LONGEST) < self.eta < now + timedelta(seconds=LONGEST):
                _refuse("eta", "Input should be within a year of now")
        found: Any = {name: value for name, value in said.items() if value is not None}
        options: CallOptions = found
        return options


class RunRequest(RunOptions):
    """A task to run."""

    name: Text = Field(examples=["example.add"])
    args: list[JsonValue] = Field(default=[], examples=[[]])
    kwargs: dict[str, JsonValue] = Field(default={}, examples=[{"x": 2, "y": 3}])


async def options_by_query(
    countdown: Annotated[Seconds | None, Query(description="Seconds to wait before it may run.")] = None,
    eta: Annotated[AwareDatetime | None, Query(description="The moment before which it must not run.")] = None,
    expires: Annotated[Seconds | None, Query(description="Seconds after which it is no longer worth running.")] = None,
    queue: Annotated[Text | None, Query(description="The queue it goes to; one that is declared.")] = None,
    priority: Annotated[Urgency | None, Query(description="How urgent it is.")] = None,
) -> RunOptions:
    """The options of a query string."""
    return RunOptions(countdown=countdown, eta=eta, expires=expires, queue=queue, priority=priority)


def _refuse(field: str, message: str) -> NoReturn:
    faults = [Fault(field=field, message=message)]
    raise ProblemError(422, "invalid-request", "The request does not fit.", faults=faults)
