"""What stands between those who check calls and those who send many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BulkMessage", "BulkWriter", "Outcome"]


class BulkMessage(NamedTuple):
    """One call, checked, as plain JSON."""

    position: int
    id: str
    args: Sequence[Any]
    kwargs: dict[str, Any]
    masked: tuple[str, str] | None = None


class Outcome(Protocol):
    """Who keeps the record of what became of the messages, by their positions."""

    def note_sent(self, start: int, stop: int) -> None:
        """The broker has them."""
        ...

    def note_unsure(self, start: int, stop: int) -> None:
        """They were written, and the answer was lost."""
        ...


class BulkWriter(Protocol):
    """Takes batches of checked calls, and notes in a report what became of them."""

    def write(self, messages: Sequence[BulkMessage], start: int, stop: int) -> None:
        """Send a batch, which speaks for the positions from ``start`` to ``stop``; its answer may come later.

        Raises:
            BrokerUnavailable: a batch was not taken.
        """
        ...

    def finish(self) -> None:
        """Wait for all answers.

        Raises:
            BrokerUnavailable: a batch was not taken.
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...

    def promise(self, task_id: str) -> Any:
        """Celery's result object of a task that was sent, or one that looks like it."""
        ...
