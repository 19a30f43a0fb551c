"""What a result object waits for: its tasks, and the earlier steps whose failure means that they never come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from celery import states
from celery.result import ResultSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Awaited", "earlier_of", "leaves_of"]


def leaves_of(raw: Any) -> Iterator[Any]:
    """The results of single tasks that a result of Celery's, or a list of them, is made of."""
    members: Any = getattr(raw, "results", None)
    if isinstance(raw, list):
        members = cast("Any", raw)
    if members is None:
        yield raw
    else:
        for member in members:
            yield from leaves_of(member)


def earlier_of(*results: Any) -> list[Any]:
    """The steps of chains before these, each once; a group among them is left out, for it fails its chord by itself."""
    found: dict[int, Any] = {}
    for raw in results:
        step = raw
        while (step := getattr(step, "parent", None)) is not None:
            if not isinstance(step, ResultSet):
                found[id(step)] = step
    return list(found.values())


class Awaited:
    """Gathers what arrives until the wait is over.

    Args:
        raw: a result of Celery's: of a task, a chain, a group or a set.
        propagate: whether the first failure ends the wait.
        parents: whether a failure of an earlier step does.
    """

    def __init__(self, raw: Any, *, propagate: bool = True, parents: bool = True) -> None:
        self._propagate = propagate
        self._open: dict[str, list[Any]] = {}
        self._earlier: dict[str, list[Any]] = {}
        self.states: dict[str, str] = {}
        """The last state heard of, by id."""
        self.over = False
        leaves = list(leaves_of(raw))
        for leaf in leaves:
            if _cached(leaf) is None:
                self._open.setdefault(leaf.id, []).append(leaf)
            else:
                self._ended(leaf)
        if parents and self._open:
            for step in earlier_of(raw, *leaves):
                if _cached(step) is None:
                    self._earlier.setdefault(step.id, []).append(step)
                else:
                    self._ended_earlier(step)
        self.over = self.over or not self._open

    def outcome(self) -> dict[str, str] | None:
        """``None`` once it is over; until then, the last states heard of."""
        return None if self.over else self.states

    @property
    def ids(self) -> list[str]:
        """The tasks to hear of."""
        return list({**self._open, **self._earlier})

    def take(self, task: str, meta: dict[str, Any], on_message: Callable[[Any], None] | None = None) -> list[Any]:
        """A state of a task arrived. Gives the results that it ends."""
        opened = task in self._open
        if not opened and task not in self._earlier:
            return []
        self.states[task] = meta["status"]
        if on_message is not None and opened:
            on_message(meta)
        if meta["status"] not in states.READY_STATES:
            return []
        ended = self._open.pop(task, [])
        for result in ended:
            result._maybe_set_cache(meta)  # noqa: SLF001  how Celery's own consumer hands a result over
            self._ended(result)
        for step in self._earlier.pop(task, []):
            step._maybe_set_cache(meta)  # noqa: SLF001
            self._ended_earlier(step)
        self.over = self.over or not self._open
        return ended

    def _ended(self, result: Any) -> None:
        self.over = self.over or (self._propagate and _failed(result))

    def _ended_earlier(self, step: Any) -> None:
        self.over = self.over or _failed(step)


def _cached(result: Any) -> Any:
    return getattr(result, "_cache", None)


def _failed(result: Any) -> bool:
    return _cached(result)["status"] in states.PROPAGATE_STATES
