"""Loops that go on where they stopped: on another worker after this one was told to end, or was killed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from typing_extensions import override

from celeriac.exceptions import InvalidIteration
from celeriac.tasks.threads import in_thread

if TYPE_CHECKING:
    from celeriac.tasks.course import Course, Place

__all__ = ["SAVE_EVERY", "AsyncIteration", "CursorT", "Iteration"]

T = TypeVar("T")
CursorT = TypeVar("CursorT", bound=str | int | float | list[Any] | dict[str, Any])
"""What JSON carries, and gives back as it was."""

SAVE_EVERY: Final = 1.0
"""Seconds between two saves of a place, unless a loop says otherwise."""


class _Loop(Generic[T]):
    """What a loop and its place have in common, whether it waits for its items or not."""

    def __init__(
        self, task: str, source: Callable[[Any], Any], cursor: Callable[[T], Any], name: str, save_every: float
    ) -> None:
        self.name = name
        self._task = task
        self._source, self._cursor = source, cursor
        self._save_every = save_every
        self._course: Course | None = None
        self._place: Place | None = None
        self._at: Any = None
        self._in_hand = self._checked = False
        if not callable(source):
            raise self._invalid(
                problem=f"its source is {source!r:.200}, no function of a place that gives what follows"
            )
        if not callable(cursor):
            raise self._invalid(problem=f"its cursor is {cursor!r:.200}, no function of an item that gives its place")

    @property
    def done(self) -> int:
        """Items that are done, by this run of the task and by those before it."""
        return 0 if self._place is None else self._place.done

    @property
    def resumed(self) -> bool:
        """Whether an earlier run of the task left a place."""
        return self._course is not None and self._course.resumed

    def _begin(self, course: Course) -> Any:
        """What the source has after the place, or nothing where the loop was over."""
        self._course = course
        self._place = place = course.begin(self.name)
        return () if place.over else self._source(place.at)

    def _advance(self, course: Course) -> bool:
        """The item in hand is done, and the next one is asked for: whether to settle before."""
        if self._in_hand:
            self._in_hand = False
            course.advance(self.name, self._at)
        return course.is_due(self._save_every)

    def _take(self, item: T) -> T:
        # Asked now: once the body has deleted what the item stands for, it may not tell its place any more.
        self._at = self._cursor(item)
        if not self._checked:
            self._check(self._at)
        self._in_hand = True
        return item

    def _check(self, at: Any) -> None:
        """Look at the first place: one that cannot be saved shall not be found only when it is needed."""
        if at is None:
            raise self._invalid(problem="its cursor gave None, which stands for the beginning")
        try:
            same = json.loads(json.dumps(at, allow_nan=False)) == at
        except (TypeError, ValueError):
            same = False
        if not same:
            kind = type(at).__name__
            msg = f"its cursor gave {at!r:.200}, of type {kind}, which JSON would not give back as it is"
            raise self._invalid(problem=f"{msg}: give a str, int, float, or a list or dict of those")
        self._checked = True

    def _without_items(self, items: object) -> InvalidIteration:
        return self._invalid(problem=f"its source gave {items!r:.200}, which has no items")

    def _invalid(self, *, problem: str) -> InvalidIteration:
        return InvalidIteration(task=self._task, loop=self.name, problem=problem)


class Iteration(_Loop[T], Iterator[T]):
    """What :meth:`TaskContext.iterate` gives: the items after the place where an earlier run stopped."""

    def __init__(
        self,
        course: Course,
        source: Callable[[Any], Iterable[T]],
        cursor: Callable[[T], Any],
        *,
        name: str,
        save_every: float,
    ) -> None:
        super().__init__(course.task, source, cursor, name, save_every)
        self._of = course
        items = self._begin(course)
        if not isinstance(items, Iterable):
            raise self._without_items(items)
        self._iterator = iter(cast("Iterable[T]", items))

    @override
    def __next__(self) -> T:
        course = self._of
        if self._advance(course):
            course.settle()
        try:
            item = next(self._iterator)
        except StopIteration:
            course.end(self.name)
            raise
        return self._take(item)


class AsyncIteration(_Loop[T], AsyncIterator[T]):
    """What :meth:`TaskContext.aiterate` gives. Places are read and saved beside the event loop."""

    def __init__(
        self,
        task: str,
        course: Callable[[], Course],
        source: Callable[[Any], AsyncIterable[T] | Iterable[T]],
        cursor: Callable[[T], Any],
        *,
        name: str,
        save_every: float,
    ) -> None:
        super().__init__(task, source, cursor, name, save_every)
        self._find = course
        self._iterator: AsyncIterator[T] | None = None

    @override
    async def __anext__(self) -> T:
        course = self._course
        if course is None:
            course = await in_thread(self._find)
        if self._advance(course):
            await in_thread(course.settle)
        if self._iterator is None:
            self._iterator = self._items(self._begin(course))
        try:
            item = await anext(self._iterator)
        except StopAsyncIteration:
            course.end(self.name)
            raise
        return self._take(item)

    def _items(self, items: Any) -> AsyncIterator[T]:
        if isinstance(items, AsyncIterable):
            return aiter(cast("AsyncIterable[T]", items))
        if isinstance(items, Iterable):
            return _one_by_one(cast("Iterable[T]", items))
        raise self._without_items(items)


async def _one_by_one(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item
