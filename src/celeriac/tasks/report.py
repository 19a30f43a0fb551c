"""What became of many calls, in little memory."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from celeriac.transport.publishing.ids import block_of_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celeriac.exceptions import InvalidArguments
    from celeriac.tasks.result import TaskResult

R_co = TypeVar("R_co", covariant=True)

__all__ = ["BulkReport", "Refused"]

_BLOCK: Final = 1000
"""Ids that are made together."""
_KEPT: Final = 1000
"""Errors that are kept; the positions of bad items are kept of all."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that does not fit the task. Nothing was sent for it."""

    position: int
    """Where it stood in what was given, from 0."""
    error: InvalidArguments


class BulkReport(Generic[R_co]):
    """What became of each item of :meth:`~celeriac.tasks.handle.TaskHandle.enqueue_many`, by its position, from 0.

    Of a million tasks it keeps a few numbers: ids are computed again when they are asked for. ``len(report)`` is the
    number of tasks sent.

    Attributes:
        task: the task's name.
        rest: the position from which on nothing was even looked at; after a success, the number of items.
        refused: the first 1,000 items that do not fit the task, with their errors.
        dropped: the items of a unique task that were not sent, each with the id of the call that was there already.
    """

    def __init__(self, task: str, promise: Callable[[str], TaskResult[R_co]]) -> None:
        self.task = task
        self.rest = 0
        self.refused: list[Refused] = []
        self.dropped: dict[int, str] = {}
        self._promise = promise
        self._seed = os.urandom(32)
        self._bad = array("Q")
        self._sent: list[range] = []
        self._unsure: list[range] = []
        self._block: tuple[int, list[str]] = (-1, [])

    def __repr__(self) -> str:
        return f"<{self.task}: {len(self)} sent, {self.refused_count} refused>"

    def __len__(self) -> int:
        return self.count(self.sent)

    @property
    def sent(self) -> tuple[range, ...]:
        """The positions that the broker took, refused ones between them included."""
        return tuple(self._sent)

    @property
    def uncertain(self) -> tuple[range, ...]:
        """The positions that were written and whose answer was lost: they were taken all, or none of a range."""
        return tuple(self._unsure)

    @property
    def unsent(self) -> tuple[range, ...]:
        """The positions before :attr:`rest` that certainly were not taken, though nothing stood for them."""
        gaps: list[range] = []
        at = 0
        dropped = (range(position, position + 1) for position in self.dropped)
        taken = (*self._sent, *self._unsure, *dropped, range(self.rest, self.rest))
        for known in sorted(taken, key=lambda each: each.start):
            if known.start > at:
                gaps.append(range(at, known.start))
            at = max(at, known.stop)
        return tuple(gap for gap in gaps if self.count((gap,)))

    @property
    def refused_count(self) -> int:
        """How many items did not fit the task."""
        return len(self._bad)

    def count(self, ranges: tuple[range, ...]) -> int:
        """How many tasks some ranges of positions stand for: refused items are none."""
        return sum(len(each) - len(self._bad_in(each.start, each.stop)) for each in ranges)

    def ids(self) -> Iterator[str]:
        """The ids of the tasks that were sent, in their order."""
        for each in self._sent:
            bad = set(self._bad_in(each.start, each.stop))
            for position in each:
                if position not in bad:
                    yield self.id_of(position)

    def id_of(self, position: int) -> str:
        """The id of one item's task, whatever became of it."""
        block, offset = divmod(position, _BLOCK)
        known, ids = self._block
        if known != block:
            ids = block_of_ids(self._seed, block, _BLOCK)
            self._block = block, ids
        return ids[offset]

    def ids_between(self, start: int, stop: int) -> list[str]:
        """The ids of some positions."""
        ids: list[str] = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            self.id_of(block * _BLOCK)
            first = block * _BLOCK
            ids += self._block[1][max(start - first, 0) : stop - first]
        return ids

    def results(self) -> Iterator[TaskResult[R_co]]:
        """A promise of each sent task's result, in their order."""
        return map(self._promise, self.ids())

    # -- what the senders note

    def note_sent(self, start: int, stop: int) -> None:
        """The broker has these."""
        _extend(self._sent, start, stop)

    def note_dropped(self, position: int, holder: str) -> None:
        """This item was not sent: another call has its place."""
        self.dropped[position] = holder

    def note_unsure(self, start: int, stop: int) -> None:
        """These were written, and the answer was lost."""
        _extend(self._unsure, start, stop)

    def note_refused(self, position: int, error: InvalidArguments) -> None:
        """This item does not fit the task."""
        self._bad.append(position)
        if len(self.refused) < _KEPT:
            self.refused.append(Refused(position, error))

    def _bad_in(self, start: int, stop: int) -> array[int]:
        return self._bad[bisect_left(self._bad, start) : bisect_left(self._bad, stop)]


def _extend(ranges: list[range], start: int, stop: int) -> None:
    if ranges and ranges[-1].stop == start:
        ranges[-1] = range(ranges[-1].start, stop)
    else:
        ranges.append(range(start, stop))
