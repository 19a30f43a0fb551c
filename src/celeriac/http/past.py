"""What the routes ask of a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celeriac.history.records import HistoryFilter, HistoryPage, TaskRecord

__all__ = ["Past"]


class Past(Protocol):
    """A :class:`~celeriac.history.service.TaskHistory`, or what stands for it in tests. Called from threads.

    Raises, from every method:
        HistoryUnavailable: the database does not answer.
    """

    def get(self, task_id: str, /) -> TaskRecord | None:
        """All that is known of one task, ``None`` where nothing ever was."""
        ...

    def page(self, chosen: HistoryFilter = ..., cursor: str | None = ..., limit: int = ..., /) -> HistoryPage:
        """Some tasks, the newest first.

        Raises:
            InvalidCursor: the cursor is none of ours.
        """
        ...

    def count(self, chosen: HistoryFilter = ..., /) -> int:
        """How many fit."""
        ...

    def ids(self, chosen: HistoryFilter = ..., limit: int | None = ..., /) -> Iterator[str]:
        """Their ids, the newest first."""
        ...
