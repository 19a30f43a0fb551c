"""The stream on Redis into which everybody writes what happened to tasks, for the history to read.

An entry has one field: a JSON object that tells of one message, of many that were sent together, or of all that a
worker did since it last wrote. Its moment is the entry's own, given by the server; what happened earlier says by how
many milliseconds. So no clock of any producer or worker counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery.loaders.base import BaseLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from celery import Celery

T = TypeVar("T", str, bytes)

__all__ = ["FIELD", "MOST_ENTRIES", "NAME", "HistoryStream", "follow", "in_portions"]

NAME: Final = "history"
"""The key, after our prefix."""
FIELD: Final = "e"
LONGEST: Final = 1 << 16
"""Bytes of an entry, but for a single event that is longer."""
MOST_PARTS: Final = 1000
"""Tasks that one entry tells of."""
MOST_ENTRIES: Final = 1_000_000
"""Entries that wait for the database, about; the oldest are dropped when there are more."""


class HistoryStream:
    """Renders what is appended.

    Args:
        options: transport options, of which ``global_keyprefix`` counts.
        most: entries that may wait.
    """

    def __init__(self, options: Mapping[str, Any], most: int = MOST_ENTRIES) -> None:
        self.key = f"{options.get('global_keyprefix') or ''}celeriac.{NAME}"
        """The stream's key."""
        self.most = most
        key, limit = self.key.encode(), b"%d" % most
        self._head = (
            b"*8\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$%d\r\n%b\r\n$1\r\n*\r\n$1\r\ne\r\n$"
        ) % (len(key), key, len(limit), limit)

    def add(self, event: bytes) -> bytes:
        """The command that appends an event, as it travels."""
        return b"%b%d\r\n%b\r\n" % (self._head, len(event), event)

    @classmethod
    def of(cls, conf: Any, options: Mapping[str, Any]) -> HistoryStream | None:
        """The stream of an app, or ``None`` where no history is kept.

        Args:
            conf: of the app.
            options: transport options of the server that the stream is on.
        """
        if not conf.get("history_enabled"):
            return None
        return cls(options, int(conf.get("history_backlog") or MOST_ENTRIES))


def in_portions(parts: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts of events, so many together that an entry stays short: whoever reads takes hundreds of them at once."""
    size = sum(map(len, parts))
    if size <= LONGEST and len(parts) <= MOST_PARTS:
        if parts:
            yield parts
        return
    portion: list[T] = []
    size = 0
    for part in parts:
        if portion and (size + len(part) > LONGEST or len(portion) == MOST_PARTS):
            yield portion
            portion, size = [], 0
        portion.append(part)
        size += len(part)
    yield portion


def follow(app: Celery) -> None:
    """Have the journal of an app hear of each task that begins, in every pool."""
    loader: Any = app.loader
    usual = None if type(loader).on_task_init is BaseLoader.on_task_init else loader.on_task_init
    started: list[Callable[[Any], None]] = []

    def on_task_init(task_id: str, task: Any) -> None:
        if usual is not None:
            usual(task_id, task)
        if not started:  # the first task of this process, or of its parent
            journal = getattr(app.backend, "journal", None)
            started.append(_unheard if journal is None else journal.started)
        started[0](task)

    loader.on_task_init = on_task_init


def _unheard(_task: Any) -> None:
    """Nobody keeps a journal."""
