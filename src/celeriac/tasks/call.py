"""One call of one task, validated and ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.tasks.policies import Limits, Priority

__all__ = ["Call", "CallOptions"]


class CallOptions(TypedDict, total=False):
    """What a single call may say beside its arguments; it beats what the task's policy says."""

    countdown: float | timedelta
    """Seconds to wait before the task may run."""
    eta: datetime
    """The moment before which it must not run; with a time zone."""
    expires: float | timedelta | datetime
    """Seconds, or the moment, after which it is no longer worth running."""
    queue: str
    """The queue it goes to; one that is declared."""
    priority: Priority
    """How urgent it is."""
    task_id: str
    """The id it gets; a random UUID otherwise."""
    headers: Mapping[str, Any]
    """Further message headers; the task reads them from its context."""
    limits: Limits
    """Seconds an attempt may take."""
    ignore_result: bool
    """Keep no result."""


@dataclass(frozen=True, slots=True)
class Call:
    """A task's name, its arguments as plain JSON, and what the caller said beside them."""

    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    options: CallOptions
    masked: tuple[str, str] | None = None
    """How logs and monitors may show positional and keyword arguments, where these hold secrets."""

    def celery_options(self, transport: str, usual_soft: float | None = None) -> dict[str, Any]:
        """The options as Celery's ``apply_async`` takes them.

        Args:
            transport: the broker's kombu transport.
            usual_soft: seconds of the soft limit for calls of the task that say nothing.
        """
        said: dict[str, Any] = dict(self.options)
        for name in ("countdown", "expires"):
            if isinstance(said.get(name), timedelta):
                said[name] = said[name].total_seconds()
        if "priority" in said:
            said["priority"] = said["priority"].on(transport)
        if (limits := said.pop("limits", None)) is not None:
            said.update(limits.options(usual_soft))
        if "headers" in said:
            said["headers"] = dict(said["headers"])
        if self.masked is not None:
            said["argsrepr"], said["kwargsrepr"] = self.masked
        return said
